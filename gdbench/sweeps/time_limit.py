"""Wall-clock limits of a cell (``max_seconds``) and of a whole sweep (``max_sweep_seconds``)."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gdbench.errors import TimeLimitReached
from gdbench.sweeps.watchdog import Watchdog

__all__ = ["TimeLimit", "allow_kill", "find_cell_limit", "find_sweep_limit", "interrupt_after"]

GRACE_S = 5.0
"""Time after its limit in which a cell may still end by itself, before its process is killed."""
_watchdogs: list[Watchdog] = []
"""That of this process, if it may be killed: a command's or a worker's, but never a user's notebook."""


@dataclass(frozen=True)
class TimeLimit:
    """The moment at which something must have ended, by the monotonic clock, and the setting that says so."""

    end: float
    setting: str

    @classmethod
    def from_now(cls, config: Mapping[str, Any], name: str) -> TimeLimit | None:
        """The limit that a setting gives what begins now; None where it is null."""
        seconds = config.get(name)
        return None if seconds is None else cls(time.monotonic() + float(seconds), f"{name}={float(seconds):g}")

    def check(self, cell_began: bool = True) -> None:
        """Raise ``TimeLimitReached`` after its end."""
        if time.monotonic() >= self.end:
            self.stop(cell_began)

    def stop(self, cell_began: bool = True) -> NoReturn:
        """Raise ``TimeLimitReached``."""
        raise TimeLimitReached(f"{'did not end' if cell_began else 'had not begun'} within {self.setting}")


def find_sweep_limit(config: Mapping[str, Any]) -> TimeLimit | None:
    """The limit of a sweep that begins now."""
    return TimeLimit.from_now(config, "max_sweep_seconds")


def find_cell_limit(config: Mapping[str, Any], of_sweep: TimeLimit | None = None) -> TimeLimit | None:
    """The limit of a cell that begins now: its own, or that of its sweep where that is earlier."""
    of_cell = TimeLimit.from_now(config, "max_seconds")
    return min((limit for limit in (of_cell, of_sweep) if limit), key=lambda limit: limit.end, default=None)


def allow_kill() -> None:
    """Let cells that hang in a call which Python cannot interrupt be ended by killing this process."""
    if not _watchdogs:
        _watchdogs.append(Watchdog())


@contextlib.contextmanager
def interrupt_after(limit: TimeLimit | None, mark: Path | None = None) -> Iterator[None]:
    """Raise ``TimeLimitReached`` in the code below once a limit is over; kill the process of a ``mark`` if it hangs.

    Python code and waiting calls are interrupted by SIGALRM, in the main thread of POSIX systems.
    """
    if limit is None:
        yield
        return
    limit.check(cell_began=False)
    left = limit.end - time.monotonic()
    with contextlib.ExitStack() as stack:
        for watchdog in _watchdogs:
            if mark is None:
                break
            watchdog.arm(left + GRACE_S, mark, limit.setting)
            stack.callback(watchdog.disarm)
        if hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread():
            stack.enter_context(_alarm(left, limit))
        yield


@contextlib.contextmanager
def _alarm(seconds: float, limit: TimeLimit) -> Iterator[None]:
    """Raise ``TimeLimitReached`` in the main thread after some seconds, once."""

    def stop(number: int, frame: FrameType | None) -> None:
        limit.stop()

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, math.ulp(1.0)))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
