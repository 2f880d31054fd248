"""Objectives of known cost, so that the rest of a step's time is that of the optimizer, autograd and the loop."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.validation import check_float, check_int

__all__ = ["fixed_delay", "many_tensors"]


def busy_wait(nanoseconds: int) -> None:
    """Keep the processor busy for a number of nanoseconds."""
    until = time.perf_counter_ns() + nanoseconds
    while time.perf_counter_ns() < until:
        pass


@torch.library.custom_op("gdbench::wait", mutates_args=())
def copy_after_wait(x: Tensor, nanoseconds: int) -> Tensor:
    """Copy x after a busy wait. This is an operator because torch.compile cannot trace a loop that reads the clock."""
    busy_wait(nanoseconds)
    return x.clone()


@copy_after_wait.register_fake
def _(x: Tensor, nanoseconds: int) -> Tensor:
    return torch.empty_like(x)


def fixed_delay(n: int = 10, delay_us: float = 200.0) -> Objective:
    """A quadratic that takes a fixed time to evaluate.

    f(x) = 1/2 sum_i x_i^2, x of shape [n], after a busy wait of ``delay_us`` microseconds. Start (1, ..., 1). Minimum 0
    at (0, ..., 0); L = mu = 1. Every value and every gradient of a run alone waits once, on the processor, whatever the
    device: a step's time beyond gradients times ``delay_us`` is that of the optimizer, autograd and the loop. Lanes do
    not wait, because they are never timed. Raises UsageError for n < 1 or delay_us < 0.
    """
    check_int("n", n, least=1)
    nanoseconds = round(1e3 * check_float("delay_us", delay_us, least=0, example=200))

    def fn(x: Tensor) -> Tensor:
        if x.dim() == 1:
            if torch.compiler.is_compiling():
                fixed = x.detach()
                x = x + (
                    torch.ops.gdbench.wait(fixed, nanoseconds) - fixed
                )  # x itself, which has to wait for the difference 0
            else:
                busy_wait(nanoseconds)  # at once: the first use of an operator of one's own loads half of the compiler
        return 0.5 * (x**2).sum(-1)

    return Objective(
        fn=fn,
        start=torch.ones(n, dtype=torch.float64),
        minimum=0.0,
        minimisers=(torch.zeros(n, dtype=torch.float64),),
        smoothness=1.0,
        strong_convexity=1.0,
        laned=True,
        source="After scipy's benchmark SlowRosen",
    )


def many_tensors(tensors: int = 100, n: int = 10) -> Objective:
    """A quadratic whose point consists of many small tensors, as a network's parameters do.

    f(x) = 1/2 sum_t (t / T) |x_t|^2 over the tensors t = 1 ... T = ``tensors``, x a dict of T tensors [n]. Start 1
    everywhere. Minimum 0 at 0; L = 1 and mu = 1 / T. The number of operations grows with T while the tensors stay
    small: this shows a method's cost per tensor, which ``impl=foreach`` and ``impl=fused`` save. Raises UsageError for
    tensors < 1 or n < 1.
    """
    names = [f"{number:03d}" for number in range(1, check_int("tensors", tensors, least=1) + 1)]
    numbers = check_int("n", n, least=1)

    def fn(x: dict[str, Tensor]) -> Tensor:
        parts = [(0.5 * (place + 1) / tensors) * (x[name] ** 2).sum(-1) for place, name in enumerate(names)]
        return torch.stack(parts).sum(0)

    return Objective(
        fn=fn,
        start={name: torch.ones(numbers, dtype=torch.float64) for name in names},
        minimum=0.0,
        minimisers=({name: torch.zeros(numbers, dtype=torch.float64) for name in names},),
        smoothness=1.0,
        strong_convexity=1 / tensors,
        laned=True,
        source="After the benchmarks of torch.optim's foreach",
    )
