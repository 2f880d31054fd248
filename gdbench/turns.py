"""Timed cells of one machine take turns, however many workers carry them there: a clock wants the machine alone."""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from gdbench.schema import Timing, UsageError

__all__ = ["NOTE", "takes_turns", "turn"]

NOTE = (
    "timed cells take turns on each machine, so that none disturbs another's clock."
    " For all cores at once write timing=off, or timing.alone=false to time them side by side."
)


def takes_turns(timing: Timing) -> bool:
    """Whether a cell that is carried by a launcher waits until it is the only timed one on its machine."""
    return timing.seconds > 0 and timing.alone


@contextlib.contextmanager
def turn(timing: Timing) -> Iterator[None]:
    """Keep other timed cells off this machine meanwhile; the system frees the lock of a worker that dies."""
    if not takes_turns(timing):
        yield
        return
    lock = FileLock(place(), mode=0o600)
    try:
        lock.acquire()
    except OSError as error:
        raise UsageError(
            f"{place()} cannot be locked ({error.strerror or error}), so timed cells cannot take turns:"
            " remove it, or write timing.alone=false."
        ) from error
    try:
        yield
    finally:
        lock.release()


def place() -> Path:
    """The lock of this user on this machine."""
    shared = Path("/tmp")  # schedulers point TMPDIR at a folder of each job's own, in which nobody would meet
    folder = shared if shared.is_dir() else Path(tempfile.gettempdir())
    return folder / f"gdbench-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}.lock"
