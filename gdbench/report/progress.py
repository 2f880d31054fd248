"""How a sweep goes on: a bar over cells in a terminal, a line a cell elsewhere; stdout is the table's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Bar", "Lines", "progress"]


class Labelled(Protocol):
    """A cell that can say what it is."""

    @property
    def label(self) -> str:
        """The cell in a few words."""
        ...


class Bar:
    """A bar over the cells, with what runs now."""

    def __init__(self, console: Console, noun: str = "cell") -> None:
        """Nothing shows before the sweep begins; ``noun`` is what it consists of."""
        self.noun = noun
        self.progress = Progress(
            TextColumn("{task.fields[cells]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=console, transient=True,
        )  # fmt: skip

    def begin(self, jobs: Sequence[Labelled]) -> None:
        """Show an empty bar."""
        self.task = self.progress.add_task("", total=len(jobs), cells=f"{len(jobs)} {self.noun}{'s' * (len(jobs) > 1)}")
        self.progress.start()

    def now(self, job: Labelled) -> None:
        """Say what runs."""
        self.progress.update(self.task, description=job.label)

    def done(self, job: Labelled, statuses: Sequence[str]) -> None:
        """Move on by a cell."""
        self.progress.advance(self.task)

    def close(self) -> None:
        """Take the bar away."""
        self.progress.stop()


class Lines:
    """A plain line when a cell ends."""

    def __init__(self, noun: str = "cell") -> None:
        """``noun`` is what the sweep consists of."""
        self.noun = noun

    def begin(self, jobs: Sequence[Labelled]) -> None:
        """Count the cells."""
        self.cells, self.ended = len(jobs), 0

    def now(self, job: Labelled) -> None:
        """Say nothing: a line is written when the cell ends."""

    def done(self, job: Labelled, statuses: Sequence[str]) -> None:
        """Write the line."""
        self.ended += 1
        counted = ", ".join(f"{statuses.count(each)} {each}" for each in dict.fromkeys(statuses))
        print(f"{self.noun} {self.ended}/{self.cells}  {job.label}  {counted}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


def progress(noun: str = "cell") -> Bar | Lines:
    """What suits the terminal at hand."""
    console = Console(file=sys.stderr)
    return Bar(console, noun) if console.is_terminal else Lines(noun)
