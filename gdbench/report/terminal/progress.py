"""How a sweep goes on: a bar over cells in a terminal, a line a cell elsewhere; stdout is the table's."""

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
    """A cell that can say what it is, and how much work."""

    @property
    def label(self) -> str:
        """The cell in a few words."""
        ...

    @property
    def lane_steps(self) -> int:
        """How many steps all its runs make together, untimed; 0 where that is not known beforehand."""
        ...

    @property
    def timed(self) -> bool:
        """Whether a timed pass follows."""
        ...


class PaceEstimate:
    """How fast a sweep goes, and when it will end if it goes on like that."""

    def __init__(self, cells: int) -> None:
        """Nothing has been done."""
        self.cells, self.ended, self.share, self.lane_steps = cells, 0, 0.0, 0
        self.begun = self.first = self.last = time.perf_counter()

    def start_cell(self, job: CellWork) -> None:
        """A cell begins."""
        self.job, self.lane_steps, self.share = job, 0, 0.0
        self.first = self.last = time.perf_counter()

    def add_lane_steps(self, lane_steps: int) -> None:
        """Some lanes of it have made a step."""
        self.lane_steps += lane_steps
        self.last = time.perf_counter()
        whole = max(self.lane_steps, self.job.lane_steps)
        self.share = (0.5 if self.job.timed else 1.0) * self.lane_steps / whole if self.job.lane_steps else 0.0

    def finish_cell(self) -> None:
        """It has ended."""
        self.ended, self.share = self.ended + 1, 0.0

    @property
    def rate(self) -> str:
        """Lane-steps a second of the cell's untimed pass, in words; empty before it has made any."""
        taken = self.last - self.first
        return f"{_format_rate(self.lane_steps / taken)} lane-steps/s" if self.lane_steps and taken else ""

    @property
    def time_left(self) -> str:
        """The time left, cells taken as equal; empty where it cannot be told."""
        came = self.ended + self.share
        if not came or came >= self.cells:
            return ""
        seconds = (time.perf_counter() - self.begun) * (self.cells - came) / came
        return f"{format_clock(seconds)} left"


def _format_rate(number: float) -> str:
    scale, unit = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= s), (1.0, ""))
    return f"{number / scale:.3g}{unit}"


def format_clock(seconds: float) -> str:
    """1:05, or 2:00:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class SweepBar:
    """A bar over the cells, with what runs now, how fast, and the time left."""

    def __init__(self, console: SafeConsole, noun: str = "cell") -> None:
        """Nothing shows before the sweep begins; ``noun`` is what it consists of."""
        self.noun = noun
        self.progress = Progress(
            TextColumn("{task.fields[cells]}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=console, transient=True,
        )  # fmt: skip

    def begin(self, jobs: Sequence[CellWork]) -> None:
        """Show an empty bar."""
        self.pace = PaceEstimate(len(jobs))
        cells = f"{format_count(len(jobs), self.noun)}"
        self.task = self.progress.add_task("", total=len(jobs), cells=cells, count=f"0/{len(jobs)}")
        self.progress.start()

    def note(self, words: str) -> None:
        """Write a line above the bar."""
        self.progress.console.print(f"gdbench: {words}", soft_wrap=True)

    def now(self, job: CellWork) -> None:
        """Say what runs."""
        self.pace.start_cell(job)
        self.shown = self.pace.first
        self._show()

    def worked(self, lane_steps: int) -> None:
        """Move on within the cell."""
        self.pace.add_lane_steps(lane_steps)
        if self.pace.last - self.shown > REFRESH_S:
            self.shown = self.pace.last
            self._show()

    def done(self, job: CellWork, statuses: Sequence[str]) -> None:
        """Move on by a cell."""
        self.pace.finish_cell()
        self._show()

    def close(self) -> None:
        """Take the bar away."""
        self.progress.stop()

    def _show(self) -> None:
        pace = self.pace
        words = " · ".join(filter(None, (pace.job.label, pace.rate, pace.time_left)))
        count = f"{pace.ended}/{pace.cells}"
        self.progress.update(self.task, completed=pace.ended + pace.share, description=words, count=count)


class SweepLines:
    """A plain line when a cell ends."""

    def __init__(self, noun: str = "cell") -> None:
        """``noun`` is what the sweep consists of."""
        self.noun = noun

    def begin(self, jobs: Sequence[CellWork]) -> None:
        """Count the cells."""
        self.pace = PaceEstimate(len(jobs))

    def note(self, words: str) -> None:
        """Write a line."""
        print(f"gdbench: {words}", file=sys.stderr, flush=True)

    def now(self, job: CellWork) -> None:
        """Say nothing: a line is written when the cell ends."""
        self.pace.start_cell(job)

    def worked(self, lane_steps: int) -> None:
        """Say nothing."""
        self.pace.add_lane_steps(lane_steps)

    def done(self, job: CellWork, statuses: Sequence[str]) -> None:
        """Write the line."""
        self.pace.finish_cell()
        counted = ", ".join(f"{statuses.count(each)} {each}" for each in dict.fromkeys(statuses))
        count = f"{self.noun} {self.pace.ended}/{self.pace.cells}"
        words = [count, job.label, counted, self.pace.rate, self.pace.time_left]
        print("  ".join(filter(None, words)), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


def choose_progress(noun: str = "cell") -> SweepBar | SweepLines:
    """What suits the terminal at hand."""
    console = SafeConsole(stderr=True)
    return SweepBar(console, noun) if console.is_terminal else SweepLines(noun)
