"""Systems of n equations in n unknowns from Moré, Garbow and Hillstrom; the minimum is 0, at a solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import format_source, sum_of_squares
from gdbench.objectives.validation import check_int

__all__ = [
    "boundary_value",
    "brown_almost_linear",
    "broyden_banded",
    "broyden_tridiagonal",
    "integral_equation",
    "trigonometric",
]

MAX_SOLVED = 100
"""The largest n for which the minimiser is computed when the objective is built, which takes O(n^3) work."""


def _build_system(residuals: Callable[..., Tensor], start: Tensor, problem: int, **data: Tensor) -> Objective:
    """Build the sum of squares of a system's residuals; its minimiser is found by Newton's method from the start."""
    small = len(start) <= MAX_SOLVED
    known: dict[str, Any] = (
        {"minimisers": (solve_system(residuals, start, data),)} if small else {"minimum_kind": "lower_bound"}
    )
    return Objective(
        fn=lambda x, **data: sum_of_squares(residuals(x, **data)),
        start=start,
        data=data,
        minimum=0.0,
        laned=True,
        source=format_source(problem),
        **known,
    )


def solve_system(residuals: Callable[..., Tensor], start: Tensor, data: dict[str, Tensor]) -> Tensor:
    """Solve a system by Newton's method from its start, until no step decreases the residuals.

    The Jacobian is computed by central differences, all columns at once as lanes, and is accurate to ten digits.
    """
    x, rest = start, residuals(start, **data)
    offset = 1e-5 * torch.eye(len(start), dtype=start.dtype)
    while True:
        rows = (residuals(x + offset, **data) - residuals(x - offset, **data)) / 2e-5
        new = x - torch.linalg.solve(rows.T, rest)
        if not residuals(new, **data).norm() < rest.norm():
            return x
        x, rest = new, residuals(new, **data)


def interior_grid(n: int) -> Tensor:
    """The interior points t_i = i / (n + 1), i = 1 ... n."""
    return torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)


def shift_right(x: Tensor) -> Tensor:
    """The vector x_{i-1}, with x_0 = 0."""
    return torch.nn.functional.pad(x[..., :-1], (1, 0))


def shift_left(x: Tensor) -> Tensor:
    """The vector x_{i+1}, with x_{n+1} = 0."""
    return torch.nn.functional.pad(x[..., 1:], (0, 1))


def trigonometric(n: int = 10) -> Objective:
    """A system of sines and cosines with many local minima.

    f(x) = sum_i (n - sum_j cos x_j + i (1 - cos x_i) - sin x_i)^2, i, j = 1 ... n, x of shape [n]. Start 1/n, where
    f = 7.1e-3 for n = 10. Minimum 0 at the origin; for n = 10 many methods converge to a local one of 2.79506e-5.
    1 - cos is computed as 2 sin^2(x / 2), which is accurate near 0. CUTEst multiplies the sine by i, unlike the paper.
    Raises UsageError for n < 1. Problem 26; Spedicato 1975.
    """
    i = torch.arange(1, check_int("n", n, least=1) + 1, dtype=torch.float64)

    def fn(x: Tensor, i: Tensor) -> Tensor:
        short = 2 * torch.sin(x / 2) ** 2
        return sum_of_squares(short.sum(-1, keepdim=True) + i * short - torch.sin(x))

    return Objective(
        fn=fn,
        start=torch.full_like(i, 1 / n),
        data={"i": i},
        minimum=0.0,
        minimisers=(torch.zeros_like(i),),
        laned=True,
        source=format_source(26),
    )


def brown_almost_linear(n: int = 10) -> Objective:
    """Linear equations and one equation with a product.

    f(x) = sum_{i < n} (x_i + sum_j x_j - (n + 1))^2 + (prod_j x_j - 1)^2, x of shape [n]. Start (1/2, ..., 1/2), where
    f = 273.248 for n = 10. Minimum 0 at (1, ..., 1); f = 1 at (0, ..., 0, n + 1), around which it is flat. Raises
    UsageError for n < 2. Problem 27; Brown 1969.
    """
    ones = torch.ones(check_int("n", n, least=2), dtype=torch.float64)

    def fn(x: Tensor) -> Tensor:
        linear = x[..., :-1] + (x.sum(-1, keepdim=True) - (n + 1))
        return sum_of_squares(linear) + (x.prod(-1) - 1) ** 2

    return Objective(fn=fn, start=ones / 2, minimum=0.0, minimisers=(ones,), laned=True, source=format_source(27))


def boundary_value(n: int = 10) -> Objective:
    """The boundary value problem u'' = (u + t + 1)^3 / 2, u(0) = u(1) = 0, by finite differences.

    f(x) = sum_i (2 x_i - x_{i-1} - x_{i+1} + h^2 (x_i + t_i + 1)^3 / 2)^2, h = 1 / (n + 1), t_i = i h,
    x_0 = x_{n+1} = 0, x of shape [n]. Start t_i (t_i - 1). Minimum 0, at the solution of ``integral_equation`` too. The
    minimiser is solved for up to n = 100, above that the minimum is a lower bound. Raises UsageError for n < 1.
    Problem 28; Moré and Cosnard 1979.
    """
    t = interior_grid(check_int("n", n, least=1))

    def residuals(x: Tensor, t: Tensor) -> Tensor:
        return 2 * x - shift_right(x) - shift_left(x) + (x + t + 1) ** 3 / (2 * (n + 1) ** 2)

    return _build_system(residuals, t * (t - 1), problem=28, t=t)


def integral_equation(n: int = 10) -> Objective:
    """The integral equation equivalent to ``boundary_value``, by quadrature: each equation has all variables.

    f(x) = sum_i (x_i + h/2 ((1 - t_i) sum_{j <= i} t_j (x_j + t_j + 1)^3 + t_i sum_{j > i} (1 - t_j)
    (x_j + t_j + 1)^3))^2, h = 1 / (n + 1), t_i = i h, x of shape [n]. Start t_i (t_i - 1). Minimum 0, at the solution
    of ``boundary_value``. The minimiser is computed up to n = 100; above that the minimum is a lower bound. Raises
    UsageError for n < 1. Problem 29; Moré and Cosnard 1979.
    """
    t = interior_grid(check_int("n", n, least=1))
    kernel = torch.minimum(t[:, None], t) * (1 - torch.maximum(t[:, None], t)) / (2 * (n + 1))

    def residuals(x: Tensor, t: Tensor, kernel: Tensor) -> Tensor:
        return x + (x + t + 1) ** 3 @ kernel

    return _build_system(residuals, t * (t - 1), problem=29, t=t, kernel=kernel)


def broyden_tridiagonal(n: int = 10) -> Objective:
    """Quadratic equations, each with one variable and its two neighbours.

    f(x) = sum_i ((3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1)^2, x_0 = x_{n+1} = 0, x of shape [n]. Start (-1, ..., -1),
    where f = 21 for n = 10. Minimum 0. The minimiser is solved for up to n = 100, above that the minimum is a lower
    bound. Raises UsageError for n < 1. Problem 30; Broyden 1965.
    """

    def residuals(x: Tensor) -> Tensor:
        return (3 - 2 * x) * x - shift_right(x) - 2 * shift_left(x) + 1

    return _build_system(residuals, -torch.ones(check_int("n", n, least=1), dtype=torch.float64), problem=30)


def broyden_banded(n: int = 10) -> Objective:
    """Cubic equations, each with one variable, five before it and one after.

    f(x) = sum_i (x_i (2 + 5 x_i^2) + 1 - sum_j x_j (1 + x_j))^2, j = max(1, i - 5) ... min(n, i + 1) but not i, x of
    shape [n]. Start (-1, ..., -1), where f = 360 for n = 10; CUTEst starts at +1 and has another band. Minimum 0. The
    minimiser is solved for up to n = 100, above that the minimum is a lower bound. Raises UsageError for n < 1.
    Problem 31; Broyden 1971.
    """

    def residuals(x: Tensor) -> Tensor:
        band = torch.nn.functional.pad(x * (1 + x), (5, 1))
        neighbours = sum(band[..., k : k + n] for k in (0, 1, 2, 3, 4, 6))
        return x * (2 + 5 * x**2) + 1 - neighbours

    return _build_system(residuals, -torch.ones(check_int("n", n, least=1), dtype=torch.float64), problem=31)
