"""Marks of running cells in a sweep's folder: they tell in which cells a process ended that wrote nothing more."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gdbench.results.atomic import explain_write_errors

__all__ = ["RunningCell", "delete_marks", "get_mark_path", "mark_running", "read_marks"]


@dataclass(frozen=True)
class RunningCell:
    """A cell that has begun and has not ended."""

    cell: int
    label: str
    limit: str | None = None
    """The setting whose limit was over when its process was killed; None where nothing killed it, or somebody else."""

    @property
    def text(self) -> str:
        """The cell in a few words."""
        return f"cell {self.cell} ({self.label})"


def get_mark_path(folder: Path, cell: int) -> Path:
    """The file that exists while a cell runs."""
    return folder / ".hydra" / f"running-{cell:05d}.json"


@contextlib.contextmanager
def mark_running(folder: Path, cell: int, label: str) -> Iterator[Path]:
    """Mark a cell as running until it ends, in whatever way but the end of its process."""
    mark = get_mark_path(folder, cell)
    with explain_write_errors(folder):
        mark.parent.mkdir(exist_ok=True)
        content = {"cell": cell, "label": label, "host": platform.node(), "process": os.getpid()}
        mark.write_text(json.dumps(content), encoding="utf-8")
    try:
        yield mark
    finally:
        with contextlib.suppress(OSError):  # the folder has gone, or the disk is read-only
            mark.unlink()


def read_marks(folder: Path) -> dict[int, RunningCell]:
    """The cells that are marked as running, by number; of a sweep that is not locked their processes have ended."""
    cells = {}
    for mark in sorted((folder / ".hydra").glob("running-*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # ended meanwhile, or cut off
            content = json.loads(mark.read_text(encoding="utf-8"))
            cell = RunningCell(int(content["cell"]), str(content["label"]), content.get("limit"))
            cells[cell.cell] = cell
    return cells


def delete_marks(folder: Path) -> None:
    """Delete all marks of a sweep that nobody runs any more."""
    for mark in (folder / ".hydra").glob("running-*.json"):
        with contextlib.suppress(FileNotFoundError):
            mark.unlink()
