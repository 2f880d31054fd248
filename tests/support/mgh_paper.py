"""The residuals of Moré, Garbow and Hillstrom 1981 in mpmath, typed from the paper and numbered from 1 as it does.

A referee for ``gdbench.objectives.mgh``: as slow as 40 digits are, and sharing neither code nor data with it.
"""

# ruff: noqa: D103 (each function is named after its problem, and does as the module says)
from __future__ import annotations

from collections.abc import Callable, Sequence

from mpmath import atan, cos, exp, log, mpf, pi, sin, sqrt

Residuals = Callable[[list, int], list]
"""From x, with x[1] first, and n to the residuals whose squares are summed."""


def numbers(text: str) -> list:
    """The numbers of a table, exactly as printed, the first at index 1."""
    return [None, *map(mpf, text.split())]


def rosenbrock(x: list, n: int) -> list:  # 1
    return [10 * (x[2] - x[1] ** 2), 1 - x[1]]


def freudenstein_roth(x: list, n: int) -> list:  # 2
    return [-13 + x[1] + ((5 - x[2]) * x[2] - 2) * x[2], -29 + x[1] + ((x[2] + 1) * x[2] - 14) * x[2]]


def powell_badly_scaled(x: list, n: int) -> list:  # 3
    return [10**4 * x[1] * x[2] - 1, exp(-x[1]) + exp(-x[2]) - mpf("1.0001")]


def brown_badly_scaled(x: list, n: int) -> list:  # 4
    return [x[1] - 10**6, x[2] - mpf("2e-6"), x[1] * x[2] - 2]


def beale(x: list, n: int) -> list:  # 5
    y = numbers("1.5 2.25 2.625")
    return [y[i] - x[1] * (1 - x[2] ** i) for i in range(1, 4)]


def jennrich_sampson(x: list, n: int) -> list:  # 6
    return [2 + 2 * i - (exp(i * x[1]) + exp(i * x[2])) for i in range(1, 11)]


def helical_valley(x: list, n: int) -> list:  # 7
    theta = atan(x[2] / x[1]) / (2 * pi) + (0 if x[1] > 0 else mpf("0.5"))
    return [10 * (x[3] - 10 * theta), 10 * (sqrt(x[1] ** 2 + x[2] ** 2) - 1), x[3]]


def bard(x: list, n: int) -> list:  # 8
    y = numbers("0.14 0.18 0.22 0.25 0.29 0.32 0.35 0.39 0.37 0.58 0.73 0.96 1.34 2.10 4.39")
    return [y[i] - (x[1] + i / ((16 - i) * x[2] + min(i, 16 - i) * x[3])) for i in range(1, 16)]


def gaussian(x: list, n: int) -> list:  # 9
    half = "0.0009 0.0044 0.0175 0.0540 0.1295 0.2420 0.3521 "
    y = numbers(half + "0.3989 " + " ".join(reversed(half.split())))
    return [x[1] * exp(-x[2] * (mpf(8 - i) / 2 - x[3]) ** 2 / 2) - y[i] for i in range(1, 16)]


def meyer(x: list, n: int) -> list:  # 10
    y = numbers("34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872")
    return [x[1] * exp(x[2] / ((45 + 5 * i) + x[3])) - y[i] for i in range(1, 17)]


def gulf(x: list, n: int) -> list:  # 11, its bracket as it was meant
    t = [mpf(i) / 100 for i in range(100)]
    y = [None, *(25 + (-50 * log(t[i])) ** (mpf(2) / 3) for i in range(1, 100))]
    return [exp(-(abs(y[i] - x[2]) ** x[3]) / x[1]) - t[i] for i in range(1, 100)]


def box_3d(x: list, n: int) -> list:  # 12
    t = [mpf(i) / 10 for i in range(11)]
    return [exp(-t[i] * x[1]) - exp(-t[i] * x[2]) - x[3] * (exp(-t[i]) - exp(-10 * t[i])) for i in range(1, 11)]


def powell_singular(x: list, n: int) -> list:  # 13
    return [x[1] + 10 * x[2], sqrt(5) * (x[3] - x[4]), (x[2] - 2 * x[3]) ** 2, sqrt(10) * (x[1] - x[4]) ** 2]


def wood(x: list, n: int) -> list:  # 14
    return [
        10 * (x[2] - x[1] ** 2),
        1 - x[1],
        sqrt(90) * (x[4] - x[3] ** 2),
        1 - x[3],
        sqrt(10) * (x[2] + x[4] - 2),
        (x[2] - x[4]) / sqrt(10),
    ]


def kowalik_osborne(x: list, n: int) -> list:  # 15
    y = numbers("0.1957 0.1947 0.1735 0.1600 0.0844 0.0627 0.0456 0.0342 0.0323 0.0235 0.0246")
    u = numbers("4.0 2.0 1.0 0.5 0.25 0.167 0.125 0.1 0.0833 0.0714 0.0625")
    return [y[i] - x[1] * (u[i] ** 2 + u[i] * x[2]) / (u[i] ** 2 + u[i] * x[3] + x[4]) for i in range(1, 12)]


def brown_dennis(x: list, n: int) -> list:  # 16
    t = [mpf(i) / 5 for i in range(21)]
    return [(x[1] + t[i] * x[2] - exp(t[i])) ** 2 + (x[3] + x[4] * sin(t[i]) - cos(t[i])) ** 2 for i in range(1, 21)]


def osborne1(x: list, n: int) -> list:  # 17
    y = numbers(
        "0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751 0.718 0.685 0.658 0.628 0.603 0.580 "
        "0.558 0.538 0.522 0.506 0.490 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"
    )
    t = [None, *(10 * (i - 1) for i in range(1, 34))]
    return [y[i] - (x[1] + x[2] * exp(-t[i] * x[4]) + x[3] * exp(-t[i] * x[5])) for i in range(1, 34)]


def biggs_exp6(x: list, n: int) -> list:  # 18
    t = [mpf(i) / 10 for i in range(14)]
    y = [exp(-t[i]) - 5 * exp(-10 * t[i]) + 3 * exp(-4 * t[i]) for i in range(14)]
    return [x[3] * exp(-t[i] * x[1]) - x[4] * exp(-t[i] * x[2]) + x[6] * exp(-t[i] * x[5]) - y[i] for i in range(1, 14)]


def osborne2(x: list, n: int) -> list:  # 19
    y = numbers(
        "1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608 0.655 0.616 0.606 0.602 "
        "0.626 0.651 0.724 0.649 0.649 0.694 0.644 0.624 0.661 0.612 0.558 0.533 0.495 0.500 0.423 0.395 0.375 "
        "0.372 0.391 0.396 0.405 0.428 0.429 0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668 0.645 0.632 0.591 "
        "0.559 0.597 0.625 0.739 0.710 0.729 0.720 0.636 0.581 0.428 0.292 0.162 0.098 0.054"
    )
    t = [None, *(mpf(i - 1) / 10 for i in range(1, 66))]

    def peaks(s: mpf) -> mpf:
        return sum(x[k] * exp(-((s - x[k + 7]) ** 2) * x[k + 4]) for k in (2, 3, 4))

    return [y[i] - (x[1] * exp(-t[i] * x[5]) + peaks(t[i])) for i in range(1, 66)]


def watson(x: list, n: int) -> list:  # 20
    def one(t: mpf) -> mpf:
        slope = sum((j - 1) * x[j] * t ** (j - 2) for j in range(2, n + 1))
        return slope - sum(x[j] * t ** (j - 1) for j in range(1, n + 1)) ** 2 - 1

    return [*(one(mpf(i) / 29) for i in range(1, 30)), x[1], x[2] - x[1] ** 2 - 1]


def extended_rosenbrock(x: list, n: int) -> list:  # 21
    return [each for i in range(1, n // 2 + 1) for each in (10 * (x[2 * i] - x[2 * i - 1] ** 2), 1 - x[2 * i - 1])]


def extended_powell(x: list, n: int) -> list:  # 22
    return [each for i in range(0, n, 4) for each in powell_singular([None, *x[i + 1 : i + 5]], 4)]


def penalty1(x: list, n: int) -> list:  # 23
    return [*(sqrt(mpf("1e-5")) * (x[i] - 1) for i in range(1, n + 1)), sum(each**2 for each in x[1:]) - mpf("0.25")]


def penalty2(x: list, n: int) -> list:  # 24
    a = mpf("1e-5")
    y = [exp(mpf(i) / 10) + exp(mpf(i - 1) / 10) for i in range(n + 1)]
    return [
        x[1] - mpf("0.2"),
        *(sqrt(a) * (exp(x[i] / 10) + exp(x[i - 1] / 10) - y[i]) for i in range(2, n + 1)),
        *(sqrt(a) * (exp(x[i - n + 1] / 10) - exp(mpf(-1) / 10)) for i in range(n + 1, 2 * n)),
        sum((n - j + 1) * x[j] ** 2 for j in range(1, n + 1)) - 1,
    ]


def variably_dimensioned(x: list, n: int) -> list:  # 25
    weighted = sum(j * (x[j] - 1) for j in range(1, n + 1))
    return [*(x[i] - 1 for i in range(1, n + 1)), weighted, weighted**2]


def trigonometric(x: list, n: int) -> list:  # 26
    cosines = sum(cos(x[j]) for j in range(1, n + 1))
    return [n - cosines + i * (1 - cos(x[i])) - sin(x[i]) for i in range(1, n + 1)]


def brown_almost_linear(x: list, n: int) -> list:  # 27
    product = mpf(1)
    for each in x[1:]:
        product *= each
    return [*(x[i] + sum(x[1:]) - (n + 1) for i in range(1, n)), product - 1]


def boundary_value(x: list, n: int) -> list:  # 28
    h, x = mpf(1) / (n + 1), [0, *x[1:], 0]
    return [2 * x[i] - x[i - 1] - x[i + 1] + h**2 * (x[i] + i * h + 1) ** 3 / 2 for i in range(1, n + 1)]


def integral_equation(x: list, n: int) -> list:  # 29
    h = mpf(1) / (n + 1)
    t = [i * h for i in range(n + 1)]
    cube = [None, *((x[j] + t[j] + 1) ** 3 for j in range(1, n + 1))]
    return [
        x[i]
        + h / 2 * (1 - t[i]) * sum(t[j] * cube[j] for j in range(1, i + 1))
        + h / 2 * t[i] * sum((1 - t[j]) * cube[j] for j in range(i + 1, n + 1))
        for i in range(1, n + 1)
    ]


def broyden_tridiagonal(x: list, n: int) -> list:  # 30
    x = [0, *x[1:], 0]
    return [(3 - 2 * x[i]) * x[i] - x[i - 1] - 2 * x[i + 1] + 1 for i in range(1, n + 1)]


def broyden_banded(x: list, n: int) -> list:  # 31
    def band(i: int) -> mpf:
        return sum(x[j] * (1 + x[j]) for j in range(max(1, i - 5), min(n, i + 1) + 1) if j != i)

    return [x[i] * (2 + 5 * x[i] ** 2) + 1 - band(i) for i in range(1, n + 1)]


def linear_full_rank(x: list, n: int, m: int = 20) -> list:  # 32
    shift = mpf(2) / m * sum(x[1:])
    return [*(x[i] - shift - 1 for i in range(1, n + 1)), *(-shift - 1 for _ in range(n + 1, m + 1))]


def linear_rank_one(x: list, n: int, m: int = 20) -> list:  # 33
    return [i * sum(j * x[j] for j in range(1, n + 1)) - 1 for i in range(1, m + 1)]


def linear_rank_one_zeros(x: list, n: int, m: int = 20) -> list:  # 34
    return [-1, *((i - 1) * sum(j * x[j] for j in range(2, n)) - 1 for i in range(2, m)), -1]


def chebyquad(x: list, n: int) -> list:  # 35; a polynomial of degree i on [0, 1] is cos(i acos(2 x - 1)) there
    def polynomial(i: int, s: mpf) -> mpf:
        first, second = mpf(1), 2 * s - 1
        for _ in range(i):
            first, second = second, 2 * (2 * s - 1) * second - first
        return first

    def integral(i: int) -> mpf:
        return mpf(0) if i % 2 else mpf(-1) / (i**2 - 1)

    return [sum(polynomial(i, x[j]) for j in range(1, n + 1)) / n - integral(i) for i in range(1, n + 1)]


def value(residuals: Residuals, point: Sequence) -> mpf:
    """The sum of the squares of the residuals at a point."""
    return sum((each**2 for each in residuals([None, *point], len(point))), mpf(0))


def gradient(residuals: Residuals, point: Sequence) -> list:
    """Its gradient, by central differences that are right to 20 digits and more."""
    h, slopes = mpf(10) ** -15, []
    for k in range(len(point)):
        ahead, behind = ([*point[:k], point[k] + step, *point[k + 1 :]] for step in (h, -h))
        slopes.append((value(residuals, ahead) - value(residuals, behind)) / (2 * h))
    return slopes
