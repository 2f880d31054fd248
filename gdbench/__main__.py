"""``python -m gdbench``: a verb, or Hydra overrides."""

import gc
import os
import sys
from typing import NoReturn

from gdbench.cli import main

__all__ = ["run"]


def run() -> NoReturn:
    """Carry out the command line, and leave without a last look through all that torch has made, which takes 0.6 s."""
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; Python would complain of it once more at the very end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()
    gc.disable()
    sys.exit(code)


if __name__ == "__main__":
    run()
