"""Writing of a sweep's folder: creation, lock, parts of cells, merging of parts; atomic, readable while it runs."""

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
from gdbench.results.arrow import ARROW_TYPES, to_arrow
from gdbench.results.atomic import explain_write_errors
from gdbench.results.columns import COLUMNS
from gdbench.results.damaged_files import DamagedFile
from gdbench.results.folder_layout import LOCK, PARTS, find_part_files, get_part_path
from gdbench.results.load import SkippedFile, read_sweep_table
from gdbench.results.locks import hold_lock, is_held
from gdbench.results.parquet_files import (
    TABLES,
    Table,
    add_missing_columns,
    read_table,
    write_table,
)

__all__ = [
    *(
        "add_run_columns",
        "begin_parts",
        "create_folder",
        "delete_parts",
        "find_named_folders",
        "is_locked",
        "lock_folder",
    ),
    *("merge_parts", "move_traces", "prepare_resume", "write_part"),
]


LOCK_TIMEOUT_S = 0.2
"""Time to wait for the lock: another process may only be testing it."""


def create_folder(outputs: str, name: str | None) -> Path:
    """New folder outputs/<date>/<time>_<name>, numbered if it exists; a sweep for readers from ``begin_parts`` on."""
    now = datetime.datetime.now()
    day = Path(outputs) / now.strftime("%Y-%m-%d")
    stem = now.strftime("%H-%M-%S") + (f"_{name}" if name else "")
    if Path(stem).name != stem:
        raise UsageError(f"name={name} must be a part of a folder's name, without / in it.")
    with explain_write_errors(outputs):
        day.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(1):
            folder = day / (stem if count == 1 else f"{stem}_{count}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()  # exclusive: of two that ask for one name, one gets it
                return folder
    raise AssertionError


def begin_parts(folder: Path) -> None:
    """Let a folder count as a sweep, once all that describes it is written: until then a kill leaves none."""
    with explain_write_errors(folder):
        (folder / PARTS).mkdir(exist_ok=True)


def find_named_folders(outputs: str, name: str) -> list[Path]:
    """Folders of the sweeps with this name."""
    wanted = re.compile(rf"\d\d-\d\d-\d\d_{re.escape(name)}(_\d+)?")
    return [folder for folder in Path(outputs).glob("*/*") if wanted.fullmatch(folder.name)]


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Context manager: exclusive write access to a sweep's folder; ``UsageError`` if another process has it."""
    with contextlib.ExitStack() as stack:
        with explain_write_errors(folder):
            (folder / LOCK).parent.mkdir(exist_ok=True)
            try:
                stack.enter_context(hold_lock(folder / LOCK, LOCK_TIMEOUT_S))
            except filelock.Timeout:
                raise UsageError(
                    f"{folder} is being written by another gdbench: wait until that has ended, or start a sweep of"
                    " another name with name=NAME."
                ) from None
        yield


def is_locked(folder: Path) -> bool | None:
    """Whether a process writes to a sweep's folder; None if unknown (no lock file, or no permission)."""
    return is_held(folder / LOCK)


def write_part(folder: Path, cell: int, tables: Mapping[Table, Mapping[str, Any]]) -> None:
    """Write a cell's tables; ``runs`` comes last and marks the part as complete."""
    with explain_write_errors(folder):
        for name in ("traces", "blocks", "runs"):
            if tables.get(name):
                write_table(to_arrow(tables[name]), get_part_path(folder, cell, name))


def move_traces(source: Path, folder: Path, cell: int) -> None:
    """Move the traces of a cell, if any, to the parts of another sweep."""
    traces = get_part_path(source, cell, "traces")
    if traces.exists():
        with explain_write_errors(folder):
            shutil.move(traces, get_part_path(folder, cell, "traces"))


def add_run_columns(folder: Path, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Add columns to the runs in a sweep's parts: values by run_id, null for other runs."""
    with explain_write_errors(folder):
        for part in find_part_files(folder, "runs"):
            table = read_table(part, "runs")
            keys = table.column("run_id").to_pylist()
            if any(key in values for values in columns.values() for key in keys):
                table = table.drop_columns([name for name in columns if name in table.column_names])
                for name, values in columns.items():
                    kind = ARROW_TYPES[COLUMNS[name].kind]
                    table = table.append_column(name, pa.array(map(values.get, keys), kind))
                write_table(table, part)


def merge_parts(folder: Path) -> None:
    """Merge the parts into one table, sorted by cell, and delete them; they replace earlier rows of their cells.

    Safe against kills: parts are deleted, runs first, only when all tables are written; traces and blocks without their
    runs do not count.
    """
    with explain_write_errors(folder):
        if find_part_files(folder, "runs"):
            for name in reversed(TABLES):
                _merge_table(folder, name)
        for name in TABLES:
            for part in (folder / PARTS).glob(f"cell-*.{name}.parquet"):
                part.unlink()
        with contextlib.suppress(OSError):  # what is not ours stays
            (folder / PARTS).rmdir()


def _merge_table(folder: Path, name: Table) -> None:
    whole, parts = folder / f"{name}.parquet", find_part_files(folder, name)
    if len(parts) == 1 and not whole.exists():  # it is the table already
        parts[0].replace(whole)
    elif parts or whole.exists():
        table = read_sweep_table(folder, name)
        assert table is not None
        if name == "runs" or whole.exists():  # of parts alone, which come in order, traces can be many
            table = table.take(pc.array_sort_indices(_find_cells(table, folder)))
        write_table(table, whole)


def _find_cells(table: pa.Table, folder: Path) -> pa.Array:
    """Cell of each row; that of traces and blocks is found by run_id."""
    if "cell" in table.column_names:
        return table.column("cell").combine_chunks()
    held = read_sweep_table(folder, "runs", ["run_id", "cell"])
    assert held is not None
    runs = add_missing_columns(held, "runs", ["run_id", "cell"])
    places = pc.index_in(table.column("run_id").combine_chunks(), value_set=runs.column("run_id").combine_chunks())
    return runs.column("cell").combine_chunks().take(places)


def prepare_resume(folder: Path) -> None:
    """Before a resume: rename damaged files, with a warning, and delete leftovers of killed processes."""
    with explain_write_errors(folder):
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
    except DamagedFile as fault:
        aside = file.with_name(f"{file.name}.unreadable")
        file.replace(aside)
        warnings.warn(f"{file} is renamed to {aside.name}: {fault}.", SkippedFile, stacklevel=4)


def delete_parts(folder: Path, numbers: Sequence[int]) -> None:
    """Delete the parts of cells that run again."""
    with explain_write_errors(folder):
        for number in numbers:
            for name in TABLES:
                get_part_path(folder, number, name).unlink(missing_ok=True)
