"""Subjects that are timed: the steps of a series on one side, also slowed down by a known amount, and the controls.

This code is always the head's, as in ``gate.probe``: of a side's gdbench it uses the facade alone (``gate.facade``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gdbench.gate.probe import describe_error, find_facade
from gdbench.gate.timing.blocks import CLOCKS, WALL_ONLY, BlockLimits, BlockTime, Subject, SubjectSpec, make_block_timer
from gdbench.gate.timing.controls import ControlLoop
from gdbench.gate.timing.dual_import import ImportedTree

__all__ = ["Composed", "ScaledWorkload", "Workload", "compose_suite", "make_subject"]

Composed = Mapping[str, Any]
"""A composed configuration as plain containers: ``config`` and ``choices``."""


def compose_suite(
    tree: ImportedTree, requests: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> dict[str, Composed | str]:
    """The configuration of every series by a tree's own files, from ``SourceTree.build_request``; a reason if none."""
    with tree.activate():
        composed = find_facade().compose(requests.values())
        answers = dict(zip(requests, composed, strict=True))
    return {name: describe_error(one) if isinstance(one, Exception) else one for name, one in answers.items()}


class Workload:
    """Steps of a series from a point early in its run, to which every block returns."""

    def __init__(self, tree: ImportedTree, composed: Composed, extra: Callable[[], None] | None = None) -> None:
        """Build the cell; ``extra`` is called after every step."""
        self.tree = tree
        with tree.activate():
            facade = find_facade()
            self.descend = facade.descend
            built = facade.build(facade.parse(composed))
            self.solo = built.solo() if extra is None else built.solo().with_extra_work(extra)
            self.x = self.solo.start()
            self.x, self.state = self.descend(self.solo, self.x, range(1))
        self.step, self.last = 1, self.solo.steps
        self.time_block = make_block_timer(self.prepare, CLOCKS if built.threads == 1 else WALL_ONLY)

    @property
    def limits(self) -> BlockLimits:
        """A block stays within the run's own steps."""
        return BlockLimits(max_steps=self.last - self.step - 1)

    def warm_up(self, steps: int, seconds: float) -> int:
        """Advance to a step, or as far as the time or half of the run's own steps allow; returns the step reached."""
        end = time.perf_counter() + seconds
        while self.step < min(steps, self.last // 2) and time.perf_counter() < end:
            self.advance(self.step + 1)
        return self.step

    def advance(self, step: int) -> None:
        """Advance to exactly this step."""
        with self.tree.activate():
            self.x, self.state = self.descend(self.solo, self.x, range(self.step, step), self.state)
        self.step = step

    def prepare(self, count: int) -> Callable[[], object]:
        """``engine.timer.Prepare``; called, and its result too, with the tree active.

        One step runs before the clock starts: a fresh copy is in no cache, which would be billed to the first step.
        """
        x, state = self.solo.copy(self.x, self.state)
        x, state = self.descend(self.solo, x, range(self.step, self.step + 1), state)
        steps = range(self.step + 1, self.step + 1 + count)
        return lambda: self.descend(self.solo, x, steps, state)

    def run_block(self, steps: int) -> BlockTime:
        """Run and time a block; what a step imports late comes from its own tree."""
        with self.tree.activate():
            return self.time_block(steps)


class ScaledWorkload:
    """A workload that is slower by exactly ``x``: it runs k (1 + x) steps where k are asked for and billed."""

    def __init__(self, inner: Workload, x: float) -> None:
        self.inner, self.x = inner, x
        self.warm_up, self.advance = inner.warm_up, inner.advance

    @property
    def limits(self) -> BlockLimits:
        """k (1 + x) has to be whole."""
        return BlockLimits(int(self.inner.limits.max_steps / (1 + self.x)), round(1 / self.x))

    def run_block(self, steps: int) -> BlockTime:
        """Run and time a block of k (1 + x) steps."""
        return self.inner.run_block(round(steps * (1 + self.x)))


def make_extra_work(ops: int) -> Callable[[], None]:
    """A function that dispatches so many operations of the cheapest kind (5% of a step is little), without effect."""
    detach = torch.zeros(1).detach

    def run_ops() -> None:
        for _ in range(ops):
            detach()

    return run_ops


def make_subject(spec: SubjectSpec, trees: Mapping[str, ImportedTree]) -> Subject:
    """The subject that a specification describes, with fresh tensors."""
    if "control" in spec:
        return ControlLoop(spec["control"])
    ops = spec.get("injected_ops", 0)
    work = Workload(trees[spec["tree"]], spec["composed"], make_extra_work(ops) if ops else None)
    return ScaledWorkload(work, spec["scale"]) if spec.get("scale") else work
