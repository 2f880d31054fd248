"""From the words of a request to something that can be measured."""

from __future__ import annotations

from collections.abc import Mapping

from gdbench.gate.timing.abba_blocks import Billed, Fit
from gdbench.gate.timing.controls import Control, ballast
from gdbench.gate.timing.dual_import import Tree
from gdbench.gate.timing.replicate import Subject
from gdbench.gate.timing.sessions import Arm
from gdbench.gate.timing.workload import Workload

__all__ = ["made"]


class Stretched:
    """Does k (1 + x) steps where k are asked for and billed."""

    def __init__(self, inner: Workload, x: float) -> None:
        """Slower by x, exactly."""
        self.inner, self.x = inner, x
        self.warm, self.to = inner.warm, inner.to

    @property
    def fit(self) -> Fit:
        """k (1 + x) has to be whole."""
        return Fit(int(self.inner.fit.most / (1 + self.x)), round(1 / self.x))

    def block(self, steps: int) -> Billed:
        """More of a block than was asked for."""
        return self.inner.block(round(steps * (1 + self.x)))


def made(arm: Arm, trees: Mapping[str, Tree]) -> Subject:
    """The subject of an arm, with fresh tensors."""
    if "control" in arm:
        return Control(arm["control"])
    ops = arm.get("ballast", 0)
    work = Workload(trees[arm["tree"]], arm["posed"], ballast(ops) if ops else None)
    return Stretched(work, arm["stretch"]) if arm.get("stretch") else work
