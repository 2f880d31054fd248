"""``python -m gdbench``: a verb, or Hydra overrides."""

import gc
import io
import sys
from typing import NoReturn

from gdbench.cli.main import main
from gdbench.cli.pipes import drop_unread

__all__ = ["escape_unprintable", "run"]


def run() -> NoReturn:
    """Carry out the command line, and leave without a last look through all that torch has made, which takes 0.6 s."""
    escape_unprintable()
    drop_unread()
    code = main()
    gc.freeze()
    gc.disable()
    sys.exit(code)


def escape_unprintable() -> None:
    """Print characters that a terminal or pipe has no code for as escapes, as Python itself does on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None under pythonw, something else where it was replaced
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    run()
