"""``python -m gdbench``: a verb, or Hydra overrides."""

import gc
import io
import sys
from typing import NoReturn

from gdbench.cli.signals import (
    catch_signals,
    exit_soon,
    get_exit_code,
    has_printed_end,
    print_ended,
    stop_catching,
    was_signalled,
)

__all__ = ["escape_unprintable", "run"]


def run() -> NoReturn:
    """Run the command line, and exit without a last garbage collection over torch's objects, which takes 0.6 s."""
    catch_signals()  # before anything else is imported
    code = _run_main()
    stop_catching()
    gc.freeze()
    gc.disable()
    exit_soon(code)


def _run_main() -> int:
    """Run the command line; returns the exit code. What is raised after a signal is its consequence."""
    code = 0
    try:
        from gdbench.cli.main import main
        from gdbench.cli.pipes import drop_unread
        from gdbench.sweeps.time_limit import allow_kill

        allow_kill()
        escape_unprintable()
        drop_unread()
        code = main()
    except BaseException:
        if not was_signalled():
            raise
    if not was_signalled():
        return code
    return get_exit_code() if has_printed_end() else print_ended()


def escape_unprintable() -> None:
    """Print characters that the encoding of standard output lacks as escapes, as Python does on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None under pythonw, or replaced by a caller
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    run()
