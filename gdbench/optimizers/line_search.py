"""Backtracking and strong-Wolfe line searches, and gradient descent that uses them.

A direction p is an ascent direction, as the gradient is: the step is ``x - t p``, and for small t the loss decreases by
``t (g p)``. In lanes and when compiled, a search makes all its trials, masked; the counted work is that of a search
that stops as soon as it can, as a run alone does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepInfo
from gdbench.tree import Params, dot, per_run, tree_map


class SearchLine(NamedTuple):
    """A line ``x - t direction``, with the loss at x and the slope ``g direction``, which is above 0."""

    x: Params
    loss: Tensor
    direction: Params
    slope: Tensor


def armijo(lr: Hyper = 1.0, shrink: Hyper = 0.5, c: Hyper = 1e-4, trips: int = 30) -> Method:
    """Backtracking line search (Armijo 1966; Nocedal and Wright 2006, algorithm 3.1).

    Takes the first t of ``lr, lr shrink, lr shrink^2, ...`` with a finite ``f(x - t g) <= f(x) - c t |g|^2``, and makes
    no step where none of the first ``trips`` satisfies this.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()]) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        line = SearchLine(x, loss.detach(), grad, dot(grad, grad, oracle.laned))
        size, evaluations = backtrack(oracle, k, line, lr, shrink, c, trips)
        return step_along(x, size, grad), state, StepInfo(loss, grad, 1, evaluations)

    return Method(lambda x: (), step, constant_cost=False)


def strong_wolfe(lr: Hyper = 1.0, c1: Hyper = 1e-4, c2: Hyper = 0.9, trips: int = 10) -> Method:
    """Gradient descent with steps that satisfy the strong Wolfe conditions (Wolfe 1969; see ``search_strong_wolfe``).

    The first trial step is lr.
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
    """Find the first t of ``lr, lr shrink, ...`` with a finite ``f(x - t p) <= f(x) - c t (g p)``; 0 if there is none.

    Returns t and the number of function evaluations.
    """
    found = torch.zeros_like(line.loss, dtype=torch.bool)
    evaluations = torch.zeros_like(line.loss, dtype=torch.int32)
    accepted, size = torch.zeros_like(line.loss), lr
    for _ in range(trips):
        evaluations = evaluations + ~found
        trial = oracle.value(step_along(line.x, size, line.direction), k)
        sufficient = torch.isfinite(trial) & (trial <= line.loss - per_run(c * size, line.loss) * line.slope)
        accepted = torch.where(sufficient & ~found, per_run(size, line.loss), accepted)
        found, size = found | sufficient, size * shrink
        if can_stop(oracle, found):
            break
    return accepted, evaluations


class Bracket(NamedTuple):
    """Bounds of an acceptable step, and the slopes there.

    At ``low`` the loss has decreased sufficiently and decreases further; ``high`` is too far. ``high`` and its slope
    are infinite while they are not known.
    """

    low: Tensor
    low_slope: Tensor
    high: Tensor
    high_slope: Tensor


def search_strong_wolfe(
    oracle: Oracle, k: Step, line: SearchLine, first: Hyper, c1: Hyper, c2: Hyper, trips: int
) -> tuple[Tensor, Tensor]:
    """Find a step with ``f(x - t p) <= f(x) - c1 t (g p)`` and a slope of at most ``c2 (g p)`` (strong Wolfe).

    Returns t and the number of gradients evaluated. From ``first`` on each trial is where linear interpolation of the
    slope is 0, which is exact on a quadratic, but at most ten times the last one. Once a trial is too far, trials stay
    in the bracket, and every other one is its geometric mean, so that the search succeeds on any smooth function that
    is bounded below (Nocedal and Wright 2006, section 3.5). After ``trips`` trials t is the last one with sufficient
    decrease, 0 if there is none.
    """
    zero, infinity = torch.zeros_like(line.loss), torch.full_like(line.loss, torch.inf)
    bracket, trial = Bracket(zero, -line.slope, infinity, infinity), zero + per_run(first, zero)
    found = torch.zeros_like(line.loss, dtype=torch.bool)
    accepted, gradients = zero, torch.zeros_like(line.loss, dtype=torch.int32)
    for trip in range(trips):
        gradients = gradients + ~found
        loss, grad = oracle.grad(step_along(line.x, trial, line.direction), k)
        loss, slope = loss.detach(), -dot(grad, line.direction, oracle.laned)
        decreased = torch.isfinite(loss) & (loss <= line.loss - per_run(c1, zero) * trial * line.slope)
        good = decreased & (slope.abs() <= per_run(c2, zero) * line.slope)
        short = decreased & (slope < 0)
        accepted = torch.where(~found & (good | short), trial, accepted)
        found = found | good
        if can_stop(oracle, found):
            break
        bracket, trial = narrow_bracket(bracket, trial, slope, short, halve=trip % 2 == 1)
    return accepted, gradients


def narrow_bracket(old: Bracket, trial: Tensor, slope: Tensor, short: Tensor, halve: bool) -> tuple[Bracket, Tensor]:
    """Update the bracket by a trial, and choose the next trial; ``halve`` asks for the geometric mean."""
    new = Bracket(
        torch.where(short, trial, old.low),
        torch.where(short, slope, old.low_slope),
        torch.where(short, old.high, trial),
        torch.where(short, old.high_slope, torch.where(slope > 0, slope, torch.inf)),
    )
    is_open = torch.isinf(new.high)
    further = torch.minimum(10 * trial, find_zero_slope(old.low, old.low_slope, trial, slope, 10 * trial))
    middle = torch.where(new.low > 0, (new.low * new.high).sqrt(), new.high / 10)
    inside = middle if halve else find_zero_slope(new.low, new.low_slope, new.high, new.high_slope, middle)
    return new, torch.where(is_open, further, inside)


def find_zero_slope(low: Tensor, low_slope: Tensor, high: Tensor, high_slope: Tensor, otherwise: Tensor) -> Tensor:
    """Find the zero of the line through two slopes; ``otherwise`` where the slope does not increase."""
    grows = torch.isfinite(high_slope) & (high_slope > low_slope)
    share = -low_slope / torch.where(grows, high_slope - low_slope, 1.0)
    return torch.where(grows, low + share * (high - low), otherwise)


def can_stop(oracle: Oracle, found: Tensor) -> bool:
    """Whether the search may end; in lanes never, because to ask would wait for the device."""
    return not oracle.laned and not torch.compiler.is_compiling() and bool(found)


def step_along(x: Params, size: Hyper, grad: Params) -> Params:
    """Compute ``x - size grad``; x itself where the size is 0, even if the gradient is infinite."""

    def move(leaf: Tensor, slope: Tensor) -> Tensor:
        length = per_run(size, leaf)
        new = leaf - length * slope
        return torch.where(length != 0, new, leaf) if isinstance(length, Tensor) else new

    return tree_map(move, x, grad)
