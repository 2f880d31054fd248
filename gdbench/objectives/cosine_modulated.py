"""Quadratics plus cosines, with local minima at regular distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import alternating, ramp, vector
from gdbench.tree import coordinates

__all__ = [
    "bohachevsky_1",
    "bohachevsky_2",
    "bohachevsky_3",
    "cosine_mixture",
    "egg_crate",
    "griewank",
    "rastrigin",
    "salomon",
    "wavy",
]


@with_instances
def bohachevsky_1() -> Objective:
    """A quadratic plus a cosine along each axis.

    f(x, y) = x^2 + 2 y^2 - 0.3 cos(3 pi x) - 0.4 cos(4 pi y) + 0.7, point of shape [2]. Start (1.3, -0.7). Minimum 0 at
    (0, 0). Bohachevsky, Johnson and Stein 1986, Technometrics 28:209.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        waves = 0.6 * torch.sin(1.5 * math.pi * x) ** 2 + 0.8 * torch.sin(2 * math.pi * y) ** 2
        return x**2 + 2 * y**2 + waves

    return _build_bohachevsky(fn)


@with_instances
def bohachevsky_2() -> Objective:
    """A quadratic plus a product of two cosines.

    f(x, y) = x^2 + 2 y^2 - 0.3 cos(3 pi x) cos(4 pi y) + 0.3, point of shape [2]. Start (1.3, -0.7). Minimum 0 at
    (0, 0). Bohachevsky, Johnson and Stein 1986.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        one, other = 3 * math.pi * x, 4 * math.pi * y  # 2 cos a cos b = cos(a + b) + cos(a - b)
        waves = torch.sin((one + other) / 2) ** 2 + torch.sin((one - other) / 2) ** 2
        return x**2 + 2 * y**2 + 0.3 * waves

    return _build_bohachevsky(fn)


@with_instances
def bohachevsky_3() -> Objective:
    """A quadratic plus the cosine of a weighted sum.

    f(x, y) = x^2 + 2 y^2 - 0.3 cos(3 pi x + 4 pi y) + 0.3, point of shape [2]. Start (1.3, -0.7). Minimum 0 at (0, 0).
    Bohachevsky, Johnson and Stein 1986.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return x**2 + 2 * y**2 + 0.6 * torch.sin(1.5 * math.pi * x + 2 * math.pi * y) ** 2

    return _build_bohachevsky(fn)


def _build_bohachevsky(fn: object) -> Objective:
    """Build an objective from one of Bohachevsky's three functions."""
    return Objective(
        fn=fn,  # type: ignore[arg-type]
        start=vector(1.3, -0.7),
        minimum=0.0,
        minimisers=origin_minimiser(2),
        laned=True,
        source="Bohachevsky, Johnson and Stein 1986",
    )


@with_instances
def egg_crate() -> Objective:
    """A quadratic plus squared sines of large amplitude.

    f(x, y) = x^2 + y^2 + 25 (sin(x)^2 + sin(y)^2), point of shape [2]. Start (2, -4). Minimum 0 at (0, 0); L = 52.
    Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        return (point**2 + 25 * torch.sin(point) ** 2).sum(-1)

    return Objective(
        fn=fn,
        start=vector(2, -4),
        minimum=0.0,
        minimisers=origin_minimiser(2),
        smoothness=52.0,
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def rastrigin(n: int = 2) -> Objective:
    """A quadratic plus cosines, with a local minimum near every point of whole numbers.

    f(x) = 10 n + sum_i x_i^2 - 10 cos(2 pi x_i), x of shape [n]. Start (1.3, -2.2, 1.3, -2.2, ...). Minimum 0 at
    (0, ..., 0); L = 2 + 40 pi^2. Raises UsageError for n < 1. Rastrigin 1974; n dimensions: Muhlenbein, Schomisch and
    Born 1991, Parallel Computing 17:619.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x**2 + 20 * torch.sin(math.pi * x) ** 2).sum(-1),
        start=alternating(n, 1.3, -2.2),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        smoothness=2 + 40 * math.pi**2,
        laned=True,
        source="Rastrigin 1974",
    )


@with_instances
def griewank(n: int = 2) -> Objective:
    """A wide quadratic minus a product of cosines.

    f(x) = sum_i x_i^2 / 4000 - prod_i cos(x_i / sqrt(i)) + 1, x of shape [n]. Start (20, -15, 20, -15, ...). Minimum 0
    at (0, ..., 0). Raises UsageError for n < 1. Griewank 1981, Journal of Optimization Theory and Applications 34:11.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x, root: (x**2).sum(-1) / 4000 + (1 - torch.cos(x / root).prod(-1)),
        start=alternating(n, 20, -15),
        data={"root": ramp(n).sqrt()},
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Griewank 1981",
    )


@with_instances
def salomon(n: int = 2) -> Objective:
    """A function of the radius: rings of local minima, and a kink at the minimum.

    f(x) = 1 - cos(2 pi |x|) + 0.1 |x|, |x| the Euclidean norm, x of shape [n]. Start (2, -1.6, 2, -1.6, ...). Minimum 0
    at (0, ..., 0). Raises UsageError for n < 1. Salomon 1996, BioSystems 39:263.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        radius: Tensor = torch.linalg.vector_norm(x, dim=-1)
        return 2 * torch.sin(math.pi * radius) ** 2 + 0.1 * radius

    return Objective(
        fn=fn,
        start=alternating(n, 2, -1.6),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Salomon 1996",
    )


@with_instances
def cosine_mixture(n: int = 2) -> Objective:
    """A quadratic plus cosines of small amplitude.

    f(x) = sum_i x_i^2 - 0.1 cos(5 pi x_i), x of shape [n]. Start (0.5, -0.7, 0.5, -0.7, ...). Minimum -0.1 n at
    (0, ..., 0); L = 2 + 2.5 pi^2. Raises UsageError for n < 1. Breiman and Cutler 1993, Mathematical Programming
    58:179.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: (x**2 - 0.1 * torch.cos(5 * math.pi * x)).sum(-1),
        start=alternating(n, 0.5, -0.7),
        minimum=-n / 10,
        minimisers=origin_minimiser(n),
        smoothness=2 + 2.5 * math.pi**2,
        laned=True,
        source="Breiman and Cutler 1993",
    )


@with_instances
def wavy(n: int = 2) -> Objective:
    """A cosine with a Gaussian envelope along each axis.

    f(x) = 1 - mean_i cos(10 x_i) exp(-x_i^2 / 2), x of shape [n]. Start (0.4, -0.3, 0.4, -0.3, ...). Minimum 0 at
    (0, ..., 0). Raises UsageError for n < 1. Courrieu 1997, Journal of Global Optimization 10, number 1.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: 1 - (torch.cos(10 * x) * torch.exp(-0.5 * x**2)).mean(-1),
        start=alternating(n, 0.4, -0.3),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Courrieu 1997",
    )
