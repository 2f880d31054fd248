"""Frozen loops on torch alone, measured in both arms: what they show, the machine or the measuring did.

One is bound by the overhead of dispatching operations, one by memory; they call nothing of a side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from gdbench.engine.reference_loops import make_memory_loop, make_plain_loop
from gdbench.engine.timer import Prepare
from gdbench.gate.timing.abba_blocks import Fit, arm

__all__ = ["CONTROLS", "Control", "ballast"]


CONTROLS: Mapping[str, Callable[[], Prepare]] = {
    "overhead": make_plain_loop,
    "memory": partial(make_memory_loop, megabytes=4),
}


class Control:
    """A frozen loop as a subject; warming up is one long block."""

    fit = Fit()

    def __init__(self, name: str) -> None:
        """With arrays of its own."""
        prepare = CONTROLS[name]()
        prepare(100)()
        self.block = arm(prepare)

    def warm(self, steps: int, seconds: float) -> int:
        """It is warm: its steps are all alike."""
        return 0

    def to(self, step: int) -> None:
        """It has no place to go."""


def ballast(ops: int) -> Callable[[], None]:
    """So many dispatched operations, of the cheapest kind, as 5% of a step is little: work that changes nothing."""
    detach = torch.zeros(1).detach

    def work() -> None:
        for _ in range(ops):
            detach()

    return work
