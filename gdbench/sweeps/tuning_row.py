"""A row of a tuning: one optimizer on one problem, and the state of its search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gdbench.sweeps.grid_search import Refinement
from gdbench.sweeps.job import Job
from gdbench.sweeps.search_axes import Point

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Row"]


@dataclass
class Row:
    """One method on one objective, and its search."""

    job: Job
    """The cell without the tuned axes."""
    search: Refinement
    seen: dict[Point, tuple[pd.DataFrame, int]] = field(default_factory=dict)
    """For every point, a table and the position in it of the run of its median seed."""
    keys: dict[Point, list[str]] = field(default_factory=dict)
    """For every point, the keys of its runs, one a seed."""
    runs: int = 0
    winner: Point | None = None
    """The point chosen by time, where time is the metric."""

    @property
    def choice(self) -> Point | None:
        """The best point: chosen by time, else by the search; None where none may win."""
        return self.winner or self.search.middle()

    @property
    def label(self) -> str:
        """The row and its round in a few words, for progress."""
        return f"{self.job.label}, round {self.search.rounds + 1}"

    @property
    def lane_steps(self) -> int:
        """0: the work is not known beforehand."""
        return 0

    @property
    def is_timed(self) -> bool:
        """Whether time is the metric."""
        return self.metric == "time_to_target"

    @property
    def names(self) -> list[str]:
        """The names of the tuned axes."""
        return [axis.name for axis in self.search.axes]

    @property
    def metric(self) -> str:
        """The metric."""
        return str(self.job.config["metric"])
