"""What describes a sweep as a whole: its start, commit, machine and planned cells; and signatures that show changes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench.results.damaged_files import DamagedFile, read_json
from gdbench.results.environment_file import parse_folder_time, read_environment
from gdbench.results.folder_layout import PARTS, walk_sweeps

__all__ = ["SweepInfo", "compute_signatures", "count_planned_cells", "is_search", "read_sweep_info"]

TABLE = "runs.parquet"
SIGNATURE_FILES = (TABLE, PARTS, "environment.json")
"""Entries that change whenever a sweep does: its table, its parts and its environment."""


@dataclass(frozen=True)
class SweepInfo:
    """Properties of a sweep that all its runs share, in addition to their columns."""

    folder: str
    """Relative to outputs, with slashes."""
    signature: str
    began: float
    """Seconds since 1970."""
    planned: int
    """Number of cells planned."""
    ended: int
    """Number of cells with rows."""
    commit: str = ""
    dirty: bool | None = None
    machine: str = ""
    fault: str = ""
    """Why its table cannot be read; empty if it can."""


def compute_signatures(outputs: Path) -> dict[str, str]:
    """Signature of every sweep below ``outputs``: a text that changes when its tables do."""
    return {
        folder.relative_to(outputs).as_posix() or ".": _compute_signature(entries)
        for folder, entries in sorted(walk_sweeps(outputs))
    }


def _compute_signature(entries: Mapping[str, os.DirEntry[str]]) -> str:
    """Sizes, modification times and inode change times: a copy may preserve the first two."""
    signed = []
    for name in SIGNATURE_FILES:
        with contextlib.suppress(KeyError, OSError):
            state = entries[name].stat()
            signed.append(f"{name[0]}{state.st_size:x}.{state.st_mtime_ns:x}.{state.st_ctime_ns:x}")
    return " ".join(signed)


def read_sweep_info(outputs: Path, name: str, signature: str, began: float | None, ended: int, fault: str) -> SweepInfo:
    """Properties of a sweep from its folder; ``began`` is the first start of the ``ended`` cells, if any."""
    folder = outputs / name
    environment = read_environment(folder / "environment.json")
    git = environment.get("git", {})
    checkout = git.get("folder") or git.get("gdbench") or {}
    return SweepInfo(
        folder=name,
        signature=signature,
        began=began if began is not None else parse_folder_time(folder),
        planned=count_planned_cells(folder),
        ended=ended,
        commit=str(checkout.get("commit", "")),
        dirty=bool(checkout["dirty"]) if checkout.get("dirty") is not None else None,
        machine=_describe_machine(environment),
        fault=fault,
    )


def _describe_machine(environment: Mapping[str, Any]) -> str:
    cpu, count = environment.get("cpu"), environment.get("cpu_count")
    words = [f"{cpu} ×{count}" if count else str(cpu)] if cpu else []
    return " + ".join([*words, *map(str, environment.get("accelerators") or [])])


def is_search(folder: Path) -> bool:
    """Whether a sweep is adaptive: not all of its cells were planned when it began, and it cannot be resumed."""
    return not (folder / ".hydra" / "cells.json").is_file()


def count_planned_cells(folder: Path) -> int:
    """Number of cells planned; of an adaptive sweep, those planned so far."""
    with contextlib.suppress(FileNotFoundError, DamagedFile):
        return len(read_json(folder / ".hydra" / "cells.json", dict))
    return len(list((folder / ".hydra").glob("cell-*.yaml")))
