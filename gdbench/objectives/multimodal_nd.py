"""Functions of n variables with many local minima.

1 - cos t is written 2 sin^2(t / 2), which is equal and loses no digits near the minimum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import alternating, ramp, sign_combinations

__all__ = [
    "ackley",
    "levy",
    "michalewicz",
    "pinter",
    "qing",
    "schwefel",
    "trigonometric_2",
    "whitley",
    "xin_she_yang_3",
]


@with_instances
def ackley(n: int = 2) -> Objective:
    """An exponential of the radius plus cosines, with a kink at the minimum.

    f(x) = -20 exp(-0.2 sqrt(mean x_i^2)) - exp(mean cos(2 pi x_i)) + 20 + e, x of shape [n]. Start
    (2.2, -1.3, 2.2, -1.3, ...). Minimum 0 at (0, ..., 0), where the slope does not fade. Raises UsageError for n < 1.
    Ackley 1987, A Connectionist Machine for Genetic Hillclimbing; n dimensions: Back 1996.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        funnel = torch.expm1(torch.linalg.vector_norm(x, dim=-1) * (-0.2 / math.sqrt(n)))
        ripples = torch.expm1((torch.sin(math.pi * x) ** 2).sum(-1) * (-2 / n))
        return -20 * funnel - math.e * ripples

    return Objective(
        fn=fn,
        start=alternating(n, 2.2, -1.3),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Ackley 1987",
    )


@with_instances
def levy(n: int = 2) -> Objective:
    """A quadratic times squared sines.

    With w_i = 1 + (x_i - 1) / 4: f(x) = sin(pi w_1)^2 + sum_{i < n} (w_i - 1)^2 (1 + 10 sin(pi w_i + 1)^2)
    + (w_n - 1)^2 (1 + sin(2 pi w_n)^2), x of shape [n]. Start (-4, 5, -4, 5, ...). Minimum 0 at (1, ..., 1). Raises
    UsageError for n < 1. Levy and Montalvo 1985, SIAM Journal on Scientific and Statistical Computing 6:15; in this
    form Laguna and Marti 2005.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        u = (x - 1) / 4  # w - 1; each sine below is squared, so multiples of pi in its argument can be left out
        first, inner, last = u[..., 0], u[..., :-1], u[..., -1]
        middle = (inner**2 * (1 + 10 * torch.sin(math.pi * inner + 1) ** 2)).sum(-1)
        ends = torch.sin(math.pi * first) ** 2 + last**2 * (1 + torch.sin(2 * math.pi * last) ** 2)
        return ends + middle

    return Objective(
        fn=fn,
        start=alternating(n, -4, 5),
        minimum=0.0,
        minimisers=(torch.ones(n, dtype=torch.float64),),
        laned=True,
        source="Levy and Montalvo 1985",
    )


@with_instances
def schwefel(n: int = 2) -> Objective:
    """Schwefel's problem 2.26: waves that grow outwards, with the best local minimum far from the second best.

    f(x) = 418.9829 n - sum_i x_i sin sqrt|x_i|, x of shape [n]. Start (400, 350, 400, 350, ...). No minimum: the waves
    grow without bound. In the customary box [-500, 500]^n the lowest point is the local minimum 0.000012728 n at
    (420.968746, ..., 420.968746), in whose basin the start lies; set it as target_loss. Raises UsageError for n < 1.
    Schwefel 1981.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x: 418.9829 * n - (x * torch.sin(x.abs().sqrt())).sum(-1),
        start=alternating(n, 400, 350),
        laned=True,
        source="Schwefel 1981, problem 2.26",
    )


@with_instances
def michalewicz(n: int = 5) -> Objective:
    """Narrow ravines that cross on a plateau.

    f(x) = -sum_i sin(x_i) sin(i x_i^2 / pi)^20, x of shape [n]. Start (2, 1.5, 2, 1.5, ...). No minimum is stated:
    outside of the customary box [0, pi]^n f comes as near to -n as one likes. In the box it is -1.8013034 for n = 2 and
    -4.6876582 for n = 5. Raises UsageError for n < 1. Michalewicz 1992, Genetic Algorithms + Data Structures =
    Evolution Programs.
    """
    check_int("n", n, least=1)
    return Objective(
        fn=lambda x, index: -(torch.sin(x) * torch.sin(index * x**2 / math.pi) ** 20).sum(-1),
        start=alternating(n, 2, 1.5),
        data={"index": ramp(n)},
        laned=True,
        source="Michalewicz 1992",
    )


@with_instances
def trigonometric_2(n: int = 2) -> Objective:
    """A quadratic plus squared sines of squares, whose frequency grows outwards.

    With d_i = x_i - 0.9: f(x) = 1 + sum_i 8 sin(7 d_i^2)^2 + 6 sin(14 d_1^2)^2 + d_i^2, x of shape [n]. Start
    (1.5, 0.2, 1.5, 0.2, ...). Minimum 1 at (0.9, ..., 0.9). Raises UsageError for n < 1. Jamil and Yang 2013.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        square = (x - 0.9) ** 2
        own = 8 * torch.sin(7 * square) ** 2 + square
        return 1 + own.sum(-1) + 6 * n * torch.sin(14 * square[..., 0]) ** 2

    return Objective(
        fn=fn,
        start=alternating(n, 1.5, 0.2),
        minimum=1.0,
        minimisers=(torch.full((n,), 0.9, dtype=torch.float64),),
        laned=True,
        source="Jamil and Yang 2013",
    )


@with_instances
def whitley(n: int = 2) -> Objective:
    """Griewank's function of Rosenbrock's, for every pair of coordinates.

    With y_ij = 100 (x_i^2 - x_j)^2 + (1 - x_j)^2: f(x) = sum_ij y_ij^2 / 4000 - cos(y_ij) + 1, x of shape [n]. Start
    (-0.5, 0.5, -0.5, 0.5, ...). Minimum 0 at (1, ..., 1). Raises UsageError for n < 1. Whitley, Rana, Dzubera and
    Mathias 1996, Artificial Intelligence 85:245.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        a, b = x[..., :, None], x[..., None, :]
        y = 100 * (a**2 - b) ** 2 + (1 - b) ** 2
        return (y**2 / 4000 + 2 * torch.sin(y / 2) ** 2).sum((-2, -1))

    return Objective(
        fn=fn,
        start=alternating(n, -0.5, 0.5),
        minimum=0.0,
        minimisers=(torch.ones(n, dtype=torch.float64),),
        laned=True,
        source="Whitley et al. 1996",
    )


@with_instances
def pinter(n: int = 4) -> Objective:
    """Squares, squared sines and logarithms that couple each coordinate with its neighbours in a ring.

    With A_i = x_{i-1} sin x_i + sin x_{i+1} and B_i = x_{i-1}^2 - 2 x_i + 3 x_{i+1} - cos x_i + 1: f(x) = sum_i i
    (x_i^2 + 20 sin(A_i)^2 + log10(1 + i B_i^2)), x of shape [n]. Start (1, -1.5, 1, -1.5, ...). Minimum 0 at
    (0, ..., 0). Raises UsageError for n < 2. Pinter 1996, Global Optimization in Action.
    """
    check_int("n", n, least=2)

    def fn(x: Tensor, index: Tensor) -> Tensor:
        before, after = x.roll(1, -1), x.roll(-1, -1)
        wave = torch.sin(before * torch.sin(x) + torch.sin(after))
        tie = before**2 - 2 * x + 3 * after + 2 * torch.sin(x / 2) ** 2
        return (index * (x**2 + 20 * wave**2 + torch.log1p(index * tie**2) / math.log(10))).sum(-1)

    return Objective(
        fn=fn,
        start=alternating(n, 1, -1.5),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Pinter 1996",
    )


@with_instances
def qing(n: int = 2) -> Objective:
    """Two equal minima along every axis, at the square roots of whole numbers.

    f(x) = sum_i (x_i^2 - i)^2, x of shape [n]. Start (3, -2, 3, -2, ...). Minimum 0 at the 2^n points
    (+-1, +-sqrt(2), ..., +-sqrt(n)), stated for n <= 4 and else that with no minus alone. Raises UsageError for n < 1.
    Qing 2006, IEEE Congress on Evolutionary Computation.
    """
    check_int("n", n, least=1)
    roots = ramp(n).sqrt()
    return Objective(
        fn=lambda x, index: ((x**2 - index) ** 2).sum(-1),
        start=alternating(n, 3, -2),
        data={"index": ramp(n)},
        minimum=0.0,
        minimisers=sign_combinations(roots.tolist()) if n <= 4 else (roots,),
        laned=True,
        source="Qing 2006",
    )


@with_instances
def xin_she_yang_3(n: int = 2) -> Objective:
    """A narrow minimum in a wide plateau.

    f(x) = exp(-sum_i (x_i / 15)^10) - 2 exp(-sum_i x_i^2) prod_i cos(x_i)^2, x of shape [n]. Start
    (1.2, -0.8, 1.2, -0.8, ...). Minimum -1 at (0, ..., 0). Raises UsageError for n < 1. Yang 2010, Engineering
    Optimization.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        needle = torch.exp(-(x**2).sum(-1)) * (torch.cos(x) ** 2).prod(-1)
        return torch.exp(-((x / 15) ** 10).sum(-1)) - 2 * needle

    return Objective(
        fn=fn,
        start=alternating(n, 1.2, -0.8),
        minimum=-1.0,
        minimisers=origin_minimiser(n),
        laned=True,
        source="Yang 2010",
    )
