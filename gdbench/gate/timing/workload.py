"""A series in one side's hands, ready to be timed: drives whatever gdbench that side has.

It is always the head's, as in ``gate.probe``: of a side's gdbench it uses the facade alone (``gate.facade``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdbench.gate.facade_loader import find_facade
from gdbench.gate.timing.abba_blocks import CLOCKS, WALL_ONLY, Billed, Fit, arm
from gdbench.gate.timing.dual_import import Tree

__all__ = ["Posed", "Workload", "pose"]

Posed = Mapping[str, Any]
"""A question as plain containers: ``config`` and ``choices``."""


def pose(tree: Tree, asked: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> dict[str, Posed | str]:
    """Compose every question with a tree's own configurations, from what ``Side.composing`` gives; a reason if not."""
    with tree.entered():
        composed = find_facade().compose(asked.values())
        answers = dict(zip(asked, composed, strict=True))
    return {name: reason(one) if isinstance(one, Exception) else one for name, one in answers.items()}


def reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"


class Workload:
    """Steps of a series from a point early in its run, to which every block returns."""

    def __init__(self, tree: Tree, posed: Posed, ballast: Callable[[], None] | None = None) -> None:
        """Build the cell; ``ballast`` is done after every step."""
        self.tree = tree
        with tree.entered():
            facade = find_facade()
            self.descend = facade.descend
            built = facade.build(facade.parse(posed))
            self.threads: int = built.threads
            self.solo = built.solo() if ballast is None else built.solo().with_extra_work(ballast)
            self.x = self.solo.start()
            self.x, self.state = self.descend(self.solo, self.x, range(1))
        self.at, self.last = 1, self.solo.steps
        self.arm = arm(self.prepare, CLOCKS if self.threads == 1 else WALL_ONLY)

    @property
    def fit(self) -> Fit:
        """A block stays within the run's own steps."""
        return Fit(most=self.last - self.at - 1)

    def warm(self, steps: int, seconds: float) -> int:
        """Go on to a step, or as far as the time or half of the run's own steps allow; returns where it is."""
        end = time.perf_counter() + seconds
        while self.at < min(steps, self.last // 2) and time.perf_counter() < end:
            self.to(self.at + 1)
        return self.at

    def to(self, step: int) -> None:
        """Go on to exactly this step."""
        with self.tree.entered():
            self.x, self.state = self.descend(self.solo, self.x, range(self.at, step), self.state)
        self.at = step

    def prepare(self, count: int) -> Callable[[], object]:
        """``engine.timer.Prepare``, called and carried out with the tree entered.

        One step goes before the clock: a copy that has just been made lies in no cache, which is the copy's cost.
        """
        x, state = self.solo.copy(self.x, self.state)
        x, state = self.descend(self.solo, x, range(self.at, self.at + 1), state)
        steps = range(self.at + 1, self.at + 1 + count)
        return lambda: self.descend(self.solo, x, steps, state)

    def block(self, steps: int) -> Billed:
        """A block; what a step imports late is its own side's."""
        with self.tree.entered():
            return self.arm(steps)
