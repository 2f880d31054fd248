"""Polynomials in two to four variables, and a relative of them, with minima at no simple numbers or in curved valleys.

The constants of minimisers and minima were solved with 50 digits and rounded once to float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.instances import with_instances
from gdbench.objectives.vectors import sign_combinations, vector
from gdbench.tree import coordinates

__all__ = ["cragg_levy", "dekkers_aarts", "el_attar", "engvall", "price_4", "wayburn_seader", "zettl"]


@with_instances
def zettl() -> Objective:
    """A ring-shaped valley plus a linear term.

    f(x, y) = (x^2 + y^2 - 2x)^2 + x / 4, point of shape [2]. Start (-0.5, 1). Minimum -0.00379124 at (-0.029896, 0).
    Schwefel 1995, Evolution and Optimum Seeking, after Zettl 1970.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x**2 + y**2 - 2 * x) ** 2 + 0.25 * x

    return Objective(
        fn=fn,
        start=vector(-0.5, 1),
        minimum=-0.003791237220468898,
        minimisers=(vector(-0.029895985050660382, 0),),
        laned=True,
        source="Schwefel 1995, after Zettl 1970",
    )


@with_instances
def engvall() -> Objective:
    """A convex quartic whose minimiser is not the origin.

    f(x, y) = x^4 + y^4 + 2 x^2 y^2 - 4x + 3, point of shape [2]. Start (2, 2). Minimum 0 at (1, 0). Convex. Jamil and
    Yang 2013.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x**2 + y**2) ** 2 - 4 * x + 3

    return Objective(
        fn=fn,
        start=vector(2, 2),
        minimum=0.0,
        minimisers=(vector(1, 0),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def el_attar() -> Objective:
    """Least squares of three equations in two variables that have no common solution.

    f(x, y) = (x^2 + y - 10)^2 + (x + y^2 - 7)^2 + (x^2 + y^3 - 1)^2, point of shape [2]. Start (1, 1). Minimum 1.71278
    at (3.409187, -2.171433). El-Attar, Vidyasagar and Dutta 1979, SIAM Journal on Numerical Analysis 16:70.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x**2 + y - 10) ** 2 + (x + y**2 - 7) ** 2 + (x**2 + y**3 - 1) ** 2

    return Objective(
        fn=fn,
        start=vector(1, 1),
        minimum=1.7127803548622034,
        minimisers=(vector(3.409186822190061, -2.171433036284005),),
        laned=True,
        source="El-Attar, Vidyasagar and Dutta 1979",
    )


@with_instances
def wayburn_seader() -> Objective:
    """Least squares of two equations with two common solutions.

    f(x, y) = (x^6 + y^4 - 17)^2 + (2x + y - 4)^2, point of shape [2]. Start (2, 2). Minimum 0 at (1, 2) and
    (1.596804, 0.806392). Wayburn and Seader 1987, Computers and Chemical Engineering 11:7.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x**6 + y**4 - 17) ** 2 + (2 * x + y - 4) ** 2

    return Objective(
        fn=fn,
        start=vector(2, 2),
        minimum=0.0,
        minimisers=(vector(1, 2), vector(1.5968041538769333, 0.8063916922461333)),
        laned=True,
        source="Wayburn and Seader 1987",
    )


@with_instances
def price_4() -> Objective:
    """Least squares of two equations with three common solutions.

    f(x, y) = (2 x^3 y - y^3)^2 + (6x - y^2 + y)^2, point of shape [2]. Start (1, 2), where f = 32. Minimum 0 at (0, 0),
    (2, 4) and (1.464352, -2.506013). Price 1977, Computer Journal 20:367.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (2 * x**3 * y - y**3) ** 2 + (6 * x - y**2 + y) ** 2

    return Objective(
        fn=fn,
        start=vector(1, 2),
        minimum=0.0,
        minimisers=(vector(0, 0), vector(2, 4), vector(1.4643521196636984, -2.5060127607816622)),
        laned=True,
        source="Price 1977",
    )


@with_instances
def dekkers_aarts() -> Objective:
    """Two minima at the ends of a valley, with a saddle at the origin.

    f(x, y) = 1e5 x^2 + y^2 - (x^2 + y^2)^2 + 1e-5 (x^2 + y^2)^4, point of shape [2]. Start (0.5, 5). Minimum
    -24776.518342317686 at (0, +-14.945112). Dekkers and Aarts 1991, Mathematical Programming 50:367.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        square = x**2 + y**2
        return 1e5 * x**2 + y**2 - square**2 + 1e-5 * square**4

    return Objective(
        fn=fn,
        start=vector(0.5, 5),
        minimum=-24776.51834231769,
        minimisers=sign_combinations((0, 14.945112151891959)),
        laned=True,
        source="Dekkers and Aarts 1991",
    )


@with_instances
def cragg_levy() -> Objective:
    """Exponential, sixth power and tangent of four variables, with a singular Hessian at the minimum.

    f(x) = (exp(x_1) - x_2)^4 + 100 (x_2 - x_3)^6 + tan(x_3 - x_4)^4 + x_1^8 + (x_4 - 1)^2, x of shape [4]. Start
    (1, 2, 2, 2). Minimum 0 at (0, 1, 1, 1), where the Hessian is singular. Cragg and Levy 1969, Journal of Optimization
    Theory and Applications 4:191, in the form of CUTE's CRAGGLVY.
    """

    def fn(x: Tensor) -> Tensor:
        a, b, c, d = coordinates(x)
        return (a.exp() - b) ** 4 + 100 * (b - c) ** 6 + torch.tan(c - d) ** 4 + a**8 + (d - 1) ** 2

    return Objective(
        fn=fn,
        start=vector(1, 2, 2, 2),
        minimum=0.0,
        minimisers=(vector(0, 1, 1, 1),),
        laned=True,
        source="Cragg and Levy 1969",
    )
