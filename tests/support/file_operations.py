"""Counts the operations by which a process changes files, and signals the process at one of them.

An operation is announced before it is done. So a process that is killed at the n-th of them has done n - 1, and a test
that kills at each number in turn sees every state that a crash can leave between two operations; within one, a write
that is cut short, is what a limit on the size of files is for (``Program.largest_file``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["count_operations"]

CHANGING = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime", "os.chmod",
}  # fmt: skip
"""Audit events of functions of ``os`` that change files; their first argument is a path."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def count_operations(folder: str, log: str, signal_at: int, number: int) -> None:
    """Write the file operations below a folder to a log, one a line; signal this process before one of them."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    root, process, count = os.path.realpath(folder) + os.sep, os.getpid(), 0

    def hear(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        changes = bool(details[2] & WRITING) if event == "open" else event in CHANGING
        if not changes or not isinstance(details[0], str | bytes | os.PathLike) or os.getpid() != process:
            return
        path = str(Path.cwd() / os.fsdecode(details[0]))
        if not path.startswith(root):
            return
        count += 1
        os.write(descriptor, f"{event} {path.removeprefix(root)}\n".encode())
        if count == signal_at:
            os.kill(process, number)

    sys.addaudithook(hear)
