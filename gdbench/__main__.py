"""``python -m gdbench``: a verb, or Hydra overrides."""

import atexit
import contextlib
import io
import os
import sys
import threading
from typing import NoReturn

from gdbench.cli import main

__all__ = ["escape_unprintable", "run"]


def run() -> NoReturn:
    """Carry out the command line, and leave as Python does, but for taking torch's modules apart, which takes 0.4 s."""
    escape_unprintable()
    code = main()
    threading._shutdown()  # type: ignore[attr-defined]  # threads of a user's end first, and then what asked to be last
    atexit._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):  # the reader has seen enough
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def escape_unprintable() -> None:
    """Print characters that a terminal or pipe has no code for as escapes, as Python itself does on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None under pythonw, something else where it was replaced
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    run()
