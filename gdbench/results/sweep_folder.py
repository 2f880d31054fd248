"""Columns to Parquet and back: atomic, append-only, readable while a sweep runs."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError
from gdbench.results.arrow import ARROW, arrow
from gdbench.results.atomic import writing
from gdbench.results.folder_layout import PARTS, part_file, part_files
from gdbench.results.load import Skipped, sweep_table
from gdbench.results.table_files import DESCRIBED, TABLES, Table, Unreadable, promised, read_table, write_table

__all__ = [
    "busy",
    "discard",
    "gather",
    "locked",
    "mark_runs",
    "move_traces",
    "named",
    "new_folder",
    "set_aside",
    "write_part",
]


LOCK = ".hydra/lock"
"""A file that the process which writes to a sweep's folder holds locked; the system frees it when that dies."""
ASKED_S = 0.2
"""How long to wait for it: somebody may only be asking whether it is held."""


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


def write_part(folder: Path, cell: int, tables: Mapping[Table, Mapping[str, Any]]) -> None:
    """Put a cell's rows on disk; its ``runs`` come last, and say by being there that the part is whole."""
    with writing(folder):
        for name in ("traces", "blocks", "runs"):
            if tables.get(name):
                write_table(arrow(tables[name]), part_file(folder, cell, name))


def move_traces(source: Path, folder: Path, cell: int) -> None:
    """Move the traces of a cell, if it has any, from one sweep's parts to those of another that has none."""
    traces = part_file(source, cell, "traces")
    if traces.exists():
        with writing(folder):
            shutil.move(traces, part_file(folder, cell, "traces"))


def mark_runs(folder: Path, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Add columns to the runs in a sweep's parts: a value for some runs, by their keys, and null for all others."""
    with writing(folder):
        for part in part_files(folder, "runs"):
            table = read_table(part, "runs")
            keys = table.column("run_id").to_pylist()
            if any(key in values for values in columns.values() for key in keys):
                table = table.drop_columns([name for name in columns if name in table.column_names])
                for name, values in columns.items():
                    kind = ARROW[DESCRIBED["runs"][name].kind]
                    table = table.append_column(name, pa.array(map(values.get, keys), kind))
                write_table(table, part)


def gather(folder: Path) -> None:
    """Make one table of the parts, in the order of the cells, and remove them; earlier rows of their cells go.

    Killed at any moment it leaves what can be gathered again: parts go when all tables are there, runs first, for what
    is left without its runs does not count.
    """
    with writing(folder):
        if part_files(folder, "runs"):
            for name in reversed(TABLES):
                _gather_table(folder, name)
        for name in TABLES:
            for part in (folder / PARTS).glob(f"cell-*.{name}.parquet"):
                part.unlink()
        with contextlib.suppress(OSError):  # what is not ours stays
            (folder / PARTS).rmdir()


def _gather_table(folder: Path, name: Table) -> None:
    whole, parts = folder / f"{name}.parquet", part_files(folder, name)
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
    held = sweep_table(folder, "runs", ["run_id", "cell"])
    assert held is not None
    runs = promised(held, "runs", ["run_id", "cell"])
    places = pc.index_in(table.column("run_id").combine_chunks(), value_set=runs.column("run_id").combine_chunks())
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
                part_file(folder, number, name).unlink(missing_ok=True)
