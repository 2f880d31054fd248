"""Where the files of a sweep lie in its folder, and where the folders of sweeps are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gdbench.results.parquet_files import Table

__all__ = [
    "PARTS",
    "find_finished_cells",
    "find_part_files",
    "find_sweep_folders",
    "get_part_path",
    "is_sweep",
    "walk_sweeps",
]


PARTS = "parts"
"""The folder, inside a sweep's, where each cell's rows lie from the moment it ends until the sweep is gathered."""


def get_part_path(folder: Path, cell: int, table: Table) -> Path:
    """Where a cell's rows of a table lie until the sweep is gathered."""
    return folder / PARTS / f"cell-{cell:05d}.{table}.parquet"


def find_part_files(folder: Path, table: Table) -> list[Path]:
    """The parts of a table; traces and blocks without their runs are of a cell that was cut off, or gathered."""
    found = sorted((folder / PARTS).glob(f"cell-*.{table}.parquet"))
    return [part for part in found if get_part_path(folder, int(part.name[5:10]), "runs").exists()]


def find_finished_cells(folder: Path) -> set[int]:
    """The cells that have left a part."""
    return {int(path.name[5:10]) for path in find_part_files(folder, "runs")}


def find_sweep_folders(place: Path) -> list[Path]:
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
