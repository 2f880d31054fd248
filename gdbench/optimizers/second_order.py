"""Newton's method, by conjugate gradients with Hessian products, and the quasi-Newton method BFGS."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import (
    HESSIAN_PRODUCT,
    Hyper,
    InnerProduct,
    Method,
    Oracle,
    RunNumber,
    Step,
    StepInfo,
    line_search_method,
)
from gdbench.optimizers.line_search import SearchLine, backtrack, can_stop, search_strong_wolfe, step_along
from gdbench.optimizers.nonlinear_cg import ensure_ascent
from gdbench.optimizers.update_ops import add_scaled, safe_ratio, subtract, zeros_like
from gdbench.tree import Params, flatten, leaves, tree_map, unflatten


class BFGSState(NamedTuple):
    """The last point and gradient, and the estimated inverse of the Hessian: ``[n, n]``, in lanes ``[L, n, n]``."""

    x: Params
    grad: Params
    inverse: Tensor
    updated: Tensor
    """1 once the inverse has been updated, 0 before."""


def newton_cg(lr: Hyper = 1.0, shrink: Hyper = 0.5, c: Hyper = 1e-4, inner_trips: int = 10, trips: int = 20) -> Method:
    """Newton's method by truncated conjugate gradients (Dembo and Steihaug 1983; Nocedal and Wright 2006, 7.1).

    ``H p = g`` is solved until ``|H p - g| <= min(1/2, sqrt(|g|)) |g|``, by ``inner_trips`` Hessian products at most,
    or until a direction has a curvature that is not above 0 (if it is the first one, g, then p = g). Then a
    backtracking search from lr along -p.
    """

    def step(
        oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: InnerProduct
    ) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        direction, products = solve_newton(oracle, k, x, grad, inner, inner_trips)
        direction, slope = ensure_ascent(grad, direction, inner)
        size, evaluations = backtrack(oracle, k, SearchLine(x, loss.detach(), direction, slope), lr, shrink, c, trips)
        return step_along(x, size, direction), state, StepInfo(loss, grad, 1 + HESSIAN_PRODUCT * products, evaluations)

    return line_search_method(lambda x, number: (), step)


def solve_newton(
    oracle: Oracle, k: Step, x: Params, grad: Params, inner: InnerProduct, trips: int
) -> tuple[Params, Tensor]:
    """Solve ``H p = g`` approximately; returns p and the number of Hessian products."""
    squared = inner(grad, grad)
    tolerance = (squared.sqrt().sqrt().clamp(max=0.5) * squared.sqrt()) ** 2
    solution, residual, search = zeros_like(x), grad, grad
    done, products = ~(squared > 0), torch.zeros_like(squared, dtype=torch.int32)
    for trip in range(trips):
        if can_stop(oracle, done):
            break
        products = products + ~done
        product = oracle.hvp(x, search, k)
        curvature, before = inner(search, product), inner(residual, residual)
        size = torch.where(done, 0.0, safe_ratio(before, curvature, 1.0 if trip == 0 else 0.0))
        solution, residual = step_along(solution, -size, search), step_along(residual, size, product)
        after = inner(residual, residual)
        done = done | ~(curvature > 0) | (after <= tolerance)
        search = add_scaled(residual, safe_ratio(after, before, 0.0), search)
    return solution, products


def bfgs(lr: Hyper = 1.0, c1: Hyper = 1e-4, c2: Hyper = 0.9, trips: int = 10) -> Method:
    """BFGS, ``B = (1 - s y' / y s) B (1 - y s' / y s) + s s' / y s; x - t B g`` (Nocedal and Wright 2006, 6.1).

    s and y are the last changes of x and of the gradient; a pair with ``y s`` not above 0 is skipped. B is the identity
    at first, and is scaled to ``y s / y y`` before the first update. t is found by a strong Wolfe search from lr, or
    from ``lr / |g|`` while B is the identity. B holds n^2 numbers.
    """

    def init(x: Params, number: RunNumber) -> BFGSState:
        one = number(1.0)
        n = sum(leaf.numel() for leaf in leaves(x)) // max(one.numel(), 1)
        eye = torch.eye(n, dtype=one.dtype, device=one.device)
        inverse = eye.expand(*one.shape, n, n).clone() if one.dim() else eye
        return BFGSState(tree_map(torch.clone, x), zeros_like(x), inverse, number(0.0))

    def step(
        oracle: Oracle, k: Step, x: Params, state: BFGSState, inner: InnerProduct
    ) -> tuple[Params, BFGSState, StepInfo]:
        loss, grad = oracle.grad(x, k)
        s = flatten(subtract(x, state.x), oracle.laned)
        y = flatten(subtract(grad, state.grad), oracle.laned)
        inverse, updated = update_inverse(state, s, y)
        product = (inverse @ flatten(grad, oracle.laned)[..., None])[..., 0]
        direction, slope = ensure_ascent(grad, unflatten(product, x, oracle.laned), inner)
        first = torch.where(updated > 0, lr, safe_ratio(lr, slope.sqrt(), lr))
        line = SearchLine(x, loss.detach(), direction, slope)
        size, gradients = search_strong_wolfe(oracle, k, line, first, c1, c2, trips)
        info = StepInfo(loss, grad, 1 + gradients, 0)
        return step_along(x, size, direction), BFGSState(x, grad, inverse, updated), info

    return line_search_method(init, step)


def update_inverse(state: BFGSState, s: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Update the inverse Hessian by a pair of changes; returns it, and 1 where it has ever been updated."""
    curvature = (s * y).sum(-1)
    good = curvature > 0
    scale = torch.where(state.updated > 0, 1.0, safe_ratio(curvature, (y * y).sum(-1), 1.0))
    before = scale[..., None, None] * state.inverse
    product = (before @ y[..., None])[..., 0]
    inverse_curvature = safe_ratio(1.0, curvature, 0.0)
    weight = ((curvature + (y * product).sum(-1)) * inverse_curvature**2)[..., None, None]
    outer = product[..., :, None] * s[..., None, :]
    after = before + weight * s[..., :, None] * s[..., None, :]
    after = after - inverse_curvature[..., None, None] * (outer + outer.transpose(-1, -2))
    return torch.where(good[..., None, None], after, state.inverse), torch.where(good, 1.0, state.updated)
