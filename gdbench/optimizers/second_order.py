"""Steps that know curvature: Newton's, by conjugate gradients on Hessian products, and the quasi-Newton one of BFGS."""

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
    """The last point and gradient, and the estimated inverse of the Hessian ``[n, n]``; in lanes one each."""

    x: Params
    grad: Params
    inverse: Tensor
    met: Tensor
    """1 once a pair of changes has been seen, 0 before."""


def newton_cg(lr: Hyper = 1.0, shrink: Hyper = 0.5, c: Hyper = 1e-4, inner_trips: int = 10, trips: int = 20) -> Method:
    """Newton's method by truncated conjugate gradients (Dembo and Steihaug 1983; Nocedal and Wright 2006, 7.1).

    ``H p = g`` is solved until ``|H p - g| <= min(1/2, sqrt(|g|)) |g|``, by ``inner_trips`` Hessian products at most,
    or up to a direction along which the curvature is not above 0 (the first of all, g, is then taken itself). Then
    Armijo's search from lr along -p.
    """

    def step(
        oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: InnerProduct
    ) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        way, products = solve_newton(oracle, k, x, grad, inner, inner_trips)
        way, slope = ensure_ascent(grad, way, inner)
        size, evaluations = backtrack(oracle, k, SearchLine(x, loss.detach(), way, slope), lr, shrink, c, trips)
        return step_along(x, size, way), state, StepInfo(loss, grad, 1 + HESSIAN_PRODUCT * products, evaluations)

    return line_search_method(lambda x, number: (), step)


def solve_newton(
    oracle: Oracle, k: Step, x: Params, grad: Params, inner: InnerProduct, trips: int
) -> tuple[Params, Tensor]:
    """A p with ``H p`` near g, and how many Hessian products it took."""
    squared = inner(grad, grad)
    enough = (squared.sqrt().sqrt().clamp(max=0.5) * squared.sqrt()) ** 2
    way, rest, search = zeros_like(x), grad, grad
    done, products = ~(squared > 0), torch.zeros_like(squared, dtype=torch.int32)
    for trip in range(trips):
        if can_stop(oracle, done):
            break
        products = products + ~done
        bent = oracle.hvp(x, search, k)
        curvature, before = inner(search, bent), inner(rest, rest)
        curved = curvature > 0
        size = torch.where(done, 0.0, safe_ratio(before, curvature, 1.0 if trip == 0 else 0.0))
        way, rest = step_along(way, -size, search), step_along(rest, size, bent)
        after = inner(rest, rest)
        done = done | ~curved | (after <= enough)
        search = add_scaled(rest, safe_ratio(after, before, 0.0), search)
    return way, products


def bfgs(lr: Hyper = 1.0, c1: Hyper = 1e-4, c2: Hyper = 0.9, trips: int = 10) -> Method:
    """BFGS, ``B = (1 - s y' / y s) B (1 - y s' / y s) + s s' / y s; x - t B g`` (Nocedal and Wright 2006, 6.1).

    s and y are the last changes of x and of the gradient; a pair with ``y s`` not above 0 is passed over. B is 1 at
    first, and ``y s / y y`` before the first update; t comes from a strong Wolfe search that begins at lr, but at
    ``lr / |g|`` while B is 1. B takes n^2 numbers.
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
        inverse, met = update_inverse(state, s, y)
        slope_of = flatten(grad, oracle.laned)
        way = unflatten((inverse @ slope_of[..., None])[..., 0], x, oracle.laned)
        way, slope = ensure_ascent(grad, way, inner)
        first = torch.where(met > 0, lr, safe_ratio(lr, slope.sqrt(), lr))
        size, gradients = search_strong_wolfe(oracle, k, SearchLine(x, loss.detach(), way, slope), first, c1, c2, trips)
        return step_along(x, size, way), BFGSState(x, grad, inverse, met), StepInfo(loss, grad, 1 + gradients, 0)

    return line_search_method(init, step)


def update_inverse(state: BFGSState, s: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse after a pair of changes, and whether there has been one."""
    curvature = (s * y).sum(-1)
    good = curvature > 0
    scale = torch.where(state.met > 0, 1.0, safe_ratio(curvature, (y * y).sum(-1), 1.0))
    before = scale[..., None, None] * state.inverse
    turned = (before @ y[..., None])[..., 0]
    inverse_curvature = safe_ratio(1.0, curvature, 0.0)
    weight = ((curvature + (y * turned).sum(-1)) * inverse_curvature**2)[..., None, None]
    mixed = turned[..., :, None] * s[..., None, :]
    after = before + weight * s[..., :, None] * s[..., None, :]
    after = after - inverse_curvature[..., None, None] * (mixed + mixed.transpose(-1, -2))
    return torch.where(good[..., None, None], after, state.inverse), torch.where(good, 1.0, state.met)
