"""Functions of two variables with many local minima.

1 - cos t is written 2 sin^2(t / 2), which is equal and loses no digits near the minimum. The constants of minimisers
and minima were solved with 50 digits and rounded once to float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.instances import with_instances
from gdbench.objectives.vectors import vector
from gdbench.tree import coordinates

__all__ = [
    "bird",
    "chichinadze",
    "drop_wave",
    "easom",
    "eggholder",
    "levy13",
    "price_2",
    "schaffer_2",
    "schaffer_6",
    "shubert",
    "trefethen",
]


@with_instances
def price_2() -> Objective:
    """Squared sines with one minimum that is lower than the others.

    f(x, y) = 1 + sin(x)^2 + sin(y)^2 - 0.1 exp(-x^2 - y^2), point of shape [2]. Start (1, -2). Minimum 0.9 at (0, 0).
    Price 1977, Computer Journal 20:367.
    """

    def fn(point: Tensor) -> Tensor:
        return 1 + (torch.sin(point) ** 2).sum(-1) - 0.1 * torch.exp(-(point**2).sum(-1))

    return Objective(
        fn=fn, start=vector(1, -2), minimum=0.9, minimisers=origin_minimiser(2), laned=True, source="Price 1977"
    )


@with_instances
def levy13() -> Objective:
    """A quadratic times squared sines along both axes.

    f(x, y) = sin(3 pi x)^2 + (x - 1)^2 (1 + sin(3 pi y)^2) + (y - 1)^2 (1 + sin(2 pi y)^2), point of shape [2]. Start
    (-3, 4). Minimum 0 at (1, 1). Levy and Montalvo 1985, SIAM Journal on Scientific and Statistical Computing 6:15.
    """

    def fn(point: Tensor) -> Tensor:
        u, v = coordinates(point - 1)  # each sine is squared, so multiples of pi in its argument can be left out
        across = u**2 * (1 + torch.sin(3 * math.pi * v) ** 2)
        return torch.sin(3 * math.pi * u) ** 2 + across + v**2 * (1 + torch.sin(2 * math.pi * v) ** 2)

    return Objective(
        fn=fn,
        start=vector(-3, 4),
        minimum=0.0,
        minimisers=(vector(1, 1),),
        laned=True,
        source="Levy and Montalvo 1985",
    )


@with_instances
def easom() -> Objective:
    """One narrow minimum in a nearly flat plane.

    f(x, y) = -cos(x) cos(y) exp(-(x - pi)^2 - (y - pi)^2), point of shape [2]. Start (2, 4). Minimum -1 at (pi, pi).
    Easom 1990, thesis, University of Louisville.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return -torch.cos(x) * torch.cos(y) * torch.exp(-((x - math.pi) ** 2) - (y - math.pi) ** 2)

    return Objective(
        fn=fn,
        start=vector(2, 4),
        minimum=-1.0,
        minimisers=(vector(math.pi, math.pi),),
        laned=True,
        source="Easom 1990",
    )


@with_instances
def drop_wave() -> Objective:
    """Rings of local minima around the global one.

    f(x, y) = -(1 + cos(12 r)) / (r^2 / 2 + 2), r = sqrt(x^2 + y^2), point of shape [2]. Start (1.2, 0.5). Minimum -1 at
    (0, 0). Surjanovic and Bingham 2013, Virtual Library of Simulation Experiments.
    """

    def fn(point: Tensor) -> Tensor:
        radius = torch.linalg.vector_norm(point, dim=-1)
        return -2 * torch.cos(6 * radius) ** 2 / (0.5 * (point**2).sum(-1) + 2)

    return Objective(
        fn=fn,
        start=vector(1.2, 0.5),
        minimum=-1.0,
        minimisers=origin_minimiser(2),
        laned=True,
        source="Surjanovic and Bingham 2013",
    )


@with_instances
def schaffer_2() -> Objective:
    """Squared sines of x^2 - y^2, damped far from the minimum.

    f(x, y) = 0.5 + (sin(x^2 - y^2)^2 - 0.5) / (1 + 0.001 (x^2 + y^2))^2, point of shape [2]. Start (2, 1). Minimum 0 at
    (0, 0). Mishra 2006, Some New Test Functions for Global Optimization; after Schaffer 1984.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point**2)
        return schaffer_quotient(x + y, torch.sin(x - y))

    return Objective(
        fn=fn, start=vector(2, 1), minimum=0.0, minimisers=origin_minimiser(2), laned=True, source="Mishra 2006"
    )


@with_instances
def schaffer_6() -> Objective:
    """Squared sines of the radius, damped far from the minimum.

    f(x, y) = 0.5 + (sin(r)^2 - 0.5) / (1 + 0.001 r^2)^2, r = sqrt(x^2 + y^2), point of shape [2]. Start (2, 1). Minimum
    0 at (0, 0). Schaffer, Caruana, Eshelman and Das 1989.
    """

    def fn(point: Tensor) -> Tensor:
        return schaffer_quotient((point**2).sum(-1), torch.sin(torch.linalg.vector_norm(point, dim=-1)))

    return Objective(
        fn=fn,
        start=vector(2, 1),
        minimum=0.0,
        minimisers=origin_minimiser(2),
        laned=True,
        source="Schaffer et al. 1989",
    )


def schaffer_quotient(square: Tensor, wave: Tensor) -> Tensor:
    """Evaluate 0.5 + (w^2 - 0.5) / q^2, q = 1 + 0.001 s, as (w^2 + (q^2 - 1) / 2) / q^2: accurate near 0."""
    small = 0.001 * square
    return (wave**2 + small * (1 + 0.5 * small)) / (1 + small) ** 2


SHUBERT = (-1.425128428319761, -0.8003211004719731)
"""Minimiser and maximiser of sum_i i cos((i + 1) t + i) in one period."""


@with_instances
def shubert() -> Objective:
    """A product of two sums of cosines, with local minima of many depths.

    f(x, y) = g(x) g(y) with g(t) = sum_i i cos((i + 1) t + i), i = 1 ... 5, point of shape [2]. Start (0.5, -0.5).
    Minimum -186.730909 at the two orders of (-1.425128, -0.800321), and again at every period of 2 pi along each axis.
    Shubert 1972, SIAM Journal on Numerical Analysis 9:379.
    """

    def fn(point: Tensor) -> Tensor:
        waves = [i * torch.cos((i + 1) * point + i) for i in range(1, 6)]
        return torch.stack(waves).sum(0).prod(-1)

    return Objective(
        fn=fn,
        start=vector(0.5, -0.5),
        minimum=-186.73090883102384,
        minimisers=(vector(*SHUBERT), vector(*SHUBERT[::-1])),
        laned=True,
        source="Shubert 1972",
    )


@with_instances
def bird() -> Objective:
    """Products of sines and exponentials of cosines, plus a quadratic in x - y.

    f(x, y) = sin(x) exp((1 - cos y)^2) + cos(y) exp((1 - sin x)^2) + (x - y)^2, point of shape [2]. Start (-2, -2).
    Minimum -106.764537 at (4.701043, 3.152939) and (-1.582142, -3.130247), and again at every 2 pi along the diagonal.
    Mishra 2006, Some New Test Functions for Global Optimization.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        sine, cosine = torch.sin(x), torch.cos(y)
        return sine * torch.exp((1 - cosine) ** 2) + cosine * torch.exp((1 - sine) ** 2) + (x - y) ** 2

    return Objective(
        fn=fn,
        start=vector(-2, -2),
        minimum=-106.76453674926468,
        minimisers=(vector(4.701043130249553, 3.15293850372493), vector(-1.5821421769300335, -3.1302468034546562)),
        laned=True,
        source="Mishra 2006",
    )


@with_instances
def chichinadze() -> Objective:
    """A quadratic plus two waves in x, minus a Gaussian in y.

    f(x, y) = x^2 - 12 x + 11 + 10 cos(pi x / 2) + 8 sin(5 pi x / 2) - exp(-(y - 0.5)^2 / 2) / sqrt(5), point of shape
    [2]. Start (2, 2). Minimum -42.944387 at (6.189867, 0.5). Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        waves = 10 * torch.cos(0.5 * math.pi * x) + 8 * torch.sin(2.5 * math.pi * x)
        return x**2 - 12 * x + 11 + waves - torch.exp(-0.5 * (y - 0.5) ** 2) / math.sqrt(5)

    return Objective(
        fn=fn,
        start=vector(2, 2),
        minimum=-42.94438701899097,
        minimisers=(vector(6.18986658698431, 0.5),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def eggholder() -> Objective:
    """Sines of square roots, whose amplitude grows without bound.

    f(x, y) = -(y + 47) sin sqrt|y + x / 2 + 47| - x sin sqrt|x - (y + 47)|, point of shape [2]. Start (400, 300). No
    minimum: the waves grow without bound. In the customary box [-512, 512]^2 the lowest point is -959.640663 at its
    border (512, 404.231805). Whitley, Rana, Dzubera and Mathias 1996, Artificial Intelligence 85:245.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        y = y + 47
        return -y * torch.sin((y + x / 2).abs().sqrt()) - x * torch.sin((x - y).abs().sqrt())

    return Objective(fn=fn, start=vector(400, 300), laned=True, source="Whitley et al. 1996")


@with_instances
def trefethen() -> Objective:
    """Fine and coarse waves over a quadratic: problem 4 of the hundred-digit challenge.

    f(x, y) = exp(sin 50x) + sin(60 e^y) + sin(70 sin x) + sin(sin 80y) - sin(10 (x + y)) + (x^2 + y^2) / 4, point of
    shape [2]. Start (0.1, -0.2). Minimum -3.306868647475237 at (-0.024403, 0.210612). Trefethen 2002, SIAM News 35(1).
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        fine = torch.exp(torch.sin(50 * x)) + torch.sin(60 * torch.exp(y)) + torch.sin(70 * torch.sin(x))
        coarse = torch.sin(torch.sin(80 * y)) - torch.sin(10 * (x + y))
        return fine + coarse + 0.25 * (x**2 + y**2)

    return Objective(
        fn=fn,
        start=vector(0.1, -0.2),
        minimum=-3.306868647475237,
        minimisers=(vector(-0.024403079694375173, 0.21061242715535577),),
        laned=True,
        source="Trefethen 2002",
    )
