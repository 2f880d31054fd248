"""Problems of Moré, Garbow and Hillstrom in any number of variables, with a minimum that need not be 0."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import format_source, sum_of_squares
from gdbench.objectives.mgh.valleys import powell_term
from gdbench.objectives.validation import check_int, check_multiple
from gdbench.objectives.vectors import vector

__all__ = [
    "chebyquad",
    "extended_powell",
    "extended_rosenbrock",
    "penalty1",
    "penalty2",
    "variably_dimensioned",
    "watson",
]


def minimum_fields(minimum: float | None, least: tuple[float, ...] = ()) -> dict[str, Any]:
    """Build the fields of a minimum: computed for this size, or the lower bound 0 if ``minimum`` is None."""
    if minimum is None:
        return {"minimum": 0.0, "minimum_kind": "lower_bound"}
    return {
        "minimum": minimum,
        "minimum_kind": "computed" if minimum else "exact",
        "minimisers": (vector(*least),),
    }


def watson(n: int = 6) -> Objective:
    """A polynomial that approximates the solution of a differential equation, ill-conditioned for many terms.

    f(x) = sum_i (sum_j (j - 1) x_j t_i^(j-2) - (sum_j x_j t_i^(j-1))^2 - 1)^2 + x_1^2 + (x_2 - x_1^2 - 1)^2,
    t_i = i / 29, i = 1 ... 29, j = 1 ... n, x of shape [n]. Start 0, where f = 30; Moré and Wild start at 0.5. Minimum
    2.287670053552436e-3 for n = 6, 1.399760138099020e-6 for n = 9 and 4.722381105891757e-10 for n = 12, where the least
    eigenvalue of the Hessian is 1.7e-11; for another n it is not known, but at least 0. Raises UsageError unless
    2 <= n <= 31. Problem 20; Kowalik and Osborne 1968.
    """
    powers = torch.arange(check_int("n", n, least=2, most=31), dtype=torch.float64)
    t = torch.arange(1, 30, dtype=torch.float64) / 29
    value = t ** powers[:, None]
    slope = powers[:, None] * t ** (powers[:, None] - 1).clamp(min=0)

    def fn(x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        a, b = x[..., 0], x[..., 1]
        return sum_of_squares(x @ slope - (x @ value) ** 2 - 1) + a**2 + (b - a**2 - 1) ** 2

    return Objective(
        fn=fn,
        start=torch.zeros_like(powers),
        data={"value": value, "slope": slope},
        laned=True,
        source=format_source(20),
        **minimum_fields(*WATSON.get(n, (None,))),
    )


WATSON: dict[int, tuple[float, tuple[float, ...]]] = {
    6: (
        0.002287670053552436,
        (
            *(-0.015725086401458456, 1.0124348693691099, -0.2329916259567377, 1.2604300877996084),
            *(-1.5137289227222797, 0.9929964324311346),
        ),
    ),
    9: (
        1.39976013809902e-06,
        (
            *(-1.5307036521394342e-05, 0.9997897039319483, 0.014763963693556958, 0.14634232829936222),
            *(1.0008211030047092, -2.617731140519015, 4.104403164478857, -3.1436122785564424, 1.0526264080101668),
        ),
    ),
    12: (
        4.722381105891757e-10,
        (
            *(-6.638060464520687e-09, 1.000001644117862, -0.0005639322103423058, 0.34782054050404243),
            *(-0.15673150409616513, 1.0528151772071777, -3.2472711534596677, 7.288434897938061, -10.271848241321724),
            *(9.074113647075317, -4.541375466692512, 1.0120118885528104),
        ),
    ),
}
"""Minimum and minimiser of ``watson`` for the sizes that the paper names."""


def extended_rosenbrock(n: int = 10) -> Objective:
    """Rosenbrock's function for each pair of variables; ``rosenbrock`` is the chained one.

    f(x) = sum_i 100 (x_2i - x_{2i-1}^2)^2 + (1 - x_{2i-1})^2, i = 1 ... n / 2, x of shape [n]. Start (-1.2, 1, ...),
    where f = 12.1 n. Minimum 0 at (1, ..., 1). Raises UsageError for an odd n. Problem 21; Spedicato 1975.
    """
    pairs = check_multiple("n", n, of=2) // 2

    def fn(x: Tensor) -> Tensor:
        a, b = x[..., ::2], x[..., 1::2]
        return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum(-1)

    return Objective(
        fn=fn,
        start=vector(-1.2, 1).repeat(pairs),
        minimum=0.0,
        minimisers=(torch.ones(n, dtype=torch.float64),),
        laned=True,
        source=format_source(21),
    )


def extended_powell(n: int = 12) -> Objective:
    """Powell's singular function for each group of four variables.

    f(x) = sum_i (x_{4i-3} + 10 x_{4i-2})^2 + 5 (x_{4i-1} - x_4i)^2 + (x_{4i-2} - 2 x_{4i-1})^4
    + 10 (x_{4i-3} - x_4i)^4, i = 1 ... n / 4, x of shape [n]. Start (3, -1, 0, 1, ...), where f = 53.75 n. Minimum 0 at
    the origin, where the Hessian has rank n / 2. Convex. Raises UsageError unless n is a multiple of 4. Problem 22;
    Spedicato 1975.
    """
    fours = check_multiple("n", n, of=4) // 4

    def fn(x: Tensor) -> Tensor:
        return powell_term(*(x[..., k::4] for k in range(4))).sum(-1)

    return Objective(
        fn=fn,
        start=vector(3, -1, 0, 1).repeat(fours),
        minimum=0.0,
        minimisers=(torch.zeros(n, dtype=torch.float64),),
        laned=True,
        source=format_source(22),
    )


def penalty1(n: int = 4) -> Objective:
    """A penalty for |x| = 1/2 with a large weight, plus (x - 1)^2 with a small one.

    f(x) = 1e-5 sum_i (x_i - 1)^2 + (|x|^2 - 1/4)^2, x of shape [n]. Start (1, 2, ..., n), where f = 885.06 for n = 4.
    At the minimum all x_i are equal, to the largest root of 2 n t^3 + (1e-5 - 1/2) t - 1e-5: 2.249977500159e-5 for
    n = 4, 7.087651467090e-5 for n = 10. Raises UsageError for n < 1. Problem 23; Gill, Murray and Pitfield 1972.
    """
    check_int("n", n, least=1)

    def fn(x: Tensor) -> Tensor:
        return 1e-5 * sum_of_squares(x - 1) + (sum_of_squares(x) - 0.25) ** 2

    root, minimum = solve_penalty1(n)
    return Objective(
        fn=fn,
        start=torch.arange(1, n + 1, dtype=torch.float64),
        laned=True,
        source=format_source(23),
        **minimum_fields(minimum, (root,) * n),
    )


def solve_penalty1(n: int) -> tuple[float, float]:
    """Compute the coordinate of the minimiser of ``penalty1`` and its minimum with 50 digits, and round them once."""
    with localcontext(Context(prec=50)):  # independent of the caller's context
        a, t, last = Decimal("1e-5"), Decimal(1), Decimal(2)
        while abs(t - last) > Decimal("1e-40"):  # from above, Newton's method converges to the largest root
            last, slope = t, 6 * n * t**2 + a - Decimal("0.5")
            t -= (2 * n * t**3 + (a - Decimal("0.5")) * t - a) / slope
        return float(t), float(n * a * (t - 1) ** 2 + (n * t**2 - Decimal("0.25")) ** 2)


def penalty2(n: int = 4) -> Objective:
    """A penalty for an ellipsoid with a large weight, plus exponentials with a small one.

    f(x) = (x_1 - 0.2)^2 + 1e-5 sum_{i=2..n} (exp(x_i / 10) + exp(x_{i-1} / 10) - y_i)^2
    + 1e-5 sum_{i=2..n} (exp(x_i / 10) - exp(-1 / 10))^2 + (sum_j (n - j + 1) x_j^2 - 1)^2,
    y_i = exp(i / 10) + exp((i - 1) / 10), x of shape [n]. Start (1/2, ..., 1/2), where f = 2.34 for n = 4. Minimum
    9.376293007355e-6 for n = 4 and 2.936605374567e-4 for n = 10; for another n it is not known, but at least 0.
    Raises UsageError for n < 2. Problem 24; Gill, Murray and Pitfield 1972.
    """
    i = torch.arange(1, check_int("n", n, least=2) + 1, dtype=torch.float64)
    grown = torch.exp(i / 10)

    def fn(x: Tensor, y: Tensor, weight: Tensor, low: Tensor) -> Tensor:
        e = torch.exp(x / 10)
        pull = sum_of_squares(e[..., 1:] + e[..., :-1] - y) + sum_of_squares(e[..., 1:] - low)
        return (x[..., 0] - 0.2) ** 2 + 1e-5 * pull + ((weight * x**2).sum(-1) - 1) ** 2

    return Objective(
        fn=fn,
        start=torch.full_like(i, 0.5),
        data={"y": grown[1:] + grown[:-1], "weight": i.flip(0), "low": torch.exp(vector(-0.1))},
        laned=True,
        source=format_source(24),
        **minimum_fields(*PENALTY2.get(n, (None,))),
    )


PENALTY2: dict[int, tuple[float, tuple[float, ...]]] = {
    4: (
        9.376293007355442e-06,
        (0.1999993333503804, 0.19131670099277245, 0.48010148533262315, 0.5188454043902005),
    ),
    10: (
        0.00029366053745674594,
        (
            *(0.1999836051978236, 0.010350648471292297, 0.019604934480438402, 0.03208906722068565),
            *(0.049932677399641294, 0.07651399515399361, 0.11862407286950417, 0.19214487233557667),
            *(0.34732058694184365, 0.3691643741593508),
        ),
    ),
}
"""Minimum and minimiser of ``penalty2`` for the sizes that the paper names."""


def variably_dimensioned(n: int = 10) -> Objective:
    """A quadratic plus a quartic term in one direction.

    f(x) = |x - 1|^2 + s^2 + s^4 with s = sum_j j (x_j - 1), x of shape [n]. Start (1 - 1/n, 1 - 2/n, ..., 0), where
    f = 2198551 for n = 10. Minimum 0 at (1, ..., 1). Convex, mu = 2. Raises UsageError for n < 1. Problem 25.
    """
    j = torch.arange(1, check_int("n", n, least=1) + 1, dtype=torch.float64)

    def fn(x: Tensor, j: Tensor) -> Tensor:
        left = x - 1
        square = (j * left).sum(-1) ** 2
        return sum_of_squares(left) + square + square**2

    return Objective(
        fn=fn,
        start=1 - j / n,
        data={"j": j},
        minimum=0.0,
        minimisers=(torch.ones_like(j),),
        strong_convexity=2.0,
        laned=True,
        source=format_source(25),
    )


def chebyquad(n: int = 8) -> Objective:
    """The nodes of a quadrature with equal weights, which exists for n = 1 ... 7 and 9 only.

    f(x) = sum_i (mean_j T_i(x_j) - c_i)^2, i = 1 ... n, x of shape [n], T_i Chebyshev's polynomials shifted to [0, 1]
    and c_i their integrals: 0 for odd i, else -1 / (i^2 - 1). Start (1, ..., n) / (n + 1). Minimum 0 where exact;
    3.516873725677932e-3 for n = 8; 4.772713696375349e-3 for n = 10, where the paper's 6.50395e-3 is a local minimum;
    for larger n it is not stated. Any order of the nodes is as good. Raises UsageError for n < 1. Problem 35;
    Fletcher 1965.
    """
    i = torch.arange(1, check_int("n", n, least=1) + 1, dtype=torch.float64)

    def fn(x: Tensor, integrals: Tensor) -> Tensor:
        twice = 4 * x - 2
        last, polynomial = torch.ones_like(x), twice / 2
        means = [polynomial.mean(-1)]
        for _ in range(n - 1):
            last, polynomial = polynomial, twice * polynomial - last
            means.append(polynomial.mean(-1))
        return sum_of_squares(torch.stack(means, -1) - integrals)

    return Objective(
        fn=fn,
        start=i / (n + 1),
        data={"integrals": torch.where(i % 2 == 0, -1 / (i**2 - 1), 0.0)},
        laned=True,
        source=format_source(35),
        **minimum_fields(CHEBYQUAD.get(n, 0.0), NODES[n]) if n in NODES else minimum_fields(None),
    )


CHEBYQUAD = {8: 0.0035168737256779316, 10: 0.004772713696375349}
"""The minima that are not 0, by the number of nodes."""
NODES: dict[int, tuple[float, ...]] = {
    1: (0.5,),
    2: (0.2113248654051871, 0.7886751345948129),
    3: (0.14644660940672624, 0.5, 0.8535533905932737),
    4: (0.10267276385411694, 0.40620376295746, 0.5937962370425399, 0.8973272361458831),
    5: (0.08375125649950906, 0.31272929522320947, 0.5, 0.6872707047767905, 0.9162487435004909),
    6: (
        *(0.0668765909460897, 0.28874067311944424, 0.36668229924164764, 0.6333177007583524, 0.7112593268805558),
        0.9331234090539103,
    ),
    7: (
        *(0.05806914962097548, 0.2351716123574216, 0.3380440947400462, 0.5, 0.6619559052599538),
        *(0.7648283876425784, 0.9419308503790245),
    ),
    8: (
        *(0.04315276015101663, 0.1930908403841861, 0.26632870689027294, 0.5, 0.5),
        *(0.7336712931097271, 0.8069091596158139, 0.9568472398489833),
    ),
    9: (
        *(0.044205346135782767, 0.19949067230988096, 0.23561910847106, 0.416046907892598, 0.5),
        *(0.583953092107402, 0.76438089152894, 0.8005093276901191, 0.9557946538642172),
    ),
    10: (
        *(0.032993373018074465, 0.15514535775907337, 0.20018919846138622, 0.38326166496125497, 0.38326166496125497),
        *(0.5292494771334065, 0.6403535493710659, 0.7135658474159999, 0.8284818230519073, 0.9252518337853975),
    ),
}
"""The minimisers of ``chebyquad``, in ascending order."""
