"""What a test may leave behind: child processes of this one, and files at the top of the repository."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["list_children", "list_repository"]

ROOT = Path(__file__).parents[2]
KEPT = ("fork_server", "torch/_inductor", "resource_tracker", "multiprocessing.spawn", "multiprocessing.forkserver")
"""In the command lines of what libraries, and the tests themselves, keep until this process ends."""

CACHES = {".mypy_cache", ".pytest_cache", ".ruff_cache"}


def list_children() -> set[str]:
    """The children that the main thread has started and that live, by id and command line; none without /proc."""
    found = set()
    for pid in _read(f"/proc/self/task/{os.getpid()}/children").split():
        line = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()  # empty once it has ended
        if line and not any(name in line for name in KEPT):
            found.add(f"{pid} {line}")
    return found


def list_repository() -> set[str]:
    """The files and folders at the top of the repository, less what is written by tools that may run beside tests."""
    with os.scandir(ROOT) as files:
        return {file.name for file in files} - CACHES


def _read(place: str) -> str:
    try:
        return Path(place).read_text(errors="replace")
    except OSError:
        return ""
