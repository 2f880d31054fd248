"""Frozen loops on torch alone, measured in both arms: what they show, the machine or the measuring did.

One is bound by the overhead of dispatching operations, one by memory; they call nothing of a side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import torch

from gdbench.gate.timing.blocks import Fit, arm
from gdbench.timing import Prepare

__all__ = ["CONTROLS", "Control", "ballast"]


def overhead() -> Prepare:
    """Gradient descent on (x - 2)^2 by hand, one number, float32."""

    def steps(x: torch.Tensor, count: int) -> None:
        for _ in range(count):
            loss = ((x - 2) ** 2).sum()
            (gradient,) = torch.autograd.grad(loss, x)
            x = (x.detach() - 0.1 * gradient).requires_grad_()

    def prepare(count: int) -> Callable[[], None]:
        x = torch.tensor([10.0], requires_grad=True)
        return lambda: steps(x, count)

    return prepare


@cache
def memory() -> Prepare:
    """Adding one array of 4 MB to another: more than a core's own caches hold.

    Both arms of a process share the arrays: which pages an array gets makes it faster or slower by a tenth.
    """
    a, b = torch.ones(2, 2**20)

    def steps(count: int) -> None:
        for _ in range(count):
            a.add_(b)

    return lambda count: lambda: steps(count)


CONTROLS: Mapping[str, Callable[[], Prepare]] = {"overhead": overhead, "memory": memory}


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
