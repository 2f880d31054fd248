"""Bowl-shaped functions: one minimum and no other stationary point that attracts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import alternating, ramp, vector
from gdbench.tree import coordinates

__all__ = [
    "booth",
    "chung_reynolds",
    "exponential",
    "matyas",
    "quartic",
    "schwefel_1_2",
    "schwefel_2_23",
    "sum_of_different_powers",
    "trid",
    "zakharov",
]


def origin_minimiser(n: int) -> tuple[Tensor]:
    """The minimisers of a function whose only one is the origin."""
    return (torch.zeros(n, dtype=torch.float64),)


@with_instances
def booth() -> Objective:
    """A quadratic in the plane, with a Hessian that is not diagonal.

    f(x, y) = (x + 2y - 7)^2 + (2x + y - 5)^2, point of shape [2]. Start (-5, 5). Minimum 0 at (1, 3). Hessian
    [[10, 8], [8, 10]], so L = 18 and mu = 2. Jamil and Yang 2013, arXiv 1308.4008, function 17.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2

    return Objective(
        fn=fn,
        start=vector(-5, 5),
        minimum=0.0,
        minimisers=(vector(1, 3),),
        smoothness=18.0,
        strong_convexity=2.0,
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def matyas() -> Objective:
    """A quadratic in the plane, with its long axis along the diagonal.

    f(x, y) = 0.26 (x^2 + y^2) - 0.48 x y, point of shape [2]. Start (5, -3). Minimum 0 at (0, 0); L = 1 and mu = 0.04.
    Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return 0.26 * (x**2 + y**2) - 0.48 * x * y

    return Objective(
        fn=fn,
        start=vector(5, -3),
        minimum=0.0,
        minimisers=origin_minimiser(2),
        smoothness=1.0,
        strong_convexity=0.04,
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def trid(n: int = 6) -> Objective:
    """A quadratic with a tridiagonal Hessian; the coordinates of the minimiser grow like n^2.

    f(x) = sum_i (x_i - 1)^2 - sum_{i > 1} x_i x_{i-1}, x of shape [n]. Start (0, ..., 0), where f = n. Minimum
    -n (n + 4) (n - 1) / 6 at x_i = i (n + 1 - i). The eigenvalues are 2 - 2 cos(k pi / (n + 1)). Raises UsageError for
    n < 2. Neumaier, Global Optimization Test Problems.
    """
    check_int("n", n, least=2)

    def fn(x: Tensor) -> Tensor:
        return ((x - 1) ** 2).sum(-1) - (x[..., 1:] * x[..., :-1]).sum(-1)

    return Objective(
        fn=fn,
        start=torch.zeros(n, dtype=torch.float64),
        minimum=float(-(n * (n + 4) * (n - 1) // 6)),
        minimisers=(ramp(n) * (n + 1 - ramp(n)),),
        smoothness=4 * math.sin(math.pi * n / (2 * n + 2)) ** 2,
        strong_convexity=4 * math.sin(math.pi / (2 * n + 2)) ** 2,
        laned=True,
        source="Neumaier, Global Optimization Test Problems",
    )


@with_instances
def schwefel_1_2(n: int = 4) -> Objective:
    """Schwefel's double sum: a quadratic that couples each coordinate with all before it.

    f(x) = sum_i (x_1 + ... + x_i)^2, x of shape [n]. Start (5, -3, 5, -3, ...). Minimum 0 at (0, ..., 0). The
    eigenvalues are 1 / (2 sin^2((2k - 1) pi / (4n + 2))). Raises UsageError for n < 1. Schwefel 1981, problem 1.2.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x.cumsum(-1) ** 2).sum(-1),
        start=alternating(n, 5, -3),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        smoothness=0.5 / math.sin(math.pi / (4 * n + 2)) ** 2,
        strong_convexity=0.5 / math.cos(math.pi / (2 * n + 1)) ** 2,
        laned=True,
        source="Schwefel 1981, problem 1.2",
    )


@with_instances
def zakharov(n: int = 4) -> Objective:
    """A quadratic plus a quartic term in one direction.

    f(x) = sum_i x_i^2 + s^2 + s^4 with s = sum_i i x_i / 2, x of shape [n]. Start (1, ..., 1). Minimum 0 at
    (0, ..., 0). Convex with mu = 2; the Hessian is unbounded. Raises UsageError for n < 1. Jamil and Yang 2013.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor, index: Tensor) -> Tensor:
        square = (0.5 * index * x).sum(-1) ** 2
        return (x**2).sum(-1) + square + square**2

    return Objective(
        fn=fn,
        start=torch.ones(n, dtype=torch.float64),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=origin_minimiser(n),
        strong_convexity=2.0,
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def chung_reynolds(n: int = 4) -> Objective:
    """The square of the sphere function, with a Hessian of 0 at the minimum.

    f(x) = (sum_i x_i^2)^2, x of shape [n]. Start (2, -1, 2, -1, ...). Minimum 0 at (0, ..., 0), where the Hessian
    vanishes. Convex. Raises UsageError for n < 1. Chung and Reynolds 1998, International Journal on Artificial
    Intelligence Tools 7:239.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x**2).sum(-1) ** 2,
        start=alternating(n, 2, -1),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Chung and Reynolds 1998",
    )


@with_instances
def quartic(n: int = 4) -> Objective:
    """De Jong's fourth function without noise: separable, with a Hessian of 0 at the minimum.

    f(x) = sum_i i x_i^4, x of shape [n]. Start (1.2, -0.8, 1.2, -0.8, ...). Minimum 0 at (0, ..., 0), where the Hessian
    vanishes, so gradient descent slows down like a power of the step. Convex. Raises UsageError for n < 1. De Jong
    1975, thesis, F4.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x, index: (index * x**4).sum(-1),
        start=alternating(n, 1.2, -0.8),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="De Jong 1975",
    )


@with_instances
def schwefel_2_23(n: int = 4) -> Objective:
    """A sum of tenth powers: flat near the minimum and steep beyond 1.

    f(x) = sum_i x_i^10, x of shape [n]. Start (1.2, -0.9, 1.2, -0.9, ...). Minimum 0 at (0, ..., 0), where nine
    derivatives vanish. Convex. Raises UsageError for n < 1. Schwefel 1981, problem 2.23.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x**10).sum(-1),
        start=alternating(n, 1.2, -0.9),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Schwefel 1981, problem 2.23",
    )


@with_instances
def sum_of_different_powers(n: int = 4) -> Objective:
    """A sum of powers, flatter along each further axis.

    f(x) = sum_i |x_i|^(i + 1), x of shape [n]. Start (0.9, -0.7, 0.9, -0.7, ...). Minimum 0 at (0, ..., 0). Convex.
    Also known as Powell's sum. Raises UsageError for n < 1. Jamil and Yang 2013.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x, power: (x.abs() ** power).sum(-1),
        start=alternating(n, 0.9, -0.7),
        data={"power": ramp(n) + 1},
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def exponential(n: int = 2) -> Objective:
    """The negative of a Gaussian, whose gradient vanishes far from the minimum.

    f(x) = -exp(-sum_i x_i^2 / 2), x of shape [n]. Start (1, -0.5, 1, -0.5, ...). Minimum -1 at (0, ..., 0). Not convex
    beyond the distance 1. Raises UsageError for n < 1. Jamil and Yang 2013.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: -torch.exp(-0.5 * (x**2).sum(-1)),
        start=alternating(n, 1, -0.5),
        minimum=-1.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Jamil and Yang 2013",
    )
