"""Frozen loops that everything is timed against; changing a line here makes old and new ratios incomparable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

__all__ = ["memory_loop", "notebook_loop"]


def notebook_loop(device: torch.device | str = "cpu") -> Callable[[int], Callable[[], None]]:
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


@cache
def memory_loop(device: torch.device | str = "cpu") -> Callable[[int], Callable[[], None]]:
    """Adding one array of 32 MB to another: bound by memory. ``prepare(n)`` for ``timing``."""
    a, b = torch.ones(2, 8 * 2**20, device=device)

    def steps(count: int) -> None:
        for _ in range(count):
            a.add_(b)

    return lambda count: lambda: steps(count)
