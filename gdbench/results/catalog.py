"""The folders of sweeps below ``outputs``: which there are, whether one has changed, and what it says of itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench.errors import UsageError, list_few, nearest
from gdbench.results.folder_layout import PARTS, is_sweep, sweep_folders, walk_sweeps
from gdbench.results.labels import labels
from gdbench.results.paths import expand_user
from gdbench.results.sweep_folder import busy
from gdbench.results.sweep_start import named_time, read_environment, read_start

__all__ = ["Facts", "NoSweep", "facts", "find", "given_name", "idle", "newest", "planned_cells", "signatures"]


TABLE = "runs.parquet"
SIGNED = (TABLE, PARTS, "environment.json")
"""What changes when a sweep does: its table, the folder of its parts, and the description of the machine."""
NAMED = re.compile(r"(\d\d-\d\d-\d\d)(?:_(.+))?")


class NoSweep(UsageError):
    """A word means no sweep; ``near`` says which one may have been meant, for who knows what else the word may be."""

    def __init__(self, word: str, outputs: Path, near: str) -> None:
        """The line is for verbs that take a sweep alone."""
        near = " No folder fits this pattern." if set(word) & set("*?[") else near
        self.near = near
        super().__init__(
            f"SWEEP={word} is no sweep of {outputs}.{near} Allowed: a sweep's folder, or its name;"
            " python -m gdbench sweeps lists them."
        )


@dataclass(frozen=True)
class Facts:
    """What all runs of a sweep share, beside their columns."""

    folder: str
    """Within outputs, with slashes."""
    signature: str
    began: float
    """Seconds since 1970."""
    planned: int
    """Cells that were asked for."""
    ended: int
    """Cells that have rows."""
    commit: str = ""
    dirty: bool | None = None
    machine: str = ""
    fault: str = ""
    """Why its table cannot be read, if so."""


def signatures(outputs: Path) -> dict[str, str]:
    """Every sweep below a folder, with a text that is another one as soon as its tables change or are replaced."""
    return {
        folder.relative_to(outputs).as_posix() or ".": _signature(entries)
        for folder, entries in sorted(walk_sweeps(outputs))
    }


def _signature(entries: Mapping[str, os.DirEntry[str]]) -> str:
    """Sizes and times; that of the last change of the inode too, for a copy may keep the others."""
    signed = []
    for name in SIGNED:
        with contextlib.suppress(KeyError, OSError):
            state = entries[name].stat()
            signed.append(f"{name[0]}{state.st_size:x}.{state.st_mtime_ns:x}.{state.st_ctime_ns:x}")
    return " ".join(signed)


def facts(outputs: Path, name: str, signature: str, began: float | None, ended: int, fault: str) -> Facts:
    """What a sweep's folder says of itself; ``began`` is when the first of its cells that ``ended`` started."""
    folder = outputs / name
    environment = read_environment(folder / "environment.json")
    git = environment.get("git") or {}
    checkout = git.get("folder") or git.get("gdbench") or {}
    return Facts(
        folder=name,
        signature=signature,
        began=began if began is not None else named_time(folder),
        planned=planned_cells(folder),
        ended=ended,
        commit=str(checkout.get("commit", "")),
        dirty=checkout.get("dirty"),
        machine=_machine(environment),
        fault=fault,
    )


def _machine(environment: Mapping[str, Any]) -> str:
    """Processor and accelerators in a few words."""
    cpu, count = environment.get("cpu"), environment.get("cpu_count")
    words = [f"{cpu} ×{count}" if count else str(cpu)] if cpu else []
    return " + ".join([*words, *map(str, environment.get("accelerators") or [])])


def planned_cells(folder: Path) -> int:
    """How many cells a sweep asks for; of a search, whose cells come one after the other, those asked for so far."""
    with contextlib.suppress(OSError, ValueError):
        return len(json.loads((folder / ".hydra" / "cells.json").read_text(encoding="utf-8")))
    return len(list((folder / ".hydra").glob("cell-*.yaml")))


def given_name(folder: str) -> str:
    """What stands behind the time in a folder's name; the whole name of a folder that is named otherwise."""
    last = folder.rpartition("/")[2]
    match = NAMED.fullmatch(last)
    return (match.group(2) or "") if match else last


# ------------------------------------------------------------------------------------------------ one that was named


def find(word: str, outputs: Path) -> Path:
    """The sweep that a person means: a folder, one within outputs, the begin of its date and time, or its name."""
    for place in (expand_user(word), outputs / word):
        if is_sweep(place):
            return place
    known = {name: _names(outputs, name) for name in signatures(outputs)} if outputs.is_dir() else {}
    exact = [name for name, names in known.items() if word in names]
    meant = exact or [name for name in known if name.startswith(word) or name.rpartition("/")[2].startswith(word)]
    if len(meant) == 1:
        return outputs / meant[0]
    if meant:
        raise UsageError(f"SWEEP={word} may be any of {len(meant)} sweeps: {list_few(meant)}. Name one by its folder.")
    every = [each for name, names in known.items() for each in (name, *names) if each]
    raise NoSweep(word, outputs, nearest(word, every))


def _names(outputs: Path, folder: str) -> set[str]:
    with contextlib.suppress(UsageError):  # labels that cannot be read name nothing
        return {labels(outputs / folder).name, given_name(folder)} - {""}
    return {given_name(folder)} - {""}


def idle(folder: Path, purpose: str) -> None:
    """``UsageError`` while a process writes to a sweep's folder."""
    if busy(folder):
        raise UsageError(f"{folder} is being written by a sweep that runs: {purpose} it when that has ended.")


def newest(outputs: Path) -> Path:
    """The sweep that began last in a folder of sweeps."""
    found = sweep_folders(outputs)
    if not found:
        raise UsageError(f"{outputs} holds no sweep. Run one first, such as python -m gdbench -m lr=0.01,0.1.")
    return max(found, key=read_start)
