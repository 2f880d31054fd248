"""Progress of a sweep on standard error: a bar in a terminal, a line per cell elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gdbench.errors import format_count
from gdbench.report.terminal.safe_console import SafeConsole

__all__ = ["PaceEstimate", "SweepBar", "SweepLines", "choose_progress", "format_clock"]

REFRESH_S = 0.2


class CellWork(Protocol):
    """A cell with its label and its amount of work."""

    @property
    def label(self) -> str:
        """Names of what distinguishes the cell."""
        ...

    @property
    def lane_steps(self) -> int:
        """Steps of all its runs in the untimed pass; 0 if unknown in advance."""
        ...

    @property
    def is_timed(self) -> bool:
        """Whether a timed pass follows."""
        ...


class PaceEstimate:
    """Speed and remaining time of a sweep, from finished cells and the share of the current one."""

    def __init__(self, cells: int) -> None:
        """``cells`` is the number of cells of the sweep."""
        self.cells, self.ended, self.share, self.lane_steps = cells, 0, 0.0, 0
        self.begun = self.first = self.last = time.perf_counter()

    def start_cell(self, job: CellWork) -> None:
        """Begin a cell."""
        self.job, self.lane_steps, self.share = job, 0, 0.0
        self.first = self.last = time.perf_counter()

    def add_lane_steps(self, lane_steps: int) -> None:
        """Count steps of runs of the current cell; a report that leaves none done starts its clock.

        That report comes behind imports and building: what the first cell takes for them is none of the pace.
        """
        self.lane_steps += lane_steps
        self.last = time.perf_counter()
        if not self.lane_steps:
            self.first = self.last
            if not self.ended:
                self.begun = self.last
        total = max(self.lane_steps, self.job.lane_steps)
        self.share = (0.5 if self.job.is_timed else 1.0) * self.lane_steps / total if self.job.lane_steps else 0.0

    def finish_cell(self) -> None:
        """End the current cell."""
        self.ended, self.share = self.ended + 1, 0.0

    @property
    def rate(self) -> str:
        """Lane-steps per second of the current cell's untimed pass; empty before the first."""
        taken = self.last - self.first
        return f"{_format_rate(self.lane_steps / taken)} lane-steps/s" if self.lane_steps and taken else ""

    @property
    def time_left(self) -> str:
        """The remaining time if all cells take equally long; empty if unknown."""
        done = self.ended + self.share
        if not done or done >= self.cells:
            return ""
        return f"{format_clock((time.perf_counter() - self.begun) * (self.cells - done) / done)} left"


def _format_rate(number: float) -> str:
    scale, unit = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= s), (1.0, ""))
    return f"{number / scale:.3g}{unit}"


def format_clock(seconds: float) -> str:
    """A duration as 1:05 or 2:00:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class SweepLines:
    """Prints a line when a cell ends."""

    def __init__(self, noun: str = "cell") -> None:
        """``noun`` is what the sweep consists of."""
        self.noun = noun

    def begin(self, jobs: Sequence[CellWork]) -> None:
        """Start counting cells."""
        self.pace = PaceEstimate(len(jobs))

    def note(self, words: str) -> None:
        """Print a note."""
        print(f"gdbench: {words}", file=sys.stderr, flush=True)

    def start_job(self, job: CellWork) -> None:
        """Begin a cell."""
        self.pace.start_cell(job)

    def add_lane_steps(self, lane_steps: int) -> None:
        """Count steps of the current cell."""
        self.pace.add_lane_steps(lane_steps)

    def finish_job(self, job: CellWork, statuses: Sequence[str]) -> None:
        """End a cell, and print its line."""
        self.pace.finish_cell()
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
        count = f"{self.noun} {self.pace.ended}/{self.pace.cells}"
        words = [count, job.label, counts, self.pace.rate, self.pace.time_left]
        print("  ".join(filter(None, words)), file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the output."""


class SweepBar(SweepLines):
    """Shows a bar over the cells, with the current one, its speed and the remaining time."""

    def __init__(self, console: SafeConsole, noun: str = "cell") -> None:
        """The bar appears when the sweep begins."""
        super().__init__(noun)
        self.progress = Progress(
            TextColumn("{task.fields[cells]}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=console, transient=True,
        )  # fmt: skip

    def begin(self, jobs: Sequence[CellWork]) -> None:
        """Show an empty bar."""
        super().begin(jobs)
        cells = format_count(len(jobs), self.noun)
        self.task = self.progress.add_task("", total=len(jobs), cells=cells, count=f"0/{len(jobs)}")
        self.progress.start()

    def note(self, words: str) -> None:
        """Print a note above the bar."""
        self.progress.console.print(f"gdbench: {words}", soft_wrap=True)

    def start_job(self, job: CellWork) -> None:
        """Begin a cell, and show it."""
        super().start_job(job)
        self.shown = self.pace.first
        self._show()

    def add_lane_steps(self, lane_steps: int) -> None:
        """Count steps of the current cell; the bar moves every REFRESH_S."""
        super().add_lane_steps(lane_steps)
        if self.pace.last - self.shown > REFRESH_S:
            self.shown = self.pace.last
            self._show()

    def finish_job(self, job: CellWork, statuses: Sequence[str]) -> None:
        """End a cell, and move the bar."""
        self.pace.finish_cell()
        self._show()

    def close(self) -> None:
        """Remove the bar."""
        self.progress.stop()

    def _show(self) -> None:
        pace = self.pace
        words = " · ".join(filter(None, (pace.job.label, pace.rate, pace.time_left)))
        count = f"{pace.ended}/{pace.cells}"
        self.progress.update(self.task, completed=pace.ended + pace.share, description=words, count=count)


def choose_progress(noun: str = "cell") -> SweepLines:
    """A bar if standard error is a terminal, else lines."""
    console = SafeConsole(stderr=True)
    return SweepBar(console, noun) if console.is_terminal else SweepLines(noun)
