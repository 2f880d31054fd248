"""Steps that know curvature: Newton's, by conjugate gradients on Hessian products, and the quasi-Newton one of BFGS."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import HESSIAN_PRODUCT, Hyper, Inner, Method, Number, Oracle, Seen, Step, searching
from gdbench.optimizers.line_search import Line, backtracked, moved, over, wolfe
from gdbench.optimizers.nonlinear_cg import uphill
from gdbench.optimizers.update_ops import along, difference, ratio, zeros
from gdbench.tree import Params, flat, leaves, tree_map, unflat


class Inverse(NamedTuple):
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

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: Inner) -> tuple[Params, tuple[()], Seen]:
        loss, grad = oracle.grad(x, k)
        way, products = solved(oracle, k, x, grad, inner, inner_trips)
        way, slope = uphill(grad, way, inner)
        size, evaluations = backtracked(oracle, k, Line(x, loss.detach(), way, slope), lr, shrink, c, trips)
        return moved(x, size, way), state, Seen(loss, grad, 1 + HESSIAN_PRODUCT * products, evaluations)

    return searching(lambda x, number: (), step)


def solved(oracle: Oracle, k: Step, x: Params, grad: Params, inner: Inner, trips: int) -> tuple[Params, Tensor]:
    """A p with ``H p`` near g, and how many Hessian products it took."""
    squared = inner(grad, grad)
    enough = (squared.sqrt().sqrt().clamp(max=0.5) * squared.sqrt()) ** 2
    way, rest, search = zeros(x), grad, grad
    done, products = ~(squared > 0), torch.zeros_like(squared, dtype=torch.int32)
    for trip in range(trips):
        if over(oracle, done):
            break
        products = products + ~done
        bent = oracle.hvp(x, search, k)
        curvature, before = inner(search, bent), inner(rest, rest)
        curved = curvature > 0
        size = torch.where(done, 0.0, ratio(before, curvature, 1.0 if trip == 0 else 0.0))
        way, rest = moved(way, -size, search), moved(rest, size, bent)
        after = inner(rest, rest)
        done = done | ~curved | (after <= enough)
        search = along(rest, ratio(after, before, 0.0), search)
    return way, products


def bfgs(lr: Hyper = 1.0, c1: Hyper = 1e-4, c2: Hyper = 0.9, trips: int = 10) -> Method:
    """BFGS, ``B = (1 - s y' / y s) B (1 - y s' / y s) + s s' / y s; x - t B g`` (Nocedal and Wright 2006, 6.1).

    s and y are the last changes of x and of the gradient; a pair with ``y s`` not above 0 is passed over. B is 1 at
    first, and ``y s / y y`` before the first update; t comes from a strong Wolfe search that begins at lr, but at
    ``lr / |g|`` while B is 1. B takes n^2 numbers.
    """

    def init(x: Params, number: Number) -> Inverse:
        one = number(1.0)
        n = sum(leaf.numel() for leaf in leaves(x)) // max(one.numel(), 1)
        eye = torch.eye(n, dtype=one.dtype, device=one.device)
        inverse = eye.expand(*one.shape, n, n).clone() if one.dim() else eye
        return Inverse(tree_map(torch.clone, x), zeros(x), inverse, number(0.0))

    def step(oracle: Oracle, k: Step, x: Params, state: Inverse, inner: Inner) -> tuple[Params, Inverse, Seen]:
        loss, grad = oracle.grad(x, k)
        s = flat(difference(x, state.x), oracle.laned)
        y = flat(difference(grad, state.grad), oracle.laned)
        inverse, met = learned(state, s, y)
        slope_of = flat(grad, oracle.laned)
        way = unflat((inverse @ slope_of[..., None])[..., 0], x, oracle.laned)
        way, slope = uphill(grad, way, inner)
        first = torch.where(met > 0, lr, ratio(lr, slope.sqrt(), lr))
        size, gradients = wolfe(oracle, k, Line(x, loss.detach(), way, slope), first, c1, c2, trips)
        return moved(x, size, way), Inverse(x, grad, inverse, met), Seen(loss, grad, 1 + gradients, 0)

    return searching(init, step)


def learned(state: Inverse, s: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse after a pair of changes, and whether there has been one."""
    curvature = (s * y).sum(-1)
    good = curvature > 0
    scale = torch.where(state.met > 0, 1.0, ratio(curvature, (y * y).sum(-1), 1.0))
    before = scale[..., None, None] * state.inverse
    turned = (before @ y[..., None])[..., 0]
    inverse_curvature = ratio(1.0, curvature, 0.0)
    weight = ((curvature + (y * turned).sum(-1)) * inverse_curvature**2)[..., None, None]
    mixed = turned[..., :, None] * s[..., None, :]
    after = before + weight * s[..., :, None] * s[..., None, :]
    after = after - inverse_curvature[..., None, None] * (mixed + mixed.transpose(-1, -2))
    return torch.where(good[..., None, None], after, state.inverse), torch.where(good, 1.0, state.met)
