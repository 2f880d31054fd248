"""The tables of sweep folders, read."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError, nearest
from gdbench.results.arrow import frame
from gdbench.results.columns import described
from gdbench.results.folder_layout import is_sweep, part_file, part_files, sweep_folders
from gdbench.results.paths import expand_user
from gdbench.results.schema_union import union
from gdbench.results.table_files import DESCRIBED, Table, Unreadable, promised, read_table

__all__ = ["Skipped", "cells", "load", "load_part", "statuses", "sweep_folders_of", "sweep_table"]


class Skipped(UserWarning):
    """A file that stands where a table should is none of ours, or is cut off: the others are read without it."""


def statuses(folder: Path, cell: int) -> list[str]:
    """The statuses of the runs of a cell whose part is whole."""
    return [str(status) for status in load(part_file(folder, cell, "runs"), columns=["status"])["status"]]


def cells(folder: Path) -> pd.DataFrame:
    """One row a cell of a sweep's folder: ``cell``, ``cell_fingerprint``, and its runs' ``statuses``, joined."""
    wanted = ["cell", "cell_fingerprint", "status"]
    held = sweep_table(folder, "runs", wanted)
    if held is None:
        return pd.DataFrame(columns=[*wanted[:2], "statuses"])
    runs = frame(promised(held, "runs", wanted)).drop_duplicates().astype({"status": str})
    by_cell: pd.DataFrame = runs.groupby("cell", sort=True).agg({"cell_fingerprint": "first", "status": " ".join})
    return by_cell.rename(columns={"status": "statuses"}).reset_index()


def load(
    path: str | Path | Iterable[str | Path] = "outputs", table: Table = "runs", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The runs (or ``traces``, ``blocks``) of one or many sweeps as a DataFrame, typed as COLUMNS promises.

    ``path`` is a sweep's folder, a folder of sweeps, a Parquet file, a glob pattern, or several of these. A sweep that
    still runs gives the cells that have ended. ``columns`` names those that are wanted, if not all are.
    ``df.attrs["columns"]`` says what each column means, and ``df.attrs["folder"]`` where it was loaded from.
    Raises UsageError where there is nothing to load.
    """
    if table not in DESCRIBED:
        allowed = f"{nearest(str(table), DESCRIBED)} Allowed: {', '.join(DESCRIBED)}"
        raise UsageError(f"table={table!r} is not known.{allowed}.")
    sources = [expand_user(source) for source in ([path] if isinstance(path, (str, Path)) else path)]
    places = list(dict.fromkeys(place for source in sources for place in _places(str(source))))
    named = set(sources)
    tables = [rows for place in places if (rows := _table(place, table, columns, place in named)) is not None]
    if not tables:
        raise UsageError(
            f"nothing to load at {', '.join(map(str, sources))}: no {table}.parquet is there. Run a sweep first."
        )
    rows = frame(promised(union(tables), table, columns))
    rows.attrs["columns"] = described(map(str, rows), DESCRIBED[table])
    origins = [str(source.absolute()) for source in sources]
    rows.attrs["folder"] = origins[0] if len(origins) == 1 else origins
    return rows


def sweep_folders_of(origin: str | Sequence[str]) -> list[Path]:
    """The folders of the sweeps at ``attrs["folder"]`` of a table."""
    return [place for source in ([origin] if isinstance(origin, str) else origin) for place in _places(source)]


def load_part(folder: Path, cell: int) -> pd.DataFrame:
    """The runs of a cell that has ended, of a sweep that goes on."""
    return load(part_file(folder, cell, "runs"))


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
            yield from sweep_folders(place)


def _table(place: Path, table: Table, columns: Sequence[str] | None, named: bool) -> pa.Table | None:
    """The table of one place; None where it has none, and UsageError where it was named and cannot be read."""
    file = place if place.is_file() else place / f"{table}.parquet"
    alone = file.is_file() and not part_files(place, table)
    if (named or place.is_file()) and alone:
        try:
            return read_table(file, table, columns)
        except Unreadable as fault:
            raise UsageError(f"{file} is not a Parquet file of gdbench ({fault}).") from None
    return sweep_table(place, table, columns)


def sweep_table(folder: Path, table: Table = "runs", columns: Sequence[str] | None = None) -> pa.Table | None:
    """A sweep's rows, gathered or not: of a cell that has been done again, the part alone.

    None where it has no such table, or none that can be read: a warning names each file that cannot.
    """
    whole, parts = folder / f"{table}.parquet", part_files(folder, table)
    if not whole.is_file() or not part_files(folder, "runs"):
        read = _readable([*([whole] if whole.is_file() else []), *parts], table, columns)
        return union(read) if read else None
    key, again = _done_again(folder, table)
    named = None if columns is None else list(dict.fromkeys([*columns, key]))
    gathered = _readable([whole], table, named)
    left = [_without(old, key, again) for old in gathered]
    both = [*left, *_readable(parts, table, named)]
    if not both:
        return None
    rows = union(both)
    return rows if columns is None else rows.select([name for name in rows.column_names if name in columns])


def _without(old: pa.Table, key: str, again: pa.Array) -> pa.Table:
    """The rows of a gathered table that no part replaces; all of them where it does not tell."""
    return old.filter(pc.invert(pc.is_in(old.column(key), again))) if key in old.column_names else old


def _done_again(folder: Path, table: Table) -> tuple[str, pa.Array]:
    """Which rows of a gathered table the parts replace: a column, and its values there.

    Runs go by their cell. Traces and blocks know their run alone: those of the parts, and of the cells they replace.
    """
    keys = ["run_id", "cell"]
    nothing = pa.table({"run_id": pa.array([], pa.string()), "cell": pa.array([], pa.int64())})
    fresh = union([nothing, *_readable(part_files(folder, "runs"), "runs", keys)])
    numbers = fresh.column("cell").combine_chunks()
    if table == "runs":
        return "cell", numbers
    gathered = folder / "runs.parquet"
    old = union([nothing, *_readable([gathered] if gathered.is_file() else [], "runs", keys)])
    replaced = union([fresh, old.filter(pc.is_in(old.column("cell"), numbers))])
    return "run_id", replaced.column("run_id").combine_chunks()


def _readable(files: Sequence[Path], table: Table, columns: Sequence[str] | None) -> list[pa.Table]:
    """The tables of the files that are whole and ours; a warning names each of the others."""
    tables = []
    for file in files:
        try:
            tables.append(read_table(file, table, columns))
        except Unreadable as fault:
            warnings.warn(f"{file} is skipped: it is not a Parquet file of gdbench ({fault}).", Skipped, stacklevel=3)
    return tables
