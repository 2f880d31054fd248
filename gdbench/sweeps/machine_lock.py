"""Cells take turns: those of a process, which share its globals, and timed ones of a machine, which share its clock."""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from gdbench.config.schema import Timing
from gdbench.errors import UsageError

__all__ = ["NOTE", "is_exclusive", "lock_machine", "lock_process"]

NOTE = (
    "timed cells take turns on each machine, so that none disturbs another's clock."
    " For all cores at once write timing=off, or timing.exclusive=false to time them side by side."
)


_CELL = threading.RLock()
"""Held by the thread that runs a cell; a function of a user's may run another one inside."""


@contextlib.contextmanager
def lock_process() -> Iterator[None]:
    """Keep the cells of other threads waiting meanwhile, whole sweeps of which may go on side by side.

    A cell sets what belongs to the process: torch's number of threads, default dtype and generators, the filters of
    ``warnings``, the garbage collector, ``sys.path``, the tables of torch's compiler; and its clock wants the process
    alone. Steps of 30 us hold Python's lock nearly all of the time: side by side they would not be faster.
    """
    with _CELL:
        yield


def is_exclusive(timing: Timing) -> bool:
    """Whether a cell that is carried by a launcher waits until it is the only timed one on its machine."""
    return timing.seconds > 0 and timing.exclusive


@contextlib.contextmanager
def lock_machine(timing: Timing) -> Iterator[None]:
    """Keep other timed cells off this machine meanwhile; the system frees the lock of a worker that dies."""
    if not is_exclusive(timing):
        yield
        return
    lock = FileLock(find_lock_file(), mode=0o600)
    try:
        lock.acquire()
    except OSError as error:
        raise UsageError(
            f"{find_lock_file()} cannot be locked ({error.strerror or error}), so timed cells cannot take turns:"
            " remove it, or write timing.exclusive=false."
        ) from error
    try:
        yield
    finally:
        lock.release()


def find_lock_file() -> Path:
    """The lock of this user on this machine."""
    shared = Path("/tmp")  # schedulers point TMPDIR at a folder of each job's own, in which nobody would meet
    folder = shared if shared.is_dir() else Path(tempfile.gettempdir())
    return folder / f"gdbench-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}.lock"
