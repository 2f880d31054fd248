"""Newton's method in float64, for the minimisers of strictly convex objectives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

__all__ = ["minimise_newton"]

TOLERANCE, MAX_STEPS = 1e-12, 200


def minimise_newton(
    fn: Callable[[Tensor], Tensor], start: Tensor, hessian: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Minimise ``fn`` by Newton's method from ``start`` ``[n]`` to |gradient| <= 1e-12; returns the minimiser.

    A step is halved until the value or the gradient decreases. ``hessian`` computes the matrix ``[n, n]`` where
    automatic differentiation, row by row, is too slow. Raises ArithmeticError where 200 steps are not enough, or a step
    fails.
    """

    def gradient(x: Tensor) -> Tensor:  # torch.func would import modules for two seconds
        x = x.detach().requires_grad_()
        return torch.autograd.grad(fn(x), x)[0]

    curvature = hessian or partial(torch.autograd.functional.hessian, fn)
    x, slope = start, gradient(start)
    for _ in range(MAX_STEPS):
        if slope.norm() <= TOLERANCE:
            return x
        step = torch.linalg.solve(curvature(x), slope)
        for halvings in range(50):
            new = x - step / 2**halvings
            if fn(new) < fn(x) or gradient(new).norm() < slope.norm():
                break
        else:
            break
        x, slope = new, gradient(new)
    raise ArithmeticError(f"Newton's method stopped at a gradient of {float(slope.norm()):.1e}")
