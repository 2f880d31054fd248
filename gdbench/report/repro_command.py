"""The shell command that repeats a single run."""

from __future__ import annotations

import math
import shlex
from functools import cache
from typing import Any

from gdbench.config.overrides import read_text

__all__ = ["repro_command"]

NOT_REPEATED = ("lr", "lr_scale", "lr_scale_of", "seed", "points", "outputs", "name")
"""Overrides that a single run does not need: its lr and seed are given as resolved numbers."""


def repro_command(row: Any) -> str:
    """The command of one run: the overrides of its cell, with the run's own values of the swept numbers."""
    options, overrides = _split_overrides(str(row["overrides"]))
    own = [
        f"{key}={float(row[key])!r}" if key.startswith("optimizer.") and isinstance(row.get(key), float) else override
        for key, override in overrides
    ]
    lr = "null" if math.isnan(row["lr"]) else repr(float(row["lr"]))
    return shlex.join(["python", "-m", "gdbench", *options, *own, f"lr={lr}", f"seed={row['seed']}"])


@cache
def _split_overrides(overrides: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Command-line options, and the overrides to repeat with their keys."""
    options: list[str] = []
    repeated = []
    for override in shlex.split(overrides):
        key, _, value = override.partition("=")
        if key == "code":
            options = ["--config-dir", read_text(value)]
        elif key not in NOT_REPEATED:
            repeated.append((key, override))
    return options, repeated
