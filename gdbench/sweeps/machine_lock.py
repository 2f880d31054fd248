"""Locks for cells: one at a time in a process, whose globals they share; one timed cell at a time on a machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from gdbench.config.schema import Timing
from gdbench.errors import UsageError
from gdbench.results.locks import hold_lock

__all__ = ["NOTE", "is_exclusive", "lock_machine", "lock_process"]

NOTE = (
    "timed cells take turns on each machine, so that none disturbs another's clock."
    " For all cores at once write timing=off, or timing.exclusive=false to time them side by side."
)


_CELL = threading.RLock()
"""Held by the thread that runs a cell; a user's function may run another one inside."""


@contextlib.contextmanager
def lock_process() -> Iterator[None]:
    """Let only this thread run a cell of this process; other threads wait.

    A cell sets process-wide state: torch's number of threads, default dtype and generators, the filters of
    ``warnings``, the garbage collector, ``sys.path``, the tables of torch's compiler; and timing needs the process
    alone. Steps of 30 us hold the GIL nearly all of the time, so that parallel cells would not be faster.
    """
    with _CELL:
        yield


def is_exclusive(timing: Timing) -> bool:
    """Whether a launcher's cell waits until no other timed one runs on its machine."""
    return timing.seconds > 0 and timing.exclusive


@contextlib.contextmanager
def lock_machine(timing: Timing) -> Iterator[None]:
    """Let only one timed cell run on this machine; the system frees the lock of a worker that dies."""
    if not is_exclusive(timing):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(find_lock_file()))
        except (OSError, UsageError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                f"{find_lock_file()} cannot be locked ({reason}), so timed cells cannot take turns:"
                " remove it, or write timing.exclusive=false."
            ) from error
        yield


def find_lock_file() -> Path:
    """The lock file of this user on this machine."""
    shared = Path("/tmp")  # schedulers set TMPDIR per job; the lock must be in a folder that all jobs share
    folder = shared if shared.is_dir() else Path(tempfile.gettempdir())
    return folder / f"gdbench-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}.lock"
