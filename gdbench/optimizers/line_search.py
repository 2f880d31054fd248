"""Gradient descent that looks for the length of each step, and the searches themselves, for other directions too.

A direction p points uphill, as the gradient does: the step is ``x - t p``, and the loss falls at first by ``t (g p)``.
Searches make all their trips in lanes and under a compiler, masked; the work that is counted is that of a search that
stops when it can, as a solo run does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepInfo
from gdbench.tree import Params, dot, per_run, tree_map


class SearchLine(NamedTuple):
    """Where a search goes: from x, whose loss is ``here``, along ``x - t way``; ``slope`` is g way, above 0."""

    x: Params
    here: Tensor
    way: Params
    slope: Tensor


def armijo(lr: Hyper = 1.0, shrink: Hyper = 0.5, c: Hyper = 1e-4, trips: int = 30) -> Method:
    """Backtracking line search (Armijo 1966; Nocedal and Wright 2006, algorithm 3.1).

    Takes the first t of ``lr, lr shrink, lr shrink^2, ...`` with a finite ``f(x - t g) <= f(x) - c t |g|^2``, and stays
    where none of ``trips`` will do.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()]) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        line = SearchLine(x, loss.detach(), grad, dot(grad, grad, oracle.laned))
        size, evaluations = backtrack(oracle, k, line, lr, shrink, c, trips)
        return step_along(x, size, grad), state, StepInfo(loss, grad, 1, evaluations)

    return Method(lambda x: (), step, constant_cost=False)


def strong_wolfe(lr: Hyper = 1.0, c1: Hyper = 1e-4, c2: Hyper = 0.9, trips: int = 10) -> Method:
    """Gradient descent with steps that obey the strong Wolfe conditions (Wolfe 1969; see ``search_strong_wolfe``).

    The first trial is lr.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()]) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        line = SearchLine(x, loss.detach(), grad, dot(grad, grad, oracle.laned))
        size, gradients = search_strong_wolfe(oracle, k, line, lr, c1, c2, trips)
        return step_along(x, size, grad), state, StepInfo(loss, grad, 1 + gradients, 0)

    return Method(lambda x: (), step, constant_cost=False)


def backtrack(
    oracle: Oracle, k: Step, line: SearchLine, lr: Hyper, shrink: Hyper, c: Hyper, trips: int
) -> tuple[Tensor, Tensor]:
    """The first t of ``lr, lr shrink, ...`` with a finite ``f(x - t p) <= f(x) - c t (g p)``, or 0; and the trials."""
    found = torch.zeros_like(line.here, dtype=torch.bool)
    evaluations = torch.zeros_like(line.here, dtype=torch.int32)
    taken, size = torch.zeros_like(line.here), lr
    for _ in range(trips):
        evaluations = evaluations + ~found
        trial = oracle.value(step_along(line.x, size, line.way), k)
        enough = torch.isfinite(trial) & (trial <= line.here - per_run(c * size, line.here) * line.slope)
        taken = torch.where(enough & ~found, per_run(size, line.here), taken)
        found, size = found | enough, size * shrink
        if can_stop(oracle, found):
            break
    return taken, evaluations


class Bracket(NamedTuple):
    """Steps around a good one: at ``low`` the loss has fallen enough and goes on falling; ``high`` is too far.

    With the slopes there; infinite where ``high`` is not known yet, or its slope tells nothing.
    """

    low: Tensor
    low_slope: Tensor
    high: Tensor
    high_slope: Tensor


def search_strong_wolfe(
    oracle: Oracle, k: Step, line: SearchLine, first: Hyper, c1: Hyper, c2: Hyper, trips: int
) -> tuple[Tensor, Tensor]:
    """A step with ``f(x - t p) <= f(x) - c1 t (g p)`` and a slope of at most ``c2 (g p)``; and the gradients it took.

    From ``first`` on the trials go, at most ten times as far each, to where the slope would be 0 if it grew evenly,
    which on a quadratic it does. Once a trial is too far they stay in the bracket, and every other one parts it by
    magnitude, so that any smooth function bounded below yields (Nocedal and Wright 2006, section 3.5). After ``trips``
    trials the step is the best that only falls enough, 0 if there is none.
    """
    zero, far = torch.zeros_like(line.here), torch.full_like(line.here, torch.inf)
    ends, trial = Bracket(zero, -line.slope, far, far), zero + per_run(first, zero)
    found = torch.zeros_like(line.here, dtype=torch.bool)
    taken, gradients = zero, torch.zeros_like(line.here, dtype=torch.int32)
    for trip in range(trips):
        gradients = gradients + ~found
        loss, grad = oracle.grad(step_along(line.x, trial, line.way), k)
        loss, slope = loss.detach(), -dot(grad, line.way, oracle.laned)
        falls = torch.isfinite(loss) & (loss <= line.here - per_run(c1, zero) * trial * line.slope)
        good = falls & (slope.abs() <= per_run(c2, zero) * line.slope)
        short = falls & (slope < 0)
        taken = torch.where(~found & (good | short), trial, taken)
        found = found | good
        if can_stop(oracle, found):
            break
        ends, trial = narrow_bracket(ends, trial, slope, short, halve=trip % 2 == 1)
    return taken, gradients


def narrow_bracket(ends: Bracket, trial: Tensor, slope: Tensor, short: Tensor, halve: bool) -> tuple[Bracket, Tensor]:
    """The bracket after a trial, and the next trial."""
    new = Bracket(
        torch.where(short, trial, ends.low),
        torch.where(short, slope, ends.low_slope),
        torch.where(short, ends.high, trial),
        torch.where(short, ends.high_slope, torch.where(slope > 0, slope, torch.inf)),
    )
    open_ended = torch.isinf(new.high)
    beyond = torch.minimum(10 * trial, find_zero_slope(ends.low, ends.low_slope, trial, slope, 10 * trial))
    middle = torch.where(new.low > 0, (new.low * new.high).sqrt(), new.high / 10)
    inside = middle if halve else find_zero_slope(new.low, new.low_slope, new.high, new.high_slope, middle)
    return new, torch.where(open_ended, beyond, inside)


def find_zero_slope(low: Tensor, low_slope: Tensor, high: Tensor, high_slope: Tensor, otherwise: Tensor) -> Tensor:
    """Where a slope that grows evenly from one point to another is 0; ``otherwise`` where it does not grow."""
    grows = torch.isfinite(high_slope) & (high_slope > low_slope)
    share = -low_slope / torch.where(grows, high_slope - low_slope, 1.0)
    return torch.where(grows, low + share * (high - low), otherwise)


def can_stop(oracle: Oracle, found: Tensor) -> bool:
    """Whether the trips that are left would change nothing; only a run alone can tell without waiting."""
    return not oracle.laned and not torch.compiler.is_compiling() and bool(found)


def step_along(x: Params, size: Hyper, grad: Params) -> Params:
    """The point ``x - size grad``; x itself where the size is 0, however infinite the gradient."""

    def move(leaf: Tensor, slope: Tensor) -> Tensor:
        length = per_run(size, leaf)
        new = leaf - length * slope
        return torch.where(length != 0, new, leaf) if isinstance(length, Tensor) else new

    return tree_map(move, x, grad)
