"""Layout of a sweep's folder, and the search for such folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gdbench.results.parquet_files import Table

__all__ = [
    *("LOCK", "PARTS", "find_finished_cells", "find_part_files", "find_sweep_folders", "get_part_path"),
    *("is_sweep", "walk_sweeps"),
]


PARTS = "parts"
"""Subfolder with one file per cell and table, until these are merged at the end of the sweep."""
LOCK = ".hydra/lock"
"""Locked by the process that writes to a sweep's folder; the system releases it when that process ends."""


def get_part_path(folder: Path, cell: int, table: Table) -> Path:
    """Path of a cell's rows of a table until they are merged."""
    return folder / PARTS / f"cell-{cell:05d}.{table}.parquet"


def find_part_files(folder: Path, table: Table) -> list[Path]:
    """Part files of a table, sorted; traces and blocks count only beside the runs of their cell."""
    found = sorted((folder / PARTS).glob(f"cell-*.{table}.parquet"))
    return [part for part in found if get_part_path(folder, _parse_cell(part), "runs").exists()]


def find_finished_cells(folder: Path) -> set[int]:
    """Numbers of the cells that have a part."""
    return {_parse_cell(path) for path in find_part_files(folder, "runs")}


def _parse_cell(part: Path) -> int:
    """Number of the cell of a part, of five digits or more."""
    return int(part.name.removeprefix("cell-").partition(".")[0])


def find_sweep_folders(place: Path) -> list[Path]:
    """Folders of all sweeps at or below ``place``, sorted."""
    return sorted(folder for folder, _ in walk_sweeps(place))


def walk_sweeps(place: Path) -> Iterator[tuple[Path, dict[str, os.DirEntry[str]]]]:
    """Folder of each sweep at or below ``place``, with its entries.

    Hidden folders and links are not followed: a sweep that is being removed or unpacked does not count.
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
