"""The shell command that repeats a single run."""

from __future__ import annotations

import math
import shlex
from functools import cache
from typing import Any

from gdbench.config.overrides import write_command

__all__ = ["repro_command"]

NOT_REPEATED = ("lr", "lr_scale", "lr_scale_of", "seed", "points", "outputs", "name")
"""Overrides that a single run does not need: its lr and seed are given as resolved numbers."""


def repro_command(row: Any) -> str:
    """The command of one run: the overrides of its cell, with the run's own values of the swept numbers."""
    overrides = []
    for key, override in _split_overrides(str(row["overrides"])):
        is_number = key.startswith("optimizer.") and isinstance(row.get(key), float)
        overrides.append(f"{key}={float(row[key])!r}" if is_number else override)
    lr = "null" if math.isnan(row["lr"]) else repr(float(row["lr"]))
    return write_command(overrides, NOT_REPEATED, [f"lr={lr}", f"seed={row['seed']}"])


@cache
def _split_overrides(overrides: str) -> list[tuple[str, str]]:
    """The overrides of a cell with their keys; all runs of a cell share them, and a page has a command a run.

    A text that no shell reads, which gdbench did not write, is split at its blanks.
    """
    try:
        words = shlex.split(overrides)
    except ValueError:
        words = overrides.split()
    return [(override.partition("=")[0], override) for override in words]
