"""Problems of Moré, Garbow and Hillstrom in two to four variables: valleys, bad scaling, a singular Hessian."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import format_source
from gdbench.objectives.vectors import vector
from gdbench.tree import coordinates

__all__ = [
    "brown_badly_scaled",
    "freudenstein_roth",
    "helical_valley",
    "powell_badly_scaled",
    "powell_singular",
    "wood",
]


def freudenstein_roth() -> Objective:
    """Two minima, of which most methods reach the higher one from the start.

    f(x, y) = (x - 13 + ((5 - y) y - 2) y)^2 + (x - 29 + ((y + 1) y - 14) y)^2, point of shape [2]. Start (0.5, -2).
    Minimum 0 at (5, 4), exact in every dtype; a local minimum of 48.98425367924002 at (11.412779, -0.896805).
    Problem 2; Freudenstein and Roth 1963.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x - 13 + ((5 - y) * y - 2) * y) ** 2 + (x - 29 + ((y + 1) * y - 14) * y) ** 2

    return Objective(
        fn=fn,
        start=vector(0.5, -2),
        minimum=0.0,
        minimisers=(vector(5, 4),),
        laned=True,
        source=format_source(2),
    )


def powell_badly_scaled() -> Objective:
    """A minimum whose coordinates differ by six orders of magnitude.

    f(x, y) = (1e4 x y - 1)^2 + (exp(-x) + exp(-y) - 1.0001)^2, point of shape [2]. Start (0, 1). Minimum 0 at
    (1.0981593e-5, 9.1061467), where the eigenvalues of the Hessian are 2.4e-8 and 1.7e10: float32 does not resolve
    differences along the valley. Problem 3; Powell 1970.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (1e4 * x * y - 1) ** 2 + (torch.exp(-x) + torch.exp(-y) - 1.0001) ** 2

    return Objective(
        fn=fn,
        start=vector(0, 1),
        minimum=0.0,
        minimisers=(vector(1.0981593296998175e-05, 9.106146739866524),),
        laned=True,
        source=format_source(3),
    )


def brown_badly_scaled() -> Objective:
    """A minimiser with coordinates of a million and two millionths.

    f(x, y) = (x - 1e6)^2 + (y - 2e-6)^2 + (x y - 2)^2, point of shape [2]. Start (1, 1), where f = 999998000003.
    Minimum 0 at (1e6, 2e-6). Half precision does not hold 1e6. Problem 4; Brown, unpublished.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x - 1e6) ** 2 + (y - 2e-6) ** 2 + (x * y - 2) ** 2

    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=0.0,
        minimisers=(vector(1e6, 2e-6),),
        laned=True,
        source=format_source(4),
    )


def helical_valley() -> Objective:
    """A valley that winds around an axis.

    f(x) = 100 (x_3 - 10 theta)^2 + 100 (sqrt(x_1^2 + x_2^2) - 1)^2 + x_3^2, point of shape [3], where theta is the
    angle of (x_1, x_2) in turns: arctan(x_2 / x_1) / 2 pi, and 1/2 more for x_1 < 0. It jumps from 3/4 to -1/4 across
    the half-plane x_1 = 0, x_2 < 0. Start (-1, 0, 0), where f = 2500. Minimum 0 at (1, 0, 0). CUTEst lets it jump
    elsewhere (x_1 < 0, x_2 = 0, as atan2 does) and rounds 2 pi; this is the paper's. Problem 7; Fletcher and Powell
    1963.
    """

    def fn(point: Tensor) -> Tensor:
        x, y, z = coordinates(point)
        turn = torch.atan2(y, x) / (2 * math.pi)
        turn = turn + (turn < -0.25)
        return 100 * (z - 10 * turn) ** 2 + 100 * (torch.sqrt(x**2 + y**2) - 1) ** 2 + z**2

    return Objective(
        fn=fn,
        start=vector(-1, 0, 0),
        minimum=0.0,
        minimisers=(vector(1, 0, 0),),
        laned=True,
        source=format_source(7),
    )


def powell_singular() -> Objective:
    """A minimum at which the Hessian is singular.

    f(x) = (x_1 + 10 x_2)^2 + 5 (x_3 - x_4)^2 + (x_2 - 2 x_3)^4 + 10 (x_1 - x_4)^4, point of shape [4].
    Start (3, -1, 0, 1), where f = 215. Minimum 0 at the origin, where the Hessian has rank 2. Convex.
    Problem 13; Powell 1962.
    """

    def fn(point: Tensor) -> Tensor:
        return powell_term(*coordinates(point))

    return Objective(
        fn=fn,
        start=vector(3, -1, 0, 1),
        minimum=0.0,
        minimisers=(vector(0, 0, 0, 0),),
        laned=True,
        source=format_source(13),
    )


def powell_term(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Powell's singular function of four variables."""
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def wood() -> Objective:
    """Two coupled Rosenbrock valleys; also called Colville's function.

    f(x) = 100 (x_2 - x_1^2)^2 + (1 - x_1)^2 + 90 (x_4 - x_3^2)^2 + (1 - x_3)^2 + 10 (x_2 + x_4 - 2)^2
    + (x_2 - x_4)^2 / 10, point of shape [4]. Start (-3, -1, -3, -1), where f = 19192. Minimum 0 at (1, 1, 1, 1); a
    saddle near (-1, 1, -1, 1), where f = 7.9, holds many methods for long. Problem 14; Colville 1968.
    """

    def fn(point: Tensor) -> Tensor:
        a, b, c, d = coordinates(point)
        valleys = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
        return valleys + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10

    return Objective(
        fn=fn,
        start=vector(-3, -1, -3, -1),
        minimum=0.0,
        minimisers=(vector(1, 1, 1, 1),),
        laned=True,
        source=format_source(14),
    )
