"""Look up a sweep by its folder, date or name; or the newest of a folder."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from gdbench.errors import UsageError, did_you_mean, list_few
from gdbench.results.environment_file import read_start_time
from gdbench.results.folder_layout import find_sweep_folders, is_sweep
from gdbench.results.labels import read_labels
from gdbench.results.sweep_folder import is_locked
from gdbench.results.user_paths import expand_user

__all__ = ["SweepNotFound", "check_idle", "find_newest_sweep", "find_sweep", "parse_sweep_name"]

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


def parse_sweep_name(folder: str) -> str:
    """Name after the time in a folder's name; the whole name of a folder named otherwise."""
    last = folder.rpartition("/")[2]
    match = FOLDER_NAME.fullmatch(last)
    return (match.group(2) or "") if match else last


def find_sweep(word: str, outputs: Path) -> Path:
    """Folder of the sweep given by path, path within ``outputs``, beginning of its date and time, or name."""
    for place in (expand_user(word), outputs / word):
        if is_sweep(place):
            return place
    folders = [folder.relative_to(outputs).as_posix() for folder in find_sweep_folders(outputs)]
    known = {folder: _list_names(outputs, folder) for folder in folders}
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
