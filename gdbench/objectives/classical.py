"""Classical test functions: Rosenbrock, Beale, Himmelblau, Styblinski and Tang.

Functions of two variables get them from ``coordinates``: a lane then costs a third of what slices cost.
"""

from __future__ import annotations

from decimal import Context, Decimal

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import alternating, vector
from gdbench.tree import coordinates

__all__ = ["beale", "himmelblau", "rosenbrock", "styblinski_tang"]


def rosenbrock_term(x: Tensor, y: Tensor) -> Tensor:
    """One term of Rosenbrock's sum: a valley along y = x^2 with its minimum at x = 1."""
    return 100 * (y - x**2) ** 2 + (1 - x) ** 2


@with_instances
def rosenbrock(n: int = 2) -> Objective:
    """Rosenbrock's curved valley, chained for more than two coordinates.

    f(x) = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, i = 1 ... n - 1, x of shape [n]. Start (-1.2, 1, -1.2, 1, ...).
    Minimum 0 at (1, ..., 1); from n = 4 on there is a second, local minimum near (-1, 1, ..., 1). Not convex, and the
    Hessian is unbounded. Raises UsageError for n < 2. Rosenbrock 1960, Computer Journal
    3:175.
    """
    check_int("n", n, least=2)

    def pair(x: Tensor) -> Tensor:
        return rosenbrock_term(*coordinates(x))

    def chain(x: Tensor) -> Tensor:
        return rosenbrock_term(x[..., :-1], x[..., 1:]).sum(-1)

    return Objective(
        fn=pair if n == 2 else chain,
        start=alternating(n, -1.2, 1.0),
        minimum=0.0,
        minimisers=(torch.ones(n, dtype=torch.float64),),
        laned=True,
        source="Rosenbrock 1960",
    )


@with_instances
def beale() -> Objective:
    """Beale's function: a flat valley between steep corners.

    f(x, y) = (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2, point of shape [2]. Start (1, 1).
    Minimum 0 at (3, 0.5), which every dtype holds exactly; (0, 1) is a saddle. Not convex. Beale 1958, Princeton
    report 25; problem 5 of Moré, Garbow and Hillstrom 1981, ACM TOMS 7:17, from where the start.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    return Objective(
        fn=fn,
        start=torch.ones(2, dtype=torch.float64),
        minimum=0.0,
        minimisers=(vector(3.0, 0.5),),
        laned=True,
        source="Beale 1958",
    )


HIMMELBLAU = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.2831859912861696),
    (3.5844283403304917, -1.8481265269644036),
)
"""The four common roots of x^2 + y = 11 and x + y^2 = 7, solved with 50 digits and rounded to float64."""


@with_instances
def himmelblau() -> Objective:
    """Himmelblau's function with four equal minima.

    f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2, point of shape [2]. Start (1, 1), where f = 106. Minimum 0 at (3, 2),
    (-2.805118, 3.131313), (-3.779310, -3.283186) and (3.584428, -1.848127). Not convex. Himmelblau 1972, Applied
    Nonlinear Programming.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2

    return Objective(
        fn=fn,
        start=torch.ones(2, dtype=torch.float64),
        minimum=0.0,
        minimisers=tuple(vector(*root) for root in HIMMELBLAU),
        laned=True,
        source="Himmelblau 1972",
    )


STYBLINSKI_ROOT, STYBLINSKI_LEAST = -2.903534027771177, Decimal("-39.166165703771415463893169739")
"""The least root of 4 t^3 - 32 t + 5 and the value there of one term, solved with 50 digits."""


@with_instances
def styblinski_tang(n: int = 2) -> Objective:
    """Two minima along every axis, so 2^n minima, of which one is lowest.

    f(x) = 1/2 sum_i (x_i^4 - 16 x_i^2 + 5 x_i), x of shape [n]. Start (-1, -4, -1, -4, ...), on the two slopes of the
    lowest well. Minimum -39.16616570377142 n at (-2.903534, ..., -2.903534). Not convex, and the Hessian is unbounded.
    Raises UsageError for n < 1. Styblinski and Tang 1990, Neural Networks 3:467.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        square = x**2
        return 0.5 * (square**2 - 16 * square + 5 * x).sum(-1)

    return Objective(
        fn=fn,
        start=alternating(n, -1.0, -4.0),
        minimum=float(Context(prec=70).multiply(Decimal(n), STYBLINSKI_LEAST)),
        minimisers=(torch.full((n,), STYBLINSKI_ROOT, dtype=torch.float64),),
        laned=True,
        source="Styblinski and Tang 1990",
    )
