"""Nonlinear conjugate gradients: the gradient, bent towards the last direction, and a search along it.

``p = g + b p_old; x - t p``, with t from a strong Wolfe search (``line_search.search_strong_wolfe``). The methods
differ in b, in which g_old and y = g - g_old look back. Where p does not point uphill it is g again (a restart). The
first trial of a search is lr, after that the step that would promise the fall of the one before it (Nocedal and Wright
2006, equation 3.60).
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
    """The last gradient and direction, and the fall that the last step promised, ``t (g p)``: 0 at first."""

    grad: Params
    way: Params
    promise: Tensor


class BetaInputs(NamedTuple):
    """What b is made of: g, g_old, p_old, their change y, and the inner product."""

    grad: Params
    old: Params
    way: Params
    change: Params
    inner: InnerProduct


BetaRule = Callable[[BetaInputs], Tensor]


def cg_fr(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Fletcher and Reeves (1964), ``b = g g / g_old g_old``."""
    return cg_method(
        lambda at: safe_ratio(at.inner(at.grad, at.grad), at.inner(at.old, at.old), 0.0), lr, c1, c2, trips
    )


def cg_pr(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Polak and Ribiere (1969), ``b = max(g y / g_old g_old, 0)``: PR+ (Powell 1986)."""

    def weight(at: BetaInputs) -> Tensor:
        return safe_ratio(at.inner(at.grad, at.change), at.inner(at.old, at.old), 0.0).clamp(min=0)

    return cg_method(weight, lr, c1, c2, trips)


def cg_hs(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Hestenes and Stiefel (1952), ``b = g y / (-p_old y)``."""
    return cg_method(lambda at: safe_ratio(at.inner(at.grad, at.change), slope_growth(at), 0.0), lr, c1, c2, trips)


def cg_dy(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Dai and Yuan (1999), ``b = g g / (-p_old y)``."""
    return cg_method(lambda at: safe_ratio(at.inner(at.grad, at.grad), slope_growth(at), 0.0), lr, c1, c2, trips)


def cg_hz(lr: Hyper, c1: Hyper = 1e-4, c2: Hyper = 0.1, trips: int = 10) -> Method:
    """Conjugate gradients of Hager and Zhang (2005): that of Hestenes and Stiefel, held to a descent.

    ``b = (g y + 2 (g p_old) (y y) / (-p_old y)) / (-p_old y)``, but at least ``-1 / (|p_old| min(0.01, |g_old|))``.
    """

    def weight(at: BetaInputs) -> Tensor:
        turn, inner = slope_growth(at), at.inner
        held = 2 * inner(at.grad, at.way) * safe_ratio(inner(at.change, at.change), turn, 0.0)
        least = -safe_ratio(1.0, inner(at.way, at.way).sqrt() * inner(at.old, at.old).sqrt().clamp(max=0.01), 0.0)
        return torch.maximum(safe_ratio(inner(at.grad, at.change) + held, turn, 0.0), least)

    return cg_method(weight, lr, c1, c2, trips)


def slope_growth(at: BetaInputs) -> Tensor:
    """``-p_old y``, how much the slope along the last direction has grown: above 0 after a Wolfe step."""
    return -at.inner(at.way, at.change)


def cg_method(weight: BetaRule, lr: Hyper, c1: Hyper, c2: Hyper, trips: int) -> Method:
    """The method whose b is ``weight``."""

    def init(x: Params, number: RunNumber) -> CGState:
        return CGState(zeros_like(x), zeros_like(x), number(0.0))

    def step(
        oracle: Oracle, k: Step, x: Params, state: CGState, inner: InnerProduct
    ) -> tuple[Params, CGState, StepInfo]:
        loss, grad = oracle.grad(x, k)
        b = weight(BetaInputs(grad, state.grad, state.way, subtract(grad, state.grad), inner))
        way, slope = ensure_ascent(grad, add_scaled(grad, b, state.way), inner)
        first = safe_ratio(state.promise, slope, 0.0)
        first = torch.where(first > 0, first, per_run(lr, first))
        size, gradients = search_strong_wolfe(oracle, k, SearchLine(x, loss.detach(), way, slope), first, c1, c2, trips)
        state = CGState(grad, way, size * slope)
        return step_along(x, size, way), state, StepInfo(loss, grad, 1 + gradients, 0)

    return line_search_method(init, step)


def ensure_ascent(grad: Params, way: Params, inner: InnerProduct) -> tuple[Params, Tensor]:
    """A direction and the slope along it, if that is above 0 and finite; else the gradient and its square."""
    slope, squared = inner(grad, way), inner(grad, grad)
    good = (slope > 0) & torch.isfinite(slope)
    return select_per_run(good, way, grad), torch.where(good, slope, squared)


def select_per_run(good: Tensor, way: Params, otherwise: Params) -> Params:
    """One tree where ``good``, a truth a run, holds, another elsewhere."""
    if isinstance(way, dict):
        return {name: select_per_run(good, leaf, otherwise[name]) for name, leaf in way.items()}  # type: ignore[misc, index]
    shape = good.shape + (1,) * (way.dim() - good.dim())
    return torch.where(good.reshape(shape), way, otherwise)  # type: ignore[arg-type]
