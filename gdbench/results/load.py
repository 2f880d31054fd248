"""Loading of the tables of sweeps; damaged files are skipped with a warning."""

from __future__ import annotations

import glob
import shlex
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results.arrow import to_pandas
from gdbench.results.columns import TABLE_COLUMNS, describe_columns
from gdbench.results.damaged_files import DamagedFile
from gdbench.results.folder_layout import LOCK, find_part_files, find_sweep_folders, get_part_path, is_sweep
from gdbench.results.locks import is_held
from gdbench.results.parquet_files import Table, add_missing_columns, read_table
from gdbench.results.schema_union import concat_tables
from gdbench.results.sweep_info import count_planned_cells, is_search
from gdbench.results.user_paths import expand_user

__all__ = ["SkippedFile", "find_origin_folders", "load", "load_cells", "load_part", "load_statuses", "read_sweep_table"]

MAX_SMALL_TABLES = 256
"""Number of tables read before they are joined."""


class SkippedFile(UserWarning):
    """A file is not a Parquet file of gdbench, or is damaged; the others are read without it."""


def load_statuses(folder: Path, cell: int) -> list[str]:
    """Statuses of the runs of a cell that has a part."""
    return [str(status) for status in load(get_part_path(folder, cell, "runs"), columns=["status"])["status"]]


def load_cells(folder: Path) -> pd.DataFrame:
    """One row per cell of a sweep: ``cell``, ``cell_fingerprint``, and ``statuses`` of its runs, joined.

    All columns are read: a cell counts only if each page of its file has the checksum that was written.
    """
    wanted = ["cell", "cell_fingerprint", "status"]
    held = read_sweep_table(folder, "runs")
    if held is None:
        return pd.DataFrame(columns=[*wanted[:2], "statuses"])
    runs = (
        to_pandas(add_missing_columns(held, "runs", wanted).select(wanted))
        .drop_duplicates()
        .fillna({"status": "unknown"})
    )
    by_cell: pd.DataFrame = runs.groupby("cell", sort=True).agg({"cell_fingerprint": "first", "status": " ".join})
    return by_cell.rename(columns={"status": "statuses"}).reset_index()


def load(
    path: str | Path | Iterable[str | Path] = "outputs", table: Table = "runs", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Load the runs (or ``traces``, ``blocks``) of one or many sweeps as a DataFrame, typed as COLUMNS states.

    ``path`` is a sweep's folder, a folder of sweeps, a Parquet file, a glob pattern, or several of these. Of a running
    sweep the finished cells are loaded. ``columns`` selects columns. ``df.attrs["columns"]`` has the meaning of each
    column, and ``df.attrs["folder"]`` the source. Raises UsageError where there is nothing to load.
    """
    if table not in TABLE_COLUMNS:
        allowed = f"{did_you_mean(str(table), TABLE_COLUMNS)} Allowed: {', '.join(TABLE_COLUMNS)}"
        raise UsageError(f"table={table!r} is not known.{allowed}.")
    sources = [expand_user(source) for source in ([path] if isinstance(path, (str, Path)) else path)]
    places = list(dict.fromkeys(place for source in sources for place in _find_sources(str(source))))
    named = set(sources)
    tables = [rows for place in places if (rows := _read_source(place, table, columns, place in named)) is not None]
    if not tables:
        if len(places) == 1 and is_sweep(places[0]) and table == "runs":
            raise UsageError(_describe_empty(places[0]))
        raise UsageError(
            f"nothing to load at {', '.join(map(str, sources))}: no {table}.parquet is there. Run a sweep first."
        )
    rows = to_pandas(add_missing_columns(concat_tables(tables), table, columns))
    rows.attrs["columns"] = describe_columns(map(str, rows), TABLE_COLUMNS[table])
    origins = [str(source.absolute()) for source in sources]
    rows.attrs["folder"] = origins[0] if len(origins) == 1 else origins
    return rows


def _describe_empty(folder: Path) -> str:
    """The error line for a sweep without rows: whether it runs, how many cells it has, how to resume it."""
    planned = count_planned_cells(folder)
    cells = "its cell" if planned == 1 else f"the first of its {format_count(planned, 'cell')}"
    if is_held(folder / LOCK):
        watch = shlex.join(["python", "-m", "gdbench", "sweeps", "watch", str(folder)])
        return f"{folder} has no rows yet: it runs, and {cells} has not ended. Follow it: {watch}."
    resume = shlex.join(["python", "-m", "gdbench", f"resume={folder}"])
    again = "Start the search again." if is_search(folder) else f"Resume it: {resume}."
    return f"{folder} has no rows: it was interrupted before {cells} had ended. {again}"


def find_origin_folders(origin: str | Sequence[str]) -> list[Path]:
    """Folders of the sweeps in ``attrs["folder"]`` of a table."""
    return [place for source in ([origin] if isinstance(origin, str) else origin) for place in _find_sources(source)]


def load_part(folder: Path, cell: int) -> pd.DataFrame:
    """Runs of a finished cell of a running sweep."""
    return load(get_part_path(folder, cell, "runs"))


def _find_sources(source: str) -> Iterator[Path]:
    """Files and sweep folders that a path or pattern stands for."""
    pattern = glob.has_magic(source) and not Path(source).exists()
    found = [Path(match) for match in sorted(glob.glob(source))] if pattern else [Path(source)]  # noqa: PTH207 (a pattern may be absolute)
    for place in found:
        if place.name == "runs.parquet" and place.is_file():
            yield place.parent
        elif place.is_file() or is_sweep(place):
            yield place
        elif place.is_dir():
            yield from find_sweep_folders(place)


def _read_source(place: Path, table: Table, columns: Sequence[str] | None, named: bool) -> pa.Table | None:
    """Table of one source; None if it has none, ``UsageError`` if it was named and is damaged."""
    file = place if place.is_file() else place / f"{table}.parquet"
    alone = file.is_file() and not find_part_files(place, table)
    if (named or place.is_file()) and alone:
        try:
            return read_table(file, table, columns)
        except DamagedFile as fault:
            raise UsageError(f"{file} is not a Parquet file of gdbench ({fault}).") from None
    return read_sweep_table(place, table, columns)


def read_sweep_table(folder: Path, table: Table = "runs", columns: Sequence[str] | None = None) -> pa.Table | None:
    """Rows of a sweep's table and parts; a part replaces the rows of its cell in the table.

    None without a readable file; a warning names each damaged one.
    """
    whole, parts = folder / f"{table}.parquet", find_part_files(folder, table)
    if not whole.is_file() or not find_part_files(folder, "runs"):
        read = _read_undamaged([*([whole] if whole.is_file() else []), *parts], table, columns)
        return concat_tables(read) if read else None
    key, again = _find_replaced(folder, table)
    named = None if columns is None else list(dict.fromkeys([*columns, key]))
    gathered = _read_undamaged([whole], table, named)
    left = [_drop_replaced(old, key, again) for old in gathered]
    both = [*left, *_read_undamaged(parts, table, named)]
    if not both:
        return None
    rows = concat_tables(both)
    return rows if columns is None else rows.select([name for name in rows.column_names if name in columns])


def _drop_replaced(old: pa.Table, key: str, again: pa.Array) -> pa.Table:
    """Rows of a table that no part replaces; all of them if it lacks the column ``key``."""
    return old.filter(pc.invert(pc.is_in(old.column(key), again))) if key in old.column_names else old


def _find_replaced(folder: Path, table: Table) -> tuple[str, pa.Array]:
    """Key column and its values, of the rows that the parts replace.

    Runs are replaced by cell; traces and blocks by run_id, of the parts' runs and of the runs that these replace.
    """
    keys = ["run_id", "cell"]
    nothing = pa.table({"run_id": pa.array([], pa.string()), "cell": pa.array([], pa.int64())})
    fresh = concat_tables([nothing, *_read_undamaged(find_part_files(folder, "runs"), "runs", keys)])
    numbers = fresh.column("cell").combine_chunks()
    if table == "runs":
        return "cell", numbers
    gathered = folder / "runs.parquet"
    old = concat_tables([nothing, *_read_undamaged([gathered] if gathered.is_file() else [], "runs", keys)])
    replaced = concat_tables([fresh, old.filter(pc.is_in(old.column("cell"), numbers))])
    return "run_id", replaced.column("run_id").combine_chunks()


def _read_undamaged(files: Sequence[Path], table: Table, columns: Sequence[str] | None) -> list[pa.Table]:
    """Rows of the readable files, in their order; a warning names each of the others."""
    tables: list[pa.Table] = []
    alike: list[pa.Table] = []
    for file in files:
        try:
            rows = read_table(file, table, columns)
            if alike and (len(alike) == MAX_SMALL_TABLES or alike[0].schema != rows.schema):
                tables.append(_join_alike(alike))
                alike = []
            alike.append(rows)
        except DamagedFile as fault:
            warnings.warn(
                f"{file} is skipped: it is not a Parquet file of gdbench ({fault}).", SkippedFile, stacklevel=3
            )
    return [*tables, _join_alike(alike)] if alike else tables


def _join_alike(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of one schema as one without their chunks: ten thousand of 90 columns take a gigabyte."""
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()
