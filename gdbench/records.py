"""Columns to Parquet and back: atomic, append-only, readable while a sweep runs."""

from __future__ import annotations

import contextlib
import datetime
import glob
import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.schema import COLUMNS, UsageError

__all__ = ["PARTS", "gather", "load", "load_part", "new_folder", "part_numbers", "write_json", "write_part"]

Table = Literal["runs", "traces", "blocks"]
TABLES: tuple[Table, ...] = ("runs", "traces", "blocks")
PARTS = "parts"
"""The folder, inside a sweep's, where each cell's rows lie from the moment it ends until the sweep is gathered."""

SMALL = 1000
"""Tables of at most this many rows are not compressed."""

ARROW = {
    "str": pa.string(),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}


def new_folder(outputs: str, name: str | None) -> Path:
    """A folder of its own for a sweep: outputs/<date>/<time>_<name>, numbered where two start in the same second."""
    now = datetime.datetime.now()
    day = Path(outputs) / now.strftime("%Y-%m-%d")
    stem = now.strftime("%H-%M-%S") + (f"_{name}" if name else "")
    if Path(stem).name != stem:
        raise UsageError(f"name={name} must be a part of a folder's name, without / in it.")
    with writing(outputs):
        day.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(1):
            folder = day / (stem if count == 1 else f"{stem}_{count}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()  # exclusive: of two that ask for one name, one gets it
                (folder / PARTS).mkdir()
                return folder
    raise AssertionError


@contextlib.contextmanager
def writing(place: str | Path) -> Any:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"outputs={place} cannot be written ({error.strerror or error})."
            " Free some space or choose another folder with outputs=FOLDER; finished parts are intact."
        ) from error


# --------------------------------------------------------------------------------------------------------- writing


def write_part(folder: Path, cell: int, tables: Mapping[Table, Mapping[str, Any]]) -> None:
    """Put a cell's rows on disk; its ``runs`` come last, and say by being there that the part is whole."""
    with writing(folder):
        for name in ("traces", "blocks", "runs"):
            if tables.get(name):
                _write(arrow(tables[name]), _part(folder, cell, name))


def _part(folder: Path, cell: int, table: Table) -> Path:
    return folder / PARTS / f"cell-{cell:05d}.{table}.parquet"


def part_numbers(folder: Path) -> set[int]:
    """The cells whose parts are whole."""
    return {int(path.name[5:10]) for path in (folder / PARTS).glob("cell-*.runs.parquet")}


def gather(folder: Path) -> None:
    """Make one table of the parts, in the order of the cells, and remove them."""
    with writing(folder):
        for name in TABLES:
            parts = sorted((folder / PARTS).glob(f"cell-*.{name}.parquet"))
            if len(parts) == 1:  # it is the table already
                parts[0].replace(folder / f"{name}.parquet")
            elif parts:
                _write(_concatenated(parts), folder / f"{name}.parquet")
        for path in (folder / PARTS).iterdir():
            path.unlink()
        (folder / PARTS).rmdir()


def _write(table: pa.Table, path: Path) -> None:
    """Write beside, flush to the disk, rename: a reader sees a whole file or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            # A compressor for each of 80 columns: 4.5 ms against 1.8, and for a few rows nothing to show for it.
            pq.write_table(table, file, compression="zstd" if table.num_rows > SMALL else "none")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    with writing(path.parent):
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n")
        beside.replace(path)


def arrow(columns: Mapping[str, Any]) -> pa.Table:
    """Columns of numpy arrays, or of constants, as a table; the kinds are those that COLUMNS states."""
    rows = next(len(each) for each in columns.values() if isinstance(each, np.ndarray))
    return pa.table({name: _array(name, values, rows) for name, values in columns.items()})


def _array(name: str, values: Any, rows: int) -> Any:
    kind = ARROW.get(COLUMNS[name].kind) if name in COLUMNS else None
    if values is None:
        return pa.nulls(rows, kind)
    if not isinstance(values, np.ndarray):
        constant = pa.scalar(values if isinstance(values, (int, float, str, datetime.datetime)) else str(values), kind)
        if pa.types.is_string(constant.type):
            return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([constant.as_py()], pa.string()))
        return pa.repeat(constant, rows)
    if values.ndim == 2:
        return _lists(values)
    if values.dtype.kind == "S":
        return _texts(values)
    if values.dtype == object:
        return pa.array(values, pa.string()).dictionary_encode()
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    array = pa.array(np.ma.getdata(values), mask=mask)
    return array.cast(kind) if kind and kind != array.type else array


def _texts(values: npt.NDArray[np.bytes_]) -> Any:
    """Texts of one length, as keys are, without a Python object for each."""
    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values)))


def _lists(values: npt.NDArray[Any]) -> Any:
    """Each row of a matrix as a list; rows of no numbers as null."""
    rows, width = values.shape
    if not width:
        return pa.nulls(rows, pa.list_(pa.float64()))
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.float64).ravel()))


# --------------------------------------------------------------------------------------------------------- reading


def load(
    path: str | Path | Iterable[str | Path] = "outputs", table: Table = "runs", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The runs (or ``traces``, ``blocks``) of one or many sweeps as a DataFrame, typed as COLUMNS promises.

    ``path`` is a sweep's folder, a folder of sweeps, a Parquet file, a glob pattern, or several of these. A sweep that
    still runs gives the cells that have ended. ``columns`` names those that are wanted, if not all are.
    Raises UsageError where there is nothing to load.
    """
    sources = [path] if isinstance(path, (str, Path)) else list(path)
    files = list(dict.fromkeys(file for source in sources for file in _files(str(source), table)))
    if not files:
        raise UsageError(
            f"nothing to load at {', '.join(map(str, sources))}: no {table}.parquet is there. Run a sweep first."
        )
    return _frame(_concatenated(files, columns))


def load_part(folder: Path, cell: int) -> pd.DataFrame:
    """The runs of a cell that has ended, of a sweep that goes on."""
    return load(_part(folder, cell, "runs"))


def _files(source: str, table: Table) -> list[Path]:
    pattern = glob.has_magic(source) and not Path(source).exists()
    found = [Path(match) for match in sorted(glob.glob(source))] if pattern else [Path(source)]  # noqa: PTH207 (a pattern may be absolute)
    return [file for each in found for file in _files_in(each, table)]


def _files_in(place: Path, table: Table) -> list[Path]:
    if place.is_file():
        return [place]
    if (place / f"{table}.parquet").is_file():
        return [place / f"{table}.parquet"]
    if (place / PARTS).is_dir():
        return sorted((place / PARTS).glob(f"cell-*.{table}.parquet"))
    if not place.is_dir():
        return []
    sweeps = sorted(
        {file.parent for file in place.rglob("runs.parquet")} | {each.parent for each in place.rglob(PARTS)}
    )
    return [file for sweep in sweeps if sweep != place for file in _files_in(sweep, table)]


def _concatenated(files: Sequence[Path], columns: Sequence[str] | None = None) -> pa.Table:
    tables = []
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:  # half the time of read_table, which looks for a dataset first
                _check_ours(parquet.schema_arrow)
                tables.append(_plain(parquet.read(columns)))
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{file} is not a Parquet file of gdbench ({str(error).splitlines()[0]}).") from None
    return pa.concat_tables(tables, promote_options="permissive")


def _check_ours(schema: pa.Schema) -> None:
    """ArrowInvalid unless the columns have the kinds that COLUMNS states: the table is somebody else's."""
    if "run" not in schema.names:
        raise pa.ArrowInvalid("it has no column run")
    for column in schema:
        kind = ARROW.get(COLUMNS[column.name].kind) if column.name in COLUMNS else None
        stored = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if kind and stored not in (kind, pa.null()):
            raise pa.ArrowInvalid(f"its column {column.name} is {stored}, not {kind}")


def _plain(table: pa.Table) -> pa.Table:
    """Dictionaries of one part need not be those of another: decode them."""
    for index, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(index, column.name, table.column(index).cast(column.type.value_type))
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    first = [name for name in COLUMNS if name in frame]
    return frame[[*first, *(name for name in frame if name not in COLUMNS)]] if "status" in frame else frame
