"""The one line that repeats a run."""

from __future__ import annotations

import math
import shlex
from functools import cache
from typing import Any

from gdbench.config.overrides import read_text

__all__ = ["repro_command"]

NOT_REPEATED = ("lr", "lr_scale", "lr_scale_of", "seed", "points", "outputs", "name")
"""Overrides that a single run does not need: its lr and seed are given as the numbers they came to."""


def repro_command(row: Any) -> str:
    """The command that runs this run alone: its cell's overrides, with this run's numbers for its lanes."""
    options, words = _split_overrides(str(row["overrides"]))
    own = [
        f"{key}={float(row[key])!r}" if key.startswith("optimizer.") and isinstance(row.get(key), float) else word
        for key, word in words
    ]
    lr = "null" if math.isnan(row["lr"]) else repr(float(row["lr"]))
    return shlex.join(["python", "-m", "gdbench", *options, *own, f"lr={lr}", f"seed={row['seed']}"])


@cache
def _split_overrides(overrides: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Options, and the overrides that are repeated with their keys."""
    options: list[str] = []
    words = []
    for word in shlex.split(overrides):
        key, _, value = word.partition("=")
        if key == "code":
            options = ["--config-dir", read_text(value)]
        elif key not in NOT_REPEATED:
            words.append((key, word))
    return options, words
