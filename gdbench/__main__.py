"""``python -m gdbench``: a verb, or Hydra overrides."""

import gc
import io
import sys
from typing import NoReturn

from gdbench.cli.main import main
from gdbench.cli.pipes import drop_unread

__all__ = ["escape_unprintable", "run"]


def run() -> NoReturn:
    """Run the command line, and exit without a last garbage collection over torch's objects, which takes 0.6 s."""
    escape_unprintable()
    drop_unread()
    code = main()
    gc.freeze()
    gc.disable()
    sys.exit(code)


def escape_unprintable() -> None:
    """Print characters that the encoding of standard output lacks as escapes, as Python does on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None under pythonw, or replaced by a caller
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    run()
