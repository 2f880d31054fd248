"""Frozen reference loops for step-time ratios; changing a line here makes old and new ratios incomparable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from gdbench.engine.timer import Prepare

__all__ = ["make_memory_loop", "make_notebook_loop", "make_plain_loop"]


def make_notebook_loop(device: torch.device | str = "cpu") -> Prepare:
    """The notebook's manual loop on (x-2)^2 from 10, float32: bound by overhead. ``prepare(n)`` for ``timing``."""

    def steps(x: torch.Tensor, count: int) -> None:
        for _ in range(count):
            fun = ((x - 2) ** 2).sum()
            fun.backward()  # type: ignore[no-untyped-call]
            x.data -= 0.1 * x.grad  # type: ignore[operator]
            x.grad.zero_()  # type: ignore[union-attr]

    def prepare(count: int) -> Callable[[], None]:
        x = torch.tensor([10.0], requires_grad=True, device=device)
        steps(x, 1)  # the first step allocates the gradient
        return lambda: steps(x, count)

    return prepare


def make_plain_loop() -> Prepare:
    """Gradient descent on (x-2)^2 from 10, float32, as one writes it by hand: bound by overhead, as our own steps."""

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
def make_memory_loop(device: torch.device | str = "cpu", megabytes: int = 32) -> Prepare:
    """Adding one array of float32 to another: bound by memory if they hold more than a core's own caches.

    All callers of a process share the arrays: which pages an array gets makes it faster or slower by a tenth.
    """
    a, b = torch.ones(2, megabytes * 2**18, device=device)

    def steps(count: int) -> None:
        for _ in range(count):
            a.add_(b)

    return lambda count: lambda: steps(count)
