"""Data types of an export: a sweep and its runs as trackers accept them, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gdbench.results.statuses import WITHOUT_RESULT

__all__ = ["PROJECT", "Curves", "ExportResult", "RunPayload", "SweepPayload"]


PROJECT = "gdbench"
"""Default name of the experiment or project; each tracker has an environment variable to change it."""


class Curves(NamedTuple):
    """Trace of a run: a value per step and name, NaN where nonfinite."""

    steps: npt.NDArray[np.int64]
    values: dict[str, npt.NDArray[np.float64]]

    def list_points(self) -> list[tuple[int, dict[str, float]]]:
        """Finite values of each step; steps without any are left out."""
        points = [
            (int(step), {name: float(curve[row]) for name, curve in self.values.items() if np.isfinite(curve[row])})
            for row, step in enumerate(self.steps)
        ]
        return [(step, numbers) for step, numbers in points if numbers]


@dataclass(frozen=True)
class RunPayload:
    """One run as trackers accept it."""

    id: str
    """16 hexadecimal digits: hash of the sweep, run_id and start time."""
    name: str
    params: dict[str, Any]
    """Settings."""
    metrics: dict[str, float]
    """Results that are finite numbers; trackers change others."""
    tags: dict[str, str]
    """Status, other texts, and nonfinite numbers."""
    curves: Curves

    @property
    def is_failed(self) -> bool:
        """Whether the run did not complete."""
        return self.tags["status"] in WITHOUT_RESULT


@dataclass(frozen=True)
class SweepPayload:
    """One sweep as trackers accept it."""

    id: str
    name: str
    tags: dict[str, str]
    runs: Sequence[RunPayload]
    files: Sequence[Path] = field(default_factory=tuple)
    """Report, tables and environment, if present."""


class ExportResult(NamedTuple):
    """State of the tracker after an export."""

    added: int
    already_present: int
    """Number of runs that it had before."""
    view_hint: str
    """Command or address to view them."""
