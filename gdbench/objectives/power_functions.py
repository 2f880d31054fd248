"""Chains of powers and power sums, with one or a few equal minima.

A power sum is as badly conditioned as a Vandermonde matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_float, check_int
from gdbench.objectives.vectors import alternating, ramp, vector

__all__ = ["brown", "csendes", "dixon_price", "perm", "perm0", "power_sum"]


@with_instances
def dixon_price(n: int = 4) -> Objective:
    """A chain of squares in which each coordinate is coupled with the one before.

    f(x) = (x_1 - 1)^2 + sum_{i > 1} i (2 x_i^2 - x_{i-1})^2, x of shape [n]. Start (2, -1, 2, -1, ...). Minimum 0 at
    x_i = 2^-(1 - 2^(1 - i)), and there with -x_n; not convex. Raises UsageError for n < 2. Dixon and Price 1989,
    Journal of Optimization Theory and Applications 60:261.
    """
    check_int("n", n, least=2)

    def fn(x: Tensor, weight: Tensor) -> Tensor:
        return (x[..., 0] - 1) ** 2 + (weight * (2 * x[..., 1:] ** 2 - x[..., :-1]) ** 2).sum(-1)

    chain = 2.0 ** (2.0 ** (1 - ramp(n)) - 1)
    mirrored = chain * torch.cat([torch.ones(n - 1, dtype=torch.float64), vector(-1)])
    return Objective(
        fn=fn,
        start=alternating(n, 2, -1),
        data={"weight": ramp(n)[1:]},
        minimum=0.0,
        minimisers=(chain, mirrored),
        laned=True,
        source="Dixon and Price 1989",
    )


@with_instances
def brown(n: int = 4) -> Objective:
    """Powers whose exponents are functions of the neighbouring coordinate.

    f(x) = sum_{i < n} (x_i^2)^(x_{i+1}^2 + 1) + (x_{i+1}^2)^(x_i^2 + 1), x of shape [n]. Start (-1, 2, -1, 2, ...).
    Minimum 0 at (0, ..., 0). Raises UsageError for n < 2. Jamil and Yang 2013.
    """
    check_int("n", n, least=2)

    def fn(x: Tensor) -> Tensor:
        square = x**2
        here, after = square[..., :-1], square[..., 1:]
        return (here ** (after + 1) + after ** (here + 1)).sum(-1)

    return Objective(
        fn=fn,
        start=alternating(n, -1, 2),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def csendes(n: int = 2) -> Objective:
    """A sixth power times a sine of 1 / x, which oscillates infinitely often near the minimum.

    f(x) = sum_i x_i^6 (2 + sin(1 / x_i)), and 0 where x_i = 0, x of shape [n]. Start (0.8, -0.6, 0.8, -0.6, ...).
    Minimum 0 at (0, ..., 0). Raises UsageError for n < 1. Csendes and Ratz 1997, SIAM Journal on Numerical Analysis
    34:922.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        nonzero = torch.where(x == 0, 1, x)  # where x is 0 the factor x^6 is too
        return (x**6 * (2 + torch.sin(1 / nonzero))).sum(-1)

    return Objective(
        fn=fn,
        start=alternating(n, 0.8, -0.6),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Csendes and Ratz 1997",
    )


@with_instances
def perm(n: int = 4, beta: float = 0.5) -> Objective:
    """Power sums of a permutation, as badly conditioned as a Vandermonde matrix.

    f(x) = sum_i (sum_j (j^i + beta) ((x_j / j)^i - 1))^2, x of shape [n]. Start (1, ..., 1). Minimum 0 at
    (1, 2, ..., n). Raises UsageError for n < 2 or beta <= 0. Neumaier, Global Optimization Test Problems, PERM.
    """
    check_int("n", n, least=2)
    shift = check_float("beta", beta, least=0, example=0.5, above=True)

    def fn(x: Tensor, index: Tensor) -> Tensor:
        ratio = x / index
        sums = [((index**i + shift) * (ratio**i - 1)).sum(-1) ** 2 for i in range(1, n + 1)]
        return torch.stack(sums).sum(0)

    return Objective(
        fn=fn,
        start=torch.ones(n, dtype=torch.float64),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=(ramp(n),),
        laned=True,
        source="Neumaier, Global Optimization Test Problems",
    )


@with_instances
def perm0(n: int = 4, beta: float = 10.0) -> Objective:
    """Power sums of reciprocals.

    f(x) = sum_i (sum_j (j + beta) (x_j^i - j^-i))^2, x of shape [n]. Start (0, ..., 0). Minimum 0 at
    (1, 1/2, ..., 1/n). Raises UsageError for n < 2 or beta <= 0. Neumaier, Global Optimization Test Problems, PERM0.
    """
    check_int("n", n, least=2)
    shift = check_float("beta", beta, least=0, example=10, above=True)

    def fn(x: Tensor, index: Tensor) -> Tensor:
        sums = [((index + shift) * (x**i - index**-i)).sum(-1) ** 2 for i in range(1, n + 1)]
        return torch.stack(sums).sum(0)

    return Objective(
        fn=fn,
        start=torch.zeros(n, dtype=torch.float64),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=(1 / ramp(n),),
        laned=True,
        source="Neumaier, Global Optimization Test Problems",
    )


POWER_SUMS = (8, 18, 44, 114)
"""1 + 2 + 2 + 3, and the sums of the squares, cubes and fourth powers of these."""


@with_instances
def power_sum() -> Objective:
    """Four numbers, determined by their first four power sums.

    f(x) = sum_k (sum_i x_i^k - b_k)^2 for k = 1 ... 4 and b = (8, 18, 44, 114), x of shape [4]. Start (0.5, 1, 2.5, 3).
    Minimum 0 at the twelve orders of (1, 2, 2, 3), where the Hessian is singular. Neumaier, Global Optimization Test
    Problems.
    """

    def fn(x: Tensor) -> Tensor:
        errors = [((x**k).sum(-1) - sums) ** 2 for k, sums in enumerate(POWER_SUMS, 1)]
        return torch.stack(errors).sum(0)

    places = [(one, three) for one in range(4) for three in range(4) if one != three]
    return Objective(
        fn=fn,
        start=vector(0.5, 1, 2.5, 3),
        minimum=0.0,
        minimisers=tuple(vector(*({one: 1, three: 3}.get(i, 2) for i in range(4))) for one, three in places),
        laned=True,
        source="Neumaier, Global Optimization Test Problems",
    )
