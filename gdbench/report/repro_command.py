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
    start, overrides = _quote_overrides(str(row["overrides"]))
    words = [start]
    for key, override in overrides:
        is_number = key.startswith("optimizer.") and isinstance(row.get(key), float)
        words.append(f"{key}={float(row[key])!r}" if is_number else override)
    lr = "null" if math.isnan(row["lr"]) else repr(float(row["lr"]))
    return " ".join([*words, f"lr={lr}", shlex.quote(f"seed={row['seed']}")])


@cache
def _quote_overrides(overrides: str) -> tuple[str, list[tuple[str, str]]]:
    """The start of a cell's command, and its repeated overrides, quoted, with their keys.

    All runs of a cell share them, and a page has a command a run. A text that no shell reads, which gdbench did not
    write, is split at its blanks.
    """
    try:
        words = shlex.split(overrides)
    except ValueError:
        words = overrides.split()
    keyed = [(override.partition("=")[0], override) for override in words]
    start = write_command(override for key, override in keyed if key == "code")
    return start, [(key, shlex.quote(override)) for key, override in keyed if key not in (*NOT_REPEATED, "code")]
