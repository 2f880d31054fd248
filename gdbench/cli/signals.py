"""End a command by SIGINT (Ctrl-C), SIGTERM or SIGHUP: one line, exit code 128 + number, nothing left behind.

The first signal raises KeyboardInterrupt in the main thread, so that whatever runs removes what it has begun. This
module imports little: signals are caught before anything else is loaded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

__all__ = [
    *("catch_signals", "describe_ignored", "exit_soon", "get_exit_code", "print_ended", "say"),
    *("stop_catching", "was_signalled", "has_printed_end"),
]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
REPEAT_S = 1.0
"""Repetitions within this time are one signal: ``timeout`` sends two, and a terminal reaches a process twice."""
EXIT_S = 10.0
"""Time for the end of the interpreter; libraries finish what they send meanwhile."""
EXIT_WITH_THREADS_S = 2.0
"""The same where threads of a user's code still run."""


@dataclass
class _Received:
    """The first signal of this process that ends the command."""

    number: int = 0
    time: float = 0.0
    has_printed_end: bool = False


_received = _Received()


def catch_signals() -> None:
    """Catch the signals that end a command; one that was ignored at the start stays so, but SIGTERM is honoured."""
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and (signal.getsignal(number) != signal.SIG_IGN or name == "SIGTERM"):
            signal.signal(number, _handle)
    sys.unraisablehook = _send_again


def _handle(number: int, frame: FrameType | None) -> None:
    """Interrupt the main thread; a second signal ends the process at once."""
    if _received.number and time.monotonic() - _received.time < REPEAT_S:
        return
    if _received.number:
        os.write(2, b"gdbench: ended without waiting, by a second signal.\n")
        os._exit(128 + number)
    _received.number, _received.time = number, time.monotonic()
    raise KeyboardInterrupt


def _send_again(lost: Any) -> None:
    """Send a signal again whose KeyboardInterrupt was raised where Python drops exceptions, such as a destructor."""
    if not (_received.number and lost.exc_type is KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number, _received.number = _received.number, 0
    timer = threading.Timer(0.01, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def was_signalled() -> bool:
    """Whether a signal has come that ends the command."""
    return bool(_received.number)


def get_exit_code() -> int:
    """The exit code after an interruption, 128 + number; that of Ctrl-C where no signal was caught here."""
    return 128 + (_received.number or signal.SIGINT)


def print_ended(*details: object) -> int:
    """Print one line that says what ended the command, with details; returns the exit code."""
    name = signal.Signals(_received.number or signal.SIGINT).name
    words = "interrupted." if name == "SIGINT" else f"ended by {name}."
    _received.has_printed_end = True
    say(" ".join(["gdbench:", words, *map(str, details)]))
    return get_exit_code()


def has_printed_end() -> bool:
    """Whether the line of ``print_ended`` was printed."""
    return _received.has_printed_end


def say(line: str) -> None:
    """Print a line on standard error, whose terminal may have gone."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def describe_ignored() -> str:
    """One line for a command that Ctrl-C does not end, as whoever started it asked; else empty."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        return ""
    return (
        "gdbench: SIGINT (Ctrl-C) was ignored where this was started, as in a shell's background, and stays so:"
        f" to end it write kill {os.getpid()}."
    )


def stop_catching() -> None:
    """Ignore further signals: the command is over, and its exit code is known."""
    for name in NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def exit_soon(code: int) -> NoReturn:
    """Exit; threads that a user's code left running, or a library that does not end, delay it by seconds at most."""
    _flush_streams()
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    limit = EXIT_WITH_THREADS_S if left else EXIT_S
    threading.Thread(target=_exit_after, args=(limit, code), name="gdbench-exit", daemon=True).start()
    sys.exit(code)


def _exit_after(seconds: float, code: int) -> None:
    time.sleep(seconds)
    os._exit(code)


def _flush_streams() -> None:
    """Flush both streams; one whose terminal has gone is dropped, so that the interpreter does not complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
