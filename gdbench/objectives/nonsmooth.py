"""Functions that are not differentiable at their minimum; at a kink the gradient is 0, as torch's of |x|."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import alternating, ramp, vector
from gdbench.tree import coordinates

__all__ = [
    "alpine_1",
    "bukin_6",
    "quintic",
    "schwefel_2_6",
    "schwefel_2_20",
    "schwefel_2_21",
    "schwefel_2_22",
    "xin_she_yang_2",
]


@with_instances
def schwefel_2_20(n: int = 4) -> Objective:
    """The sum of absolute values.

    f(x) = sum_i |x_i|, x of shape [n]. Start (3, -2, 3, -2, ...). Minimum 0 at (0, ..., 0). Convex. Raises UsageError
    for n < 1. Schwefel 1981, problem 2.20.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: x.abs().sum(-1),
        start=alternating(n, 3, -2),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Schwefel 1981, problem 2.20",
    )


@with_instances
def schwefel_2_21(n: int = 4) -> Objective:
    """The largest absolute value, whose gradient is that of one coordinate.

    f(x) = max_i |x_i|, x of shape [n]. Start (1, 2, ..., n). Minimum 0 at (0, ..., 0). Convex. Raises UsageError for
    n < 1. Schwefel 1981, problem 2.21.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: x.abs().amax(-1),
        start=ramp(n),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Schwefel 1981, problem 2.21",
    )


@with_instances
def schwefel_2_22(n: int = 4) -> Objective:
    """The sum of absolute values and their product.

    f(x) = sum_i |x_i| + prod_i |x_i|, x of shape [n]. Start (1.5, -1, 1.5, -1, ...). Minimum 0 at (0, ..., 0). Raises
    UsageError for n < 1. Schwefel 1981, problem 2.22.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        size = x.abs()
        return size.sum(-1) + size.prod(-1)

    return Objective(
        fn=fn,
        start=alternating(n, 1.5, -1),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Schwefel 1981, problem 2.22",
    )


@with_instances
def schwefel_2_6() -> Objective:
    """The maximum of two absolute values.

    f(x, y) = max(|x + 2y - 7|, |2x + y - 5|), point of shape [2]. Start (-5, 5). Minimum 0 at (1, 3). Convex. Schwefel
    1981, problem 2.6.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return torch.maximum((x + 2 * y - 7).abs(), (2 * x + y - 5).abs())

    return Objective(
        fn=fn,
        start=vector(-5, 5),
        minimum=0.0,
        minimisers=(vector(1, 3),),
        laned=True,
        source="Schwefel 1981, problem 2.6",
    )


@with_instances
def bukin_6() -> Objective:
    """A curved valley whose gradient is unbounded along its bottom.

    f(x, y) = 100 sqrt|y - 0.01 x^2| + 0.01 |x + 10|, point of shape [2]. Start (-5, 2). Minimum 0 at (-10, 1); along
    the whole bottom y = 0.01 x^2 no slope exists. Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return 100 * (y - 0.01 * x**2).abs().sqrt() + 0.01 * (x + 10).abs()

    return Objective(
        fn=fn,
        start=vector(-5, 2),
        minimum=0.0,
        minimisers=(vector(-10, 1),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def alpine_1(n: int = 2) -> Objective:
    """Absolute values of sines with a growing amplitude, with many equal minima.

    f(x) = sum_i |x_i sin x_i + 0.1 x_i|, x of shape [n]. Start (4, -3, 4, -3, ...). Minimum 0 at (0, ..., 0), and
    wherever each coordinate is 0 or has the sine -0.1; (0, ..., 0) is the one stated. Raises UsageError for n < 1.
    Jamil and Yang 2013.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x * torch.sin(x) + 0.1 * x).abs().sum(-1),
        start=alternating(n, 4, -3),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Jamil and Yang 2013",
    )


QUINTIC_ROOTS = (-1.0, 2.0, -0.4026279411861238)
"""The real roots of t^5 - 3 t^4 + 4 t^3 + 2 t^2 - 10 t - 4 = (t + 1) (t - 2) (t^3 - 2 t^2 + 4 t + 2), rounded."""


@with_instances
def quintic(n: int = 2) -> Objective:
    """The absolute value of a quintic: three minima with kinks along every axis.

    f(x) = sum_i |x_i^5 - 3 x_i^4 + 4 x_i^3 + 2 x_i^2 - 10 x_i - 4|, x of shape [n]. Start (1, -2, 1, -2, ...). Minimum
    0 where every coordinate is -1, 2 or -0.402628, the third of which lists leave out; 3^n points, stated for n <= 3
    and else (-1, ..., -1) alone. Raises UsageError for n < 1. Jamil and Yang 2013.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        return (x**5 - 3 * x**4 + 4 * x**3 + 2 * x**2 - 10 * x - 4).abs().sum(-1)

    roots = product(QUINTIC_ROOTS, repeat=n) if n <= 3 else [(-1.0,) * n]
    return Objective(
        fn=fn,
        start=alternating(n, 1, -2),
        minimum=0.0,
        minimisers=tuple(vector(*root) for root in roots),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def xin_she_yang_2(n: int = 2) -> Objective:
    """A sum of absolute values times an exponential of sines.

    f(x) = (sum_i |x_i|) exp(-sum_i sin(x_i^2)), x of shape [n]. Start (1.5, -1, 1.5, -1, ...). Minimum 0 at
    (0, ..., 0). Raises UsageError for n < 1. Yang 2010, Engineering Optimization.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: x.abs().sum(-1) * torch.exp(-torch.sin(x**2).sum(-1)),
        start=alternating(n, 1.5, -1),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Yang 2010",
    )
