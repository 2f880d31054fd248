"""Columns to Parquet and back: atomic, append-only, readable while a sweep runs."""

from __future__ import annotations

import contextlib
import datetime
import glob
import itertools
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gdbench.columns import BLOCK_COLUMNS, TRACE_COLUMNS, described
from gdbench.constant import is_constant
from gdbench.schema import COLUMNS, UsageError

__all__ = [
    "ARROW",
    "PARTS",
    "TABLES",
    "Skipped",
    "busy",
    "cells",
    "discard",
    "frame",
    "gather",
    "is_sweep",
    "load",
    "load_part",
    "locked",
    "named",
    "new_folder",
    "part_numbers",
    "set_aside",
    "statuses",
    "sweep_table",
    "write_json",
    "write_part",
    "writing",
]

Table = Literal["runs", "traces", "blocks"]
TABLES: tuple[Table, ...] = ("runs", "traces", "blocks")
DESCRIBED = {"runs": COLUMNS, "traces": TRACE_COLUMNS, "blocks": BLOCK_COLUMNS}
PARTS = "parts"
"""The folder, inside a sweep's, where each cell's rows lie from the moment it ends until the sweep is gathered."""

LOCK = ".hydra/lock"
"""A file that the process which writes to a sweep's folder holds locked; the system frees it when that dies."""
ASKED_S = 0.2
"""How long to wait for it: somebody may only be asking whether it is held."""

CHUNK = 2**16
"""Rows of a constant that take memory, however many there are."""
SMALL = 1000
"""Tables of at most this many rows are not compressed."""

ARROW = {
    "str": pa.string(),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}


class Skipped(UserWarning):
    """A file that stands where a table should is none of ours, or is cut off: the others are read without it."""


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


def named(outputs: str, name: str) -> list[Path]:
    """The folders of the sweeps of this name."""
    wanted = re.compile(rf"\d\d-\d\d-\d\d_{re.escape(name)}(_\d+)?")
    return [folder for folder in Path(outputs).glob("*/*") if wanted.fullmatch(folder.name)]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that writes to a sweep's folder; ``UsageError`` where another one is."""
    with writing(folder):
        (folder / LOCK).parent.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder / LOCK, timeout=ASKED_S)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise UsageError(
                f"{folder} is being written by another gdbench: wait until that has ended, or start a sweep of another"
                " name with name=NAME."
            ) from None
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path) -> bool | None:
    """Whether a process writes to a sweep's folder; None where that cannot be told: no lock is there, or not for us."""
    if not (folder / LOCK).is_file():
        return None
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:  # a folder that we may only read
        return None
    lock.release()
    return False


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


def _parts(folder: Path, table: Table) -> list[Path]:
    """The parts of a table; traces and blocks without their runs are of a cell that was cut off, or gathered."""
    found = sorted((folder / PARTS).glob(f"cell-*.{table}.parquet"))
    return [part for part in found if _part(folder, int(part.name[5:10]), "runs").exists()]


def part_numbers(folder: Path) -> set[int]:
    """The cells that have left a part."""
    return {int(path.name[5:10]) for path in _parts(folder, "runs")}


def statuses(folder: Path, cell: int) -> list[str]:
    """The statuses of the runs of a cell whose part is whole."""
    return [str(status) for status in load(_part(folder, cell, "runs"), columns=["status"])["status"]]


def gather(folder: Path) -> None:
    """Make one table of the parts, in the order of the cells, and remove them; earlier rows of their cells go.

    Killed at any moment it leaves what can be gathered again: parts go when all tables are there, runs first, for what
    is left without its runs does not count.
    """
    with writing(folder):
        if _parts(folder, "runs"):
            for name in reversed(TABLES):
                _gather_table(folder, name)
        for name in TABLES:
            for part in (folder / PARTS).glob(f"cell-*.{name}.parquet"):
                part.unlink()
        with contextlib.suppress(OSError):  # what is not ours stays
            (folder / PARTS).rmdir()


def _gather_table(folder: Path, name: Table) -> None:
    whole, parts = folder / f"{name}.parquet", _parts(folder, name)
    if len(parts) == 1 and not whole.exists():  # it is the table already
        parts[0].replace(whole)
    elif parts or whole.exists():
        table = sweep_table(folder, name)
        assert table is not None
        if name == "runs" or whole.exists():  # of parts alone, which come in order, traces can be many
            table = table.take(pc.array_sort_indices(_cells(table, folder)))
        _write(table, whole)


def _cells(table: pa.Table, folder: Path) -> pa.Array:
    """The cell of each row; traces and blocks know their run alone, whose cell is told by the runs."""
    if "cell" in table.column_names:
        return table.column("cell").combine_chunks()
    runs = sweep_table(folder, "runs", ["run", "cell"])
    assert runs is not None
    places = pc.index_in(table.column("run").combine_chunks(), value_set=runs.column("run").combine_chunks())
    return runs.column("cell").combine_chunks().take(places)


def set_aside(folder: Path) -> None:
    """Before a sweep goes on: rename what cannot be read, with a warning, and remove what a killed process left."""
    with writing(folder):
        (folder / PARTS).mkdir(exist_ok=True)
        for left in [*folder.glob(".*.parquet.*"), *(folder / PARTS).glob(".*.parquet.*")]:
            left.unlink()
        for file in [*(folder / f"{name}.parquet" for name in TABLES), *(folder / PARTS).glob("*.parquet")]:
            if file.exists() and (fault := _fault(file)):
                aside = file.with_name(f"{file.name}.unreadable")
                file.replace(aside)
                warnings.warn(f"{file} is renamed to {aside.name}: {fault}.", Skipped, stacklevel=2)


def discard(folder: Path, numbers: Sequence[int]) -> None:
    """Remove the parts of cells that are to run again."""
    with writing(folder):
        for number in numbers:
            for name in TABLES:
                _part(folder, number, name).unlink(missing_ok=True)


def cells(folder: Path) -> pd.DataFrame:
    """What a sweep's folder holds, one row a cell: ``cell``, ``cell_key``, and its runs' ``statuses``, joined."""
    wanted = ["cell", "cell_key", "status"]
    held = sweep_table(folder, "runs", wanted)
    if held is None:
        return pd.DataFrame(columns=[*wanted[:2], "statuses"])
    runs = held.to_pandas().reindex(columns=wanted).drop_duplicates()
    by_cell: pd.DataFrame = runs.groupby("cell", sort=True).agg({"cell_key": "first", "status": " ".join})
    return by_cell.rename(columns={"status": "statuses"}).reset_index()


def _write(table: pa.Table, path: Path) -> None:
    """Write beside, flush to the disk, rename: a reader sees a whole file or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            # A compressor for each of 80 columns: 4.5 ms against 1.8, and for a few rows nothing to show for it.
            if table.num_rows > SMALL:
                pq.write_table(table, file, compression="zstd", use_dictionary=_repeating(table))
            else:
                pq.write_table(table, file, compression="none")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _repeating(table: pa.Table) -> list[str]:
    """The columns whose values come again: of the others a dictionary takes 0.5 s a million rows, and is dropped."""
    sample = table.slice(0, SMALL)
    flat = [field.name for field in sample.schema if not pa.types.is_nested(field.type)]
    return [name for name in flat if len(sample[name].unique()) < SMALL / 2]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path.parent):
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def arrow(columns: Mapping[str, Any]) -> pa.Table:
    """Columns of numpy arrays, or of constants, as a table; the kinds are those that COLUMNS states."""
    rows = next(len(each) for each in columns.values() if isinstance(each, np.ndarray))
    return pa.table({name: _array(name, values, rows) for name, values in columns.items()})


def _array(name: str, values: Any, rows: int) -> Any:
    kind = ARROW.get(COLUMNS[name].kind) if name in COLUMNS else None
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray) and is_constant(values):
        values = values[:1].tolist()[0]
    if not isinstance(values, np.ndarray):
        return _repeated(values, kind, rows)
    if values.ndim == 2:
        return _lists(values)
    if values.dtype.kind == "S":
        return _texts(values)
    if values.dtype == object:
        return pa.array(values, pa.string()).dictionary_encode()
    return _numbers(values, kind)


def _repeated(value: Any, kind: Any, rows: int) -> Any:
    """One value in all rows: a chunk of it, again and again."""
    chunk = _chunk(value, kind, min(rows, CHUNK))
    whole, rest = divmod(rows, CHUNK)
    return pa.chunked_array([*[chunk] * whole, chunk.slice(0, rest)], chunk.type)


def _chunk(value: Any, kind: Any, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, kind)
    scalar = pa.scalar(value if isinstance(value, (int, float, str, datetime.datetime)) else str(value), kind)
    if pa.types.is_string(scalar.type):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([scalar.as_py()], pa.string()))
    return pa.repeat(scalar, rows)


def _numbers(values: npt.NDArray[Any], kind: Any) -> Any:
    """Numbers of numpy's, converted there to the kind that was promised: it is much faster at it than Arrow."""
    mask = np.ma.getmask(values)
    data = np.ma.getdata(values)
    if kind in (pa.int64(), pa.float64()):
        data = data.astype(kind.to_pandas_dtype(), copy=False)
    array = pa.array(data, mask=None if mask is np.ma.nomask or not mask.any() else mask)
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
    ``df.attrs["columns"]`` says what each column means.
    Raises UsageError where there is nothing to load.
    """
    sources = [path] if isinstance(path, (str, Path)) else list(path)
    places = list(dict.fromkeys(place for source in sources for place in _places(str(source))))
    named = {Path(source) for source in sources}
    tables = [found for each in places if (found := _table(each, table, columns, each in named)) is not None]
    if not tables:
        raise UsageError(
            f"nothing to load at {', '.join(map(str, sources))}: no {table}.parquet is there. Run a sweep first."
        )
    told = frame(_concatenated(tables))
    told.attrs["columns"] = described(map(str, told), DESCRIBED[table])
    return told


def load_part(folder: Path, cell: int) -> pd.DataFrame:
    """The runs of a cell that has ended, of a sweep that goes on."""
    return load(_part(folder, cell, "runs"))


def _places(source: str) -> Iterator[Path]:
    """The files and the sweeps' folders that a source stands for."""
    pattern = glob.has_magic(source) and not Path(source).exists()
    found = [Path(match) for match in sorted(glob.glob(source))] if pattern else [Path(source)]  # noqa: PTH207 (a pattern may be absolute)
    for place in found:
        if place.name == "runs.parquet" and place.is_file():
            yield place.parent
        elif place.is_file() or is_sweep(place):
            yield place
        elif place.is_dir():
            below = {file.parent for file in place.rglob("runs.parquet")} | {each.parent for each in place.rglob(PARTS)}
            yield from sorted(below)


def is_sweep(place: Path) -> bool:
    """Whether a folder is that of a sweep, running or ended."""
    return (place / "runs.parquet").is_file() or (place / PARTS).is_dir()


def _table(place: Path, table: Table, columns: Sequence[str] | None, named: bool) -> pa.Table | None:
    """The table of one place; None where it has none, and UsageError where it was named and cannot be read."""
    file = place if place.is_file() else place / f"{table}.parquet"
    alone = file.is_file() and not _parts(place, table)
    if (named or place.is_file()) and alone and (fault := _fault(file)):
        raise UsageError(f"{file} is not a Parquet file of gdbench ({fault}).")
    return _read(file, columns) if place.is_file() else sweep_table(place, table, columns)


def sweep_table(folder: Path, table: Table = "runs", columns: Sequence[str] | None = None) -> pa.Table | None:
    """A sweep's rows, gathered or not: of a cell that has been done again, the part alone."""
    whole, parts = folder / f"{table}.parquet", _readable(_parts(folder, table))
    gathered = _readable([whole] if whole.is_file() else [])
    if not gathered or not _parts(folder, "runs"):
        found = [_read(file, columns) for file in (*gathered, *parts)]
        return _concatenated(found) if found else None
    key, again = _done_again(folder, table)
    named = None if columns is None else list(dict.fromkeys([*columns, key]))
    old = _read(whole, named)
    kept = old.filter(pc.invert(pc.is_in(old.column(key), again)))
    both = _concatenated([kept, *(_read(part, named) for part in parts)])
    return both if columns is None else both.select([name for name in both.column_names if name in columns])


def _done_again(folder: Path, table: Table) -> tuple[str, pa.Array]:
    """Which rows of a gathered table the parts replace: a column, and its values there.

    Runs go by their cell. Traces and blocks know their run alone: those of the parts, and of the cells they replace.
    """
    keys = ["run", "cell"]
    nothing = pa.table({"run": pa.array([], pa.string()), "cell": pa.array([], pa.int64())})
    fresh = _concatenated([nothing, *(_read(part, keys) for part in _readable(_parts(folder, "runs")))])
    numbers = fresh.column("cell").combine_chunks()
    if table == "runs":
        return "cell", numbers
    gathered = folder / "runs.parquet"
    old = _read(gathered, keys) if gathered.is_file() and _fault(gathered) is None else nothing
    replaced = _concatenated([fresh, old.filter(pc.is_in(old.column("cell"), numbers))])
    return "run", replaced.column("run").combine_chunks()


def _readable(files: Sequence[Path]) -> list[Path]:
    """The files that are whole and ours; a warning names each of the others."""
    whole = []
    for file in files:
        if fault := _fault(file):
            warnings.warn(f"{file} is skipped: it is not a Parquet file of gdbench ({fault}).", Skipped, stacklevel=2)
        else:
            whole.append(file)
    return whole


def _fault(file: Path) -> str | None:
    """Why a file is no table of ours, in a few words; None where it is one."""
    try:
        with pq.ParquetFile(file) as parquet:
            _check_ours(parquet.schema_arrow)
    except (pa.ArrowInvalid, OSError) as error:
        return str(error).splitlines()[0].rstrip(".")
    return None


def _read(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    with pq.ParquetFile(file) as parquet:  # half the time of read_table, which looks for a dataset first
        return _plain(parquet.read(columns))


def _concatenated(tables: Sequence[pa.Table]) -> pa.Table:
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


def frame(table: pa.Table) -> pd.DataFrame:
    """A table as a DataFrame, in the order and with the types that COLUMNS promises."""
    kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
    rows: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    first = [name for name in COLUMNS if name in rows]
    return rows[[*first, *(name for name in rows if name not in COLUMNS)]] if "status" in rows else rows
