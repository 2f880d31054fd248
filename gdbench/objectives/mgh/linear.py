"""The linear problems of Moré, Garbow and Hillstrom: n variables, m residuals."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import format_source, sum_of_squares
from gdbench.objectives.validation import check_int

__all__ = ["linear_full_rank", "linear_rank_one", "linear_rank_one_zeros"]


def linear_full_rank(n: int = 10, m: int = 20) -> Objective:
    """A quadratic with a Hessian of twice the identity, written as least squares.

    f(x) = sum_{i <= n} (x_i - s - 1)^2 + sum_{n < i <= m} (s + 1)^2 with s = 2 (x_1 + ... + x_n) / m, x of shape [n].
    Start (1, ..., 1). Minimum m - n at (-1, ..., -1); f = |x + 1|^2 + m - n, so L = mu = 2. Raises UsageError for
    n < 1 or m < n. Problem 32.
    """
    check_int("m", m, least=check_int("n", n, least=1))

    def fn(x: Tensor) -> Tensor:
        shift = 2 / m * x.sum(-1, keepdim=True) + 1
        return sum_of_squares(x - shift) + (m - n) * shift.squeeze(-1) ** 2

    return Objective(
        fn=fn,
        start=torch.ones(n, dtype=torch.float64),
        minimum=float(m - n),
        minimisers=(-torch.ones(n, dtype=torch.float64),),
        smoothness=2.0,
        strong_convexity=2.0,
        laned=True,
        source=format_source(32),
    )


def linear_rank_one(n: int = 10, m: int = 20) -> Objective:
    """Linear least squares of rank one, flat in all other directions.

    f(x) = sum_i (i sum_j j x_j - 1)^2, i = 1 ... m, j = 1 ... n, x of shape [n]. Start (1, ..., 1). Minimum
    m (m - 1) / (2 (2 m + 1)) wherever sum_j j x_j = 3 / (2 m + 1); the minimiser stated is the one nearest to 0.
    Convex; L = 2 sum_i i^2 sum_j j^2. Raises UsageError for n < 1 or m < n. Problem 33.
    """
    check_int("m", m, least=check_int("n", n, least=1))
    i, j = (torch.arange(1, last + 1, dtype=torch.float64) for last in (m, n))
    return _build_rank_one(i, j, 3 / (2 * m + 1), m * (m - 1) / (2 * (2 * m + 1)), problem=33)


def linear_rank_one_zeros(n: int = 10, m: int = 20) -> Objective:
    """Linear least squares of rank one that does not depend on the first and last variable.

    f(x) = 2 + sum_i ((i - 1) sum_j j x_j - 1)^2, i = 2 ... m - 1, j = 2 ... n - 1, x of shape [n]. Start (1, ..., 1).
    Minimum (m^2 + 3 m - 6) / (2 (2 m - 3)) wherever sum_j j x_j = 3 / (2 m - 3); the minimiser stated is the one
    nearest to 0. Convex; L = 2 sum_i (i - 1)^2 sum_j j^2. Raises UsageError for n < 3 or m < n. Problem 34.
    """
    check_int("m", m, least=check_int("n", n, least=3))
    i, j = (torch.arange(last, dtype=torch.float64) for last in (m, n + 1))
    i[-1], j[1], j[-1] = 0.0, 0.0, 0.0
    return _build_rank_one(i, j[1:], 3 / (2 * m - 3), (m**2 + 3 * m - 6) / (2 * (2 * m - 3)), problem=34)


def _build_rank_one(i: Tensor, j: Tensor, level: float, minimum: float, problem: int) -> Objective:
    """Build f(x) = sum (i (j'x) - 1)^2, whose minimisers have j'x = ``level``."""

    def fn(x: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return sum_of_squares(i * (x * j).sum(-1, keepdim=True) - 1)

    return Objective(
        fn=fn,
        start=torch.ones_like(j),
        data={"i": i, "j": j},
        minimum=minimum,
        minimisers=(level * j / (j @ j),),
        smoothness=float(2 * (i @ i) * (j @ j)),
        laned=True,
        source=format_source(problem),
    )
