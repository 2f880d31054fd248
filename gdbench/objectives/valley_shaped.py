"""Valley-shaped functions and saddles in two to n variables, most of them polynomials.

The constants of minimisers and minima were solved with 50 digits and rounded once to float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import vector
from gdbench.tree import coordinates

__all__ = [
    "aluffi_pentini",
    "branin",
    "chebyshev_rosenbrock",
    "cube",
    "goldstein_price",
    "mccormick",
    "monkey_saddle",
    "rosenbrock_modified",
    "six_hump_camel",
    "three_hump_camel",
    "trecanni",
]


@with_instances
def cube() -> Objective:
    """A cubic variant of Rosenbrock's valley.

    f(x, y) = 100 (y - x^3)^2 + (1 - x)^2, point of shape [2]. Start (-1.2, 1), where f = 749.0376. Minimum 0 at (1, 1).
    Leon 1966, in Recent Advances in Optimization Techniques, p. 23.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return 100 * (y - x**3) ** 2 + (1 - x) ** 2

    return Objective(
        fn=fn,
        start=vector(-1.2, 1),
        minimum=0.0,
        minimisers=(vector(1, 1),),
        laned=True,
        source="Leon 1966",
    )


@with_instances
def chebyshev_rosenbrock(n: int = 4) -> Objective:
    """Nesterov's smooth variant of Rosenbrock's valley along Chebyshev polynomials, of length about 2^n.

    f(x) = (x_1 - 1)^2 / 4 + sum_{i < n} (x_{i+1} - 2 x_i^2 + 1)^2, x of shape [n]. Start (-1, 1, ..., 1), where f = 1.
    Minimum 0 at (1, ..., 1), the only stationary point. Raises UsageError for n < 2. Gurbuzbalaban and Overton 2012,
    Nonlinear Analysis 75:1282.
    """
    check_int("n", n, least=2)

    def fn(x: Tensor) -> Tensor:
        return 0.25 * (x[..., 0] - 1) ** 2 + ((x[..., 1:] - 2 * x[..., :-1] ** 2 + 1) ** 2).sum(-1)

    start = torch.ones(n, dtype=torch.float64)
    start[0] = -1
    return Objective(
        fn=fn,
        start=start,
        minimum=0.0,
        minimisers=(torch.ones(n, dtype=torch.float64),),
        laned=True,
        source="Gurbuzbalaban and Overton 2012",
    )


@with_instances
def rosenbrock_modified() -> Objective:
    """Rosenbrock's valley with a narrow second minimum beside it, which is lower.

    f(x, y) = 74 + 100 (y - x^2)^2 + (1 - x)^2 - 400 exp(-10 ((x + 1)^2 + (y + 1)^2)), point of shape [2]. Start
    (-1.2, 1). Minimum 34.0402 at (-0.909554, -0.950572); the valley leads to 74 at (1, 1). Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        hole = torch.exp(-10 * ((x + 1) ** 2 + (y + 1) ** 2))
        return 74 + 100 * (y - x**2) ** 2 + (1 - x) ** 2 - 400 * hole

    return Objective(
        fn=fn,
        start=vector(-1.2, 1),
        minimum=34.04024310664063,
        minimisers=(vector(-0.9095537365026206, -0.9505717126590494),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def three_hump_camel() -> Objective:
    """Three minima in a row, of which the middle one is lowest.

    f(x, y) = 2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2, point of shape [2]. Start (1, 1). Minimum 0 at (0, 0); local
    minima 0.2986 at +-(1.7476, -0.8738). Jamil and Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        square = x**2
        return (2 - 1.05 * square + square**2 / 6) * square + x * y + y**2

    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=0.0,
        minimisers=(vector(0, 0),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def six_hump_camel() -> Objective:
    """Six minima, of which two are lowest.

    f(x, y) = (4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2, point of shape [2]. Start (1, 1). Minimum -1.0316285
    at +-(0.089842, -0.712656). Dixon and Szego 1978, Towards Global Optimisation 2.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        a, b = x**2, y**2
        return (4 - 2.1 * a + a**2 / 3) * a + x * y + (4 * b - 4) * b

    x, y = 0.08984201310031806, -0.7126564030207396
    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=-1.0316284534898774,
        minimisers=(vector(x, y), vector(-x, -y)),
        laned=True,
        source="Dixon and Szego 1978",
    )


@with_instances
def goldstein_price() -> Objective:
    """A polynomial of degree eight with values over six orders of magnitude.

    f(x, y) = (1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2))
    (30 + (2x - 3y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2)), point of shape [2]. Start (1, 1), where f = 1876.
    Minimum 3 at (0, -1); local minima 30, 84 and 840. Goldstein and Price 1971, Mathematics of Computation 25:569.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        a, b = x + y, 2 * x - 3 * y  # the brackets are polynomials of one variable each
        return (1 + (a + 1) ** 2 * (19 - 14 * a + 3 * a**2)) * (30 + b**2 * (18 - 16 * b + 3 * b**2))

    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=3.0,
        minimisers=(vector(0, -1),),
        laned=True,
        source="Goldstein and Price 1971",
    )


@with_instances
def branin() -> Objective:
    """A parabolic valley with equal minima along it.

    f(x, y) = (y - 5.1 x^2 / (4 pi^2) + 5 x / pi - 6)^2 + 10 (1 - 1 / (8 pi)) cos x + 10, point of shape [2]. Start
    (2.5, 7.5), the middle of the customary box [-5, 10] x [0, 15]. Minimum 5 / (4 pi) = 0.397887 at (-pi, 12.275),
    (pi, 2.275) and (3 pi, 2.475), and outside of the box at every other odd multiple of pi. Branin 1972, IBM Journal
    of Research and Development 16:504.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
        return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * torch.cos(x) + 10

    return Objective(
        fn=fn,
        start=vector(2.5, 7.5),
        minimum=5 / (4 * math.pi),
        minimisers=(vector(-math.pi, 12.275), vector(math.pi, 2.275), vector(3 * math.pi, 2.475)),
        laned=True,
        source="Branin 1972",
    )


@with_instances
def mccormick() -> Objective:
    """A sine plus a quadratic plus a linear term, unbounded below.

    f(x, y) = sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1, point of shape [2]. Start (0, 0), where f = 1. No minimum: f
    falls without bound along x = y to minus infinity. In the customary box [-1.5, 4] x [-3, 4] the lowest point is the
    local minimum -1.9132229549810364 at (-0.547198, -1.547198), which descent from the start finds; set it as
    target_loss. Adorio and Diliman 2005, MVF.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return torch.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1

    return Objective(fn=fn, start=vector(0, 0), laned=True, source="Adorio and Diliman 2005")


@with_instances
def monkey_saddle() -> Objective:
    """A saddle with three descent directions, at which the Hessian is 0.

    f(x, y) = x^3 - 3 x y^2, point of shape [2]. Start (1, 0.01), on a slope that leads to the saddle at (0, 0) and, but
    for the 0.01, no further. No minimum: f is unbounded below. Hilbert and Cohn-Vossen 1932, Anschauliche Geometrie.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return x**3 - 3 * x * y**2

    return Objective(fn=fn, start=vector(1, 0.01), laned=True, source="Hilbert and Cohn-Vossen 1932")


@with_instances
def aluffi_pentini() -> Objective:
    """Two minima of nearly the same depth.

    f(x, y) = x^4 / 4 - x^2 / 2 + x / 10 + y^2 / 2, point of shape [2]. Start (0, 1), on the slope to the deeper one.
    Minimum -0.352386 at (-1.046681, 0); a local one -0.152 at (0.945583, 0). Aluffi-Pentini, Parisi and Zirilli 1985,
    Journal of Optimization Theory and Applications 47:1.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return 0.25 * x**4 - 0.5 * x**2 + 0.1 * x + 0.5 * y**2

    return Objective(
        fn=fn,
        start=vector(0, 1),
        minimum=-0.35238607380003645,
        minimisers=(vector(-1.0466805318046022, 0),),
        laned=True,
        source="Aluffi-Pentini, Parisi and Zirilli 1985",
    )


@with_instances
def trecanni() -> Objective:
    """Two equal minima with a saddle half way between them.

    f(x, y) = x^4 + 4 x^3 + 4 x^2 + y^2, point of shape [2]. Start (1, 1). Minimum 0 at (0, 0) and (-2, 0). Jamil and
    Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return x**4 + 4 * x**3 + 4 * x**2 + y**2

    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=0.0,
        minimisers=(vector(0, 0), vector(-2, 0)),
        laned=True,
        source="Jamil and Yang 2013",
    )
