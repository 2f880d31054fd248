"""The one line that repeats a run."""

from __future__ import annotations

import math
import shlex
from typing import Any

from gdbench.config.overrides import write_command

__all__ = ["command"]

NOT_REPEATED = ("lr", "lr_scale", "lr_scale_of", "seed", "points", "outputs", "name")
"""Overrides that a single run does not need: its lr and seed are given as the numbers they came to."""


def command(row: Any) -> str:
    """The command that runs this run alone: its cell's overrides, with this run's numbers for its lanes."""
    overrides = []
    for word in shlex.split(str(row["overrides"])):
        key = word.partition("=")[0]
        is_number = key.startswith("optimizer.") and isinstance(row.get(key), float)
        overrides.append(f"{key}={float(row[key])!r}" if is_number else word)
    lr = "null" if math.isnan(row["lr"]) else repr(float(row["lr"]))
    return write_command(overrides, NOT_REPEATED, [f"lr={lr}", f"seed={row['seed']}"])
