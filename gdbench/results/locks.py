"""Lock files: readable by their user alone, and refused in one line where they are not what they must be."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import filelock

from gdbench.errors import UsageError

__all__ = ["hold_lock", "is_held"]

MODE = 0o600
WAIT = -1.0
"""Timeout of a lock that is waited for."""


@contextlib.contextmanager
def hold_lock(file: Path, timeout_s: float = WAIT) -> Iterator[None]:
    """Hold a lock, which the system releases where this process ends; ``filelock.Timeout`` if another one has it.

    ``UsageError`` in place of waiting for a lock that cannot be had: a link, a folder, or another user's file.
    """
    _check_file(file)
    lock = filelock.FileLock(file, timeout=timeout_s, mode=MODE)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_held(file: Path) -> bool | None:
    """Whether a process holds a lock; None if unknown: it is not there, or not ours to open."""
    if not file.is_file() or file.is_symlink():
        return None
    try:
        with filelock.FileLock(file, timeout=0, mode=MODE):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that we may only read
        return None


def _check_file(file: Path) -> None:
    """``UsageError`` for a file in the place of a lock that this user cannot have made."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no file"
        raise UsageError(f"{file} is {kind} where a lock must be: remove it.")
    if hasattr(os, "getuid") and os.getuid() not in (0, status.st_uid):
        raise UsageError(
            f"{file} is a lock of another user ({_find_name(status.st_uid)}), so that it cannot be held here."
        )


def _find_name(user: int) -> str:
    """The name of a user, else the number."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
