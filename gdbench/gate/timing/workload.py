"""A series in one side's hands, ready to be timed: drives whatever gdbench that side has.

It is always the head's, as in ``gate.probe``: of a side's gdbench it needs ``config`` (Composer, initialized, plain,
store), ``schema.Question.parse``, ``build.build`` and ``descent.descent``, and what a cell and a method promise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch

from gdbench.gate.timing.blocks import CLOCKS, WALL_ONLY, Billed, Fit, arm
from gdbench.gate.timing.twin import Tree

__all__ = ["Posed", "Workload", "pose"]

Posed = Mapping[str, Any]
"""A question as plain containers: ``config`` and ``choices``."""


def pose(tree: Tree, asked: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> dict[str, Posed | str]:
    """Compose every question with a tree's own configurations, from what ``Side.composing`` gives; a reason if not."""
    posed: dict[str, Posed | str] = {}
    with tree.entered():
        config = import_module("gdbench.config")
        config.store()
        with config.initialized():
            composers: dict[tuple[str, ...], Any] = {}
            for name, (fixed, words) in asked.items():
                composer = composers.setdefault(tuple(fixed), config.Composer(list(fixed)))
                try:
                    composed = composer(words)
                    posed[name] = {"config": config.plain(composed.config), "choices": dict(composed.choices)}
                except Exception as error:
                    posed[name] = reason(error)
    return posed


def reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"


class Workload:
    """Steps of a series from a point early in its run, to which every block returns."""

    def __init__(self, tree: Tree, posed: Posed, ballast: Callable[[], None] | None = None) -> None:
        """Build the cell; ``ballast`` is done after every step."""
        self.tree = tree
        with tree.entered():
            question = import_module("gdbench.schema").Question.parse(posed["config"], posed["choices"])
            cell = import_module("gdbench.build").build(question)
            self.descent = import_module("gdbench.descent").descent
            self.threads: int = question.threads
            self.method = _laden(cell.maker(cell.solo_hyper(0)), ballast)
            self.oracle = cell.oracle(False)
            self.x = cell.start(int(cell.seeds[0]))
            torch.set_num_threads(self.threads)
            self.x, self.state = self.descent(self.method, self.oracle, self.x, range(1))
        self.at, self.last = 1, cell.steps
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
            self.x, self.state = self.descent(self.method, self.oracle, self.x, range(self.at, step), self.state)
        self.at = step

    def prepare(self, count: int) -> Callable[[], object]:
        """``timing.Prepare``, called and carried out with the tree entered.

        One step goes before the clock: a copy that has just been made lies in no cache, which is the copy's cost.
        """
        x, state = self.method.copy(self.x, self.state)
        x, state = self.descent(self.method, self.oracle, x, range(self.at, self.at + 1), state)
        steps = range(self.at + 1, self.at + 1 + count)
        return lambda: self.descent(self.method, self.oracle, x, steps, state)

    def block(self, steps: int) -> Billed:
        """A block; what a step imports late is its own side's."""
        with self.tree.entered():
            return self.arm(steps)


def _laden(method: Any, ballast: Callable[[], None] | None) -> Any:
    if ballast is None:
        return method
    step = method.step

    def laden(oracle: Any, k: Any, x: Any, state: Any) -> Any:
        done = step(oracle, k, x, state)
        ballast()
        return done

    return replace(method, step=laden)
