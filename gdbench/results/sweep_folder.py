"""Columns to Parquet and back: atomic, append-only, readable while a sweep runs."""

from __future__ import annotations

import contextlib
import datetime
import errno
import glob
import itertools
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError, nearest
from gdbench.results.arrow import ARROW, arrow, frame
from gdbench.results.columns import described
from gdbench.results.paths import expand_user
from gdbench.results.schema_union import union
from gdbench.results.table_files import DESCRIBED, TABLES, Table, Unreadable, promised, read_table, write_table

__all__ = [
    "PARTS",
    "TABLES",
    "Skipped",
    "Table",
    "busy",
    "cells",
    "discard",
    "gather",
    "is_sweep",
    "load",
    "load_part",
    "locked",
    "mark_runs",
    "move_traces",
    "named",
    "new_folder",
    "part_numbers",
    "set_aside",
    "statuses",
    "sweep_folders",
    "sweep_folders_of",
    "sweep_table",
    "write_json",
    "write_part",
    "writing",
]

PARTS = "parts"
"""The folder, inside a sweep's, where each cell's rows lie from the moment it ends until the sweep is gathered."""

LOCK = ".hydra/lock"
"""A file that the process which writes to a sweep's folder holds locked; the system frees it when that dies."""
ASKED_S = 0.2
"""How long to wait for it: somebody may only be asking whether it is held."""


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
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space or choose" if full else "Choose"
        raise UsageError(
            f"outputs={place} cannot be written ({error.strerror or error})."
            f" {advice} another folder with outputs=FOLDER; finished parts are intact."
        ) from error


# --------------------------------------------------------------------------------------------------------- writing


def write_part(folder: Path, cell: int, tables: Mapping[Table, Mapping[str, Any]]) -> None:
    """Put a cell's rows on disk; its ``runs`` come last, and say by being there that the part is whole."""
    with writing(folder):
        for name in ("traces", "blocks", "runs"):
            if tables.get(name):
                write_table(arrow(tables[name]), _part(folder, cell, name))


def move_traces(source: Path, folder: Path, cell: int) -> None:
    """Move the traces of a cell, if it has any, from one sweep's parts to those of another that has none."""
    traces = _part(source, cell, "traces")
    if traces.exists():
        with writing(folder):
            shutil.move(traces, _part(folder, cell, "traces"))


def mark_runs(folder: Path, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Add columns to the runs in a sweep's parts: a value for some runs, by their keys, and null for all others."""
    with writing(folder):
        for part in _parts(folder, "runs"):
            table = read_table(part, "runs")
            keys = table.column("run").to_pylist()
            if any(key in values for values in columns.values() for key in keys):
                table = table.drop_columns([name for name in columns if name in table.column_names])
                for name, values in columns.items():
                    kind = ARROW[DESCRIBED["runs"][name].kind]
                    table = table.append_column(name, pa.array(map(values.get, keys), kind))
                write_table(table, part)


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
        write_table(table, whole)


def _cells(table: pa.Table, folder: Path) -> pa.Array:
    """The cell of each row; traces and blocks know their run alone, whose cell is told by the runs."""
    if "cell" in table.column_names:
        return table.column("cell").combine_chunks()
    held = sweep_table(folder, "runs", ["run", "cell"])
    assert held is not None
    runs = promised(held, "runs", ["run", "cell"])
    places = pc.index_in(table.column("run").combine_chunks(), value_set=runs.column("run").combine_chunks())
    return runs.column("cell").combine_chunks().take(places)


def set_aside(folder: Path) -> None:
    """Before a sweep goes on: rename what cannot be read, with a warning, and remove what a killed process left."""
    with writing(folder):
        (folder / PARTS).mkdir(exist_ok=True)
        for place in (folder, folder / ".hydra", folder / PARTS):
            for left in place.glob(".*.[0-9]*"):  # as write_table and write_text call what they have not written whole
                left.unlink()
        for name in TABLES:
            for file in [folder / f"{name}.parquet", *(folder / PARTS).glob(f"*.{name}.parquet")]:
                if file.exists():
                    _rename_unreadable(file, name)


def _rename_unreadable(file: Path, table: Table) -> None:
    try:
        read_table(file, table)
    except Unreadable as fault:
        aside = file.with_name(f"{file.name}.unreadable")
        file.replace(aside)
        warnings.warn(f"{file} is renamed to {aside.name}: {fault}.", Skipped, stacklevel=4)


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
    runs = frame(promised(held, "runs", wanted)).drop_duplicates().astype({"status": str})
    by_cell: pd.DataFrame = runs.groupby("cell", sort=True).agg({"cell_key": "first", "status": " ".join})
    return by_cell.rename(columns={"status": "statuses"}).reset_index()


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


# --------------------------------------------------------------------------------------------------------- reading


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
            yield from sweep_folders(place)


def sweep_folders(place: Path) -> list[Path]:
    """The folders of all sweeps at or below a place, in the order of their names."""
    return sorted(folder for folder, _ in walk_sweeps(place))


def walk_sweeps(place: Path) -> Iterator[tuple[Path, dict[str, os.DirEntry[str]]]]:
    """The folder of each sweep at or below a place, with its entries.

    Hidden folders are not entered, nor are links: a sweep that is being removed or unpacked is none yet.
    """
    try:
        with os.scandir(place) as scanned:
            entries = {entry.name: entry for entry in scanned}
    except OSError:  # gone meanwhile, or not ours to read
        return
    if "runs.parquet" in entries or PARTS in entries:
        yield place, entries
        return
    for name, entry in entries.items():
        if entry.is_dir(follow_symlinks=False) and not name.startswith("."):
            yield from walk_sweeps(place / name)


def is_sweep(place: Path) -> bool:
    """Whether a folder is that of a sweep, running or ended."""
    return (place / "runs.parquet").is_file() or (place / PARTS).is_dir()


def _table(place: Path, table: Table, columns: Sequence[str] | None, named: bool) -> pa.Table | None:
    """The table of one place; None where it has none, and UsageError where it was named and cannot be read."""
    file = place if place.is_file() else place / f"{table}.parquet"
    alone = file.is_file() and not _parts(place, table)
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
    whole, parts = folder / f"{table}.parquet", _parts(folder, table)
    if not whole.is_file() or not _parts(folder, "runs"):
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
    keys = ["run", "cell"]
    nothing = pa.table({"run": pa.array([], pa.string()), "cell": pa.array([], pa.int64())})
    fresh = union([nothing, *_readable(_parts(folder, "runs"), "runs", keys)])
    numbers = fresh.column("cell").combine_chunks()
    if table == "runs":
        return "cell", numbers
    gathered = folder / "runs.parquet"
    old = union([nothing, *_readable([gathered] if gathered.is_file() else [], "runs", keys)])
    replaced = union([fresh, old.filter(pc.is_in(old.column("cell"), numbers))])
    return "run", replaced.column("run").combine_chunks()


def _readable(files: Sequence[Path], table: Table, columns: Sequence[str] | None) -> list[pa.Table]:
    """The tables of the files that are whole and ours; a warning names each of the others."""
    tables = []
    for file in files:
        try:
            tables.append(read_table(file, table, columns))
        except Unreadable as fault:
            warnings.warn(f"{file} is skipped: it is not a Parquet file of gdbench ({fault}).", Skipped, stacklevel=3)
    return tables
