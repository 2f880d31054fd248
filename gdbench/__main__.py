"""``python -m gdbench``: a verb, or Hydra overrides."""

import sys

from gdbench.cli import main

sys.exit(main())
