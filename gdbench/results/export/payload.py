"""A sweep as trackers want it, and what a tracker has taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["PROJECT", "Curves", "ExportResult", "RunPayload", "SweepPayload"]


PROJECT = "gdbench"
"""What the experiment, or project, is called in each tracker, where its own environment variable names no other."""


class Curves(NamedTuple):
    """What was recorded of a run: a number for each step and name, NaN where it was not finite."""

    steps: npt.NDArray[np.int64]
    values: dict[str, npt.NDArray[np.float64]]

    def points(self) -> list[tuple[int, dict[str, float]]]:
        """The finite numbers of each step; a step without any is left out."""
        points = [
            (int(step), {name: float(curve[row]) for name, curve in self.values.items() if np.isfinite(curve[row])})
            for row, step in enumerate(self.steps)
        ]
        return [(step, numbers) for step, numbers in points if numbers]


@dataclass(frozen=True)
class RunPayload:
    """A run as trackers want it."""

    id: str
    """16 hexadecimal digits: of the sweep, the run's key, and when it ran."""
    name: str
    params: dict[str, Any]
    """What was asked."""
    metrics: dict[str, float]
    """What came of it: finite numbers only, as trackers turn others into something else."""
    tags: dict[str, str]
    """Status and other words, and the numbers that are not finite."""
    curves: Curves

    @property
    def failed(self) -> bool:
        """Whether it did not run to its end."""
        return self.tags["status"] in ("failed", "unavailable")


@dataclass(frozen=True)
class SweepPayload:
    """A sweep as trackers want it."""

    id: str
    name: str
    tags: dict[str, str]
    runs: Sequence[RunPayload]
    files: Sequence[Path] = field(default_factory=tuple)
    """Its report, tables and environment, as far as they are there."""


class ExportResult(NamedTuple):
    """What a tracker has now."""

    added: int
    there: int
    """How many runs it had already."""
    look: str
    """How to look at them."""
