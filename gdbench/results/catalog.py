"""Catalogue of the sweeps in a folder: find them, detect changes, read what describes each as a whole."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench.errors import UsageError, did_you_mean, list_few
from gdbench.results.damaged_files import DamagedFile, read_json
from gdbench.results.environment_file import parse_folder_time, read_environment, read_start_time
from gdbench.results.folder_layout import PARTS, find_sweep_folders, is_sweep, walk_sweeps
from gdbench.results.labels import read_labels
from gdbench.results.sweep_folder import is_locked
from gdbench.results.user_paths import expand_user

__all__ = [
    *("SweepInfo", "SweepNotFound", "check_idle", "compute_signatures", "count_planned_cells", "find_newest_sweep"),
    *("find_sweep", "is_search", "parse_sweep_name", "read_sweep_info"),
]


TABLE = "runs.parquet"
SIGNATURE_FILES = (TABLE, PARTS, "environment.json")
"""Entries that change whenever a sweep does: its table, its parts and its environment."""
FOLDER_NAME = re.compile(r"(\d\d-\d\d-\d\d)(?:_(.+))?")


class SweepNotFound(UsageError):
    """No sweep has this name; ``near`` is the suggestion, for callers that accept other words too."""

    def __init__(self, word: str, outputs: Path, near: str) -> None:
        """The line is for verbs that take a sweep alone."""
        near = " No folder fits this pattern." if set(word) & set("*?[") else near
        self.near = near
        super().__init__(
            f"SWEEP={word} is no sweep of {outputs}.{near} Allowed: a sweep's folder, or its name;"
            " python -m gdbench sweeps lists them."
        )


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


def count_planned_cells(folder: Path) -> int:
    """Number of cells planned; of an adaptive sweep, those planned so far."""
    with contextlib.suppress(FileNotFoundError, DamagedFile):
        return len(read_json(folder / ".hydra" / "cells.json", dict))
    return len(list((folder / ".hydra").glob("cell-*.yaml")))


def is_search(folder: Path) -> bool:
    """Whether a sweep is adaptive: not all of its cells were planned when it began, and it cannot be resumed."""
    return not (folder / ".hydra" / "cells.json").is_file()


def parse_sweep_name(folder: str) -> str:
    """Name after the time in a folder's name; the whole name of a folder named otherwise."""
    last = folder.rpartition("/")[2]
    match = FOLDER_NAME.fullmatch(last)
    return (match.group(2) or "") if match else last


# ------------------------------------------------------------------------------------------------ one that was named


def find_sweep(word: str, outputs: Path) -> Path:
    """Folder of the sweep given by path, path within ``outputs``, beginning of its date and time, or name."""
    for place in (expand_user(word), outputs / word):
        if is_sweep(place):
            return place
    known = {name: _list_names(outputs, name) for name in compute_signatures(outputs)} if outputs.is_dir() else {}
    exact = [name for name, names in known.items() if word in names]
    meant = exact or [name for name in known if name.startswith(word) or name.rpartition("/")[2].startswith(word)]
    if len(meant) == 1:
        return outputs / meant[0]
    if meant:
        raise UsageError(f"SWEEP={word} is ambiguous ({len(meant)} sweeps): {list_few(meant)}. Give the folder of one.")
    every = [option for name, names in known.items() for option in (name, *names) if option]
    raise SweepNotFound(word, outputs, did_you_mean(word, every))


def _list_names(outputs: Path, folder: str) -> set[str]:
    with contextlib.suppress(UsageError):  # labels that cannot be read name nothing
        return {read_labels(outputs / folder).name, parse_sweep_name(folder)} - {""}
    return {parse_sweep_name(folder)} - {""}


def check_idle(folder: Path, purpose: str) -> None:
    """Raise ``UsageError`` while a process writes to a sweep's folder."""
    if is_locked(folder):
        raise UsageError(f"{folder} is being written by a sweep that runs: {purpose} it when that has ended.")


def find_newest_sweep(outputs: Path) -> Path:
    """Folder of the sweep that began last."""
    found = find_sweep_folders(outputs)
    if not found:
        raise UsageError(f"{outputs} holds no sweep. Run one first, such as python -m gdbench lr=0.01,0.1.")
    return max(found, key=read_start_time)
