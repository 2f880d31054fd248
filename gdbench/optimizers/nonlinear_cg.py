"""Nonlinear conjugate gradient methods with a strong-Wolfe line search.

``p = g + b p_old; x - t p``, with t from a strong Wolfe search (``line_search.search_strong_wolfe``). The methods
differ in b, a function of g, g_old, p_old and ``y = g - g_old``. Where p is not an ascent direction it is reset to g (a
restart). The first trial of a search is lr in the first step, then the step that predicts the same decrease as in the
step before (Nocedal and Wright 2006, equation 3.60).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, InnerProduct, Method, Oracle, RunNumber, Step, StepInfo, line_search_method
from gdbench.optimizers.line_search import SearchLine, search_strong_wolfe, step_along
from gdbench.optimizers.update_ops import add_scaled, safe_ratio, subtract, zeros_like
from gdbench.tree import Params, per_run


class CGState(NamedTuple):
    """The last gradient and direction, and the decrease predicted for the last step, ``t (g p)``; 0 at first."""

    grad: Params
    direction: Params
    predicted: Tensor


class BetaInputs(NamedTuple):
    """The arguments of b: g, g_old, p_old, y, and the inner product."""

    grad: Params
    old: Params
    direction: Params
    change: Params
    inner: InnerProduct


BetaRule = Callable[[BetaInputs], Tensor]


def cg_fr(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Fletcher and Reeves (1964), ``b = g g / g_old g_old``."""
    return cg_method(
        lambda inputs: safe_ratio(inputs.inner(inputs.grad, inputs.grad), inputs.inner(inputs.old, inputs.old), 0.0),
        lr,
        c1,
        c2,
        trips,
    )


def cg_pr(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Polak and Ribiere (1969), ``b = max(g y / g_old g_old, 0)``: PR+ (Powell 1986)."""

    def weight(inputs: BetaInputs) -> Tensor:
        return safe_ratio(inputs.inner(inputs.grad, inputs.change), inputs.inner(inputs.old, inputs.old), 0.0).clamp(
            min=0
        )

    return cg_method(weight, lr, c1, c2, trips)


def cg_hs(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Hestenes and Stiefel (1952), ``b = g y / (-p_old y)``."""
    return cg_method(
        lambda inputs: safe_ratio(inputs.inner(inputs.grad, inputs.change), slope_growth(inputs), 0.0),
        lr,
        c1,
        c2,
        trips,
    )


def cg_dy(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Dai and Yuan (1999), ``b = g g / (-p_old y)``."""
    return cg_method(
        lambda inputs: safe_ratio(inputs.inner(inputs.grad, inputs.grad), slope_growth(inputs), 0.0), lr, c1, c2, trips
    )


def cg_hz(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Hager and Zhang (2005): ``cg_hs`` modified to guarantee descent.

    ``b = (g y + 2 (g p_old) (y y) / (-p_old y)) / (-p_old y)``, but at least ``-1 / (|p_old| min(0.01, |g_old|))``.
    """

    def weight(inputs: BetaInputs) -> Tensor:
        growth, inner = slope_growth(inputs), inputs.inner
        correction = (
            2 * inner(inputs.grad, inputs.direction) * safe_ratio(inner(inputs.change, inputs.change), growth, 0.0)
        )
        length = inner(inputs.direction, inputs.direction).sqrt()
        least = -safe_ratio(1.0, length * inner(inputs.old, inputs.old).sqrt().clamp(max=0.01), 0.0)
        return torch.maximum(safe_ratio(inner(inputs.grad, inputs.change) + correction, growth, 0.0), least)

    return cg_method(weight, lr, c1, c2, trips)


def slope_growth(inputs: BetaInputs) -> Tensor:
    """Compute ``-p_old y``, the increase of the slope along the last direction: above 0 after a Wolfe step."""
    return -inputs.inner(inputs.direction, inputs.change)


def cg_method(weight: BetaRule, lr: Hyper, c1: Hyper, c2: Hyper, trips: int) -> Method:
    """Build the method whose b is ``weight``."""

    def init(x: Params, number: RunNumber) -> CGState:
        return CGState(zeros_like(x), zeros_like(x), number(0.0))

    def step(
        oracle: Oracle, k: Step, x: Params, state: CGState, inner: InnerProduct
    ) -> tuple[Params, CGState, StepInfo]:
        loss, grad = oracle.grad(x, k)
        b = weight(BetaInputs(grad, state.grad, state.direction, subtract(grad, state.grad), inner))
        direction, slope = ensure_ascent(grad, add_scaled(grad, b, state.direction), inner)
        first = safe_ratio(state.predicted, slope, 0.0)
        first = torch.where(first > 0, first, per_run(lr, first))
        line = SearchLine(x, loss.detach(), direction, slope)
        size, gradients = search_strong_wolfe(oracle, k, line, first, c1, c2, trips)
        state = CGState(grad, direction, size * slope)
        return step_along(x, size, direction), state, StepInfo(loss, grad, 1 + gradients, 0)

    return line_search_method(init, step)


def ensure_ascent(grad: Params, direction: Params, inner: InnerProduct) -> tuple[Params, Tensor]:
    """Return a direction and its slope if that is above 0 and finite; otherwise the gradient and its square."""
    slope, squared = inner(grad, direction), inner(grad, grad)
    good = (slope > 0) & torch.isfinite(slope)
    return select_per_run(good, direction, grad), torch.where(good, slope, squared)


def select_per_run(condition: Tensor, tree: Params, otherwise: Params) -> Params:
    """Select ``tree`` in the runs where the condition (one truth value per run) holds, ``otherwise`` in the others."""
    if isinstance(tree, dict):
        return {name: select_per_run(condition, leaf, otherwise[name]) for name, leaf in tree.items()}  # type: ignore[misc, index]
    shape = condition.shape + (1,) * (tree.dim() - condition.dim())
    return torch.where(condition.reshape(shape), tree, otherwise)  # type: ignore[arg-type]
