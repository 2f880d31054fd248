"""The classical functions once more, typed for mpmath from their sources: a referee of any precision.

Nothing is rewritten to save digits or time, as gdbench's own forms are; of the package it uses tables of data alone.
A point is a list of mpf (a list of rows for lennard_jones).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

from mpmath import mp, mpf

from gdbench.objectives.hartmann_shekel import FOXHOLES, HARTMANN3, HARTMANN6, LANGERMANN, MULLER_BROWN, SHEKEL

sin, cos, exp, sqrt, pi = mp.sin, mp.cos, mp.exp, mp.sqrt, mp.pi
Point = list[Any]


def total(terms: Any) -> mpf:
    """The sum."""
    return mp.fsum(terms)


def numbered(x: Point) -> Any:
    """(1, x_1), (2, x_2) ..."""
    return [(mpf(i), each) for i, each in enumerate(x, 1)]


def links(x: Point) -> Any:
    """(x_1, x_2), (x_2, x_3) ..."""
    return list(pairwise(x))


def ackley(x: Point) -> mpf:
    """Ackley 1987."""
    n = len(x)
    return (
        -20 * exp(-mpf(1) / 5 * sqrt(total(t**2 for t in x) / n))
        - exp(total(cos(2 * pi * t) for t in x) / n)
        + 20
        + mp.e
    )


def levy(x: Point) -> mpf:
    """Levy and Montalvo 1985."""
    w = [1 + (t - 1) / 4 for t in x]
    middle = total((t - 1) ** 2 * (1 + 10 * sin(pi * t + 1) ** 2) for t in w[:-1])
    return sin(pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + sin(2 * pi * w[-1]) ** 2)


def levy13(p: Point) -> mpf:
    """Levy's plane function."""
    x, y = p
    return sin(3 * pi * x) ** 2 + (x - 1) ** 2 * (1 + sin(3 * pi * y) ** 2) + (y - 1) ** 2 * (1 + sin(2 * pi * y) ** 2)


def goldstein_price(p: Point) -> mpf:
    """Goldstein and Price 1971."""
    x, y = p
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return a * b


def branin(p: Point) -> mpf:
    """Branin 1972."""
    x, y = p
    return (y - mpf("5.1") / (4 * pi**2) * x**2 + 5 / pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


def whitley(x: Point) -> mpf:
    """Whitley et al. 1996."""
    values = [100 * (a**2 - b) ** 2 + (1 - b) ** 2 for a in x for b in x]
    return total(v**2 / 4000 - cos(v) + 1 for v in values)


def pinter(x: Point) -> mpf:
    """Pinter 1996."""
    n = len(x)
    value = mpf(0)
    for i in range(n):
        before, here, after = x[i - 1], x[i], x[(i + 1) % n]
        a = before * sin(here) + sin(after)
        b = before**2 - 2 * here + 3 * after - cos(here) + 1
        value += (i + 1) * (here**2 + 20 * sin(a) ** 2 + mp.log10(1 + (i + 1) * b**2))
    return value


def trefethen(p: Point) -> mpf:
    """Trefethen 2002."""
    x, y = p
    waves = exp(sin(50 * x)) + sin(60 * exp(y)) + sin(70 * sin(x)) + sin(sin(80 * y)) - sin(10 * (x + y))
    return waves + (x**2 + y**2) / 4


def cragg_levy(x: Point) -> mpf:
    """Cragg and Levy 1969, as CUTE has it."""
    a, b, c, d = x
    return (exp(a) - b) ** 4 + 100 * (b - c) ** 6 + mp.tan(c - d) ** 4 + a**8 + (d - 1) ** 2


def zakharov(x: Point) -> mpf:
    """Zakharov."""
    s = total(i * t / 2 for i, t in numbered(x))
    return total(t**2 for t in x) + s**2 + s**4


def perm(x: Point) -> mpf:
    """Neumaier's PERM, beta = 1/2."""
    n = len(x)
    return total(total((j**i + mpf(1) / 2) * ((t / j) ** i - 1) for j, t in numbered(x)) ** 2 for i in range(1, n + 1))


def perm0(x: Point) -> mpf:
    """Neumaier's PERM0, beta = 10."""
    n = len(x)
    return total(total((j + 10) * (t**i - j**-i) for j, t in numbered(x)) ** 2 for i in range(1, n + 1))


def trigonometric_2(x: Point) -> mpf:
    """Fu, Fu and Mao 2006."""
    d, first = [t - mpf("0.9") for t in x], x[0] - mpf("0.9")
    return 1 + total(8 * sin(7 * t**2) ** 2 + 6 * sin(14 * first**2) ** 2 + t**2 for t in d)


def xin_she_yang_3(x: Point) -> mpf:
    """Yang 2010."""
    flat = exp(-total((t / 15) ** 10 for t in x))
    return flat - 2 * exp(-total(t**2 for t in x)) * mp.fprod(cos(t) ** 2 for t in x)


def wells(tables: Any) -> Callable[[Point], mpf]:
    """Hartmann's sum of Gaussians; constants are decimal numbers."""
    heights, sharpness, centres = tables
    return lambda x: (
        -total(
            mpf(str(a))
            * exp(-total(mpf(str(s)) * (t - mpf(str(c))) ** 2 for t, s, c in zip(x, row, centre, strict=True)))
            for a, row, centre in zip(heights, sharpness, centres, strict=True)
        )
    )


def shekel(x: Point) -> mpf:
    """Shekel 1971, m = 10."""
    return -total(
        1 / (total((t - mpf(str(a))) ** 2 for t, a in zip(x, at, strict=True)) + mpf(str(c))) for c, at in SHEKEL
    )


def langermann(x: Point) -> mpf:
    """Langermann."""
    squares = [(c, total((t - a) ** 2 for t, a in zip(x, at, strict=True))) for c, at in LANGERMANN]
    return total(c * exp(-s / pi) * cos(pi * s) for c, s in squares)


def de_jong_5(p: Point) -> mpf:
    """De Jong 1975, F5."""
    x, y = p
    holes = total(1 / (i + (x - a) ** 6 + (y - b) ** 6) for i, (a, b) in enumerate(FOXHOLES, 1))
    return 1 / (mpf("0.002") + holes)


def muller_brown(p: Point) -> mpf:
    """Muller and Brown 1979."""
    x, y = p
    return total(
        height
        * exp(
            mpf(str(a)) * (x - mpf(str(u))) ** 2
            + mpf(str(b)) * (x - mpf(str(u))) * (y - mpf(str(v)))
            + mpf(str(c)) * (y - mpf(str(v))) ** 2
        )
        for height, a, b, c, u, v in MULLER_BROWN
    )


def lennard_jones(x: Point) -> mpf:
    """Jones 1924 in reduced units."""
    squares = [total((u - v) ** 2 for u, v in zip(a, b, strict=True)) for a, b in combinations(x, 2)]
    return total(4 * (1 / s**6 - 1 / s**3) for s in squares)


def griewank(x: Point) -> mpf:
    """Griewank 1981."""
    return total(t**2 for t in x) / 4000 - mp.fprod(cos(t / sqrt(i)) for i, t in numbered(x)) + 1


def rosenbrock_modified(p: Point) -> mpf:
    """Storn and Price's Rosenbrock with a hole."""
    x, y = p
    return 74 + 100 * (y - x**2) ** 2 + (1 - x) ** 2 - 400 * exp(-((x + 1) ** 2 + (y + 1) ** 2) * 10)


def chichinadze(p: Point) -> mpf:
    """Chichinadze."""
    x, y = p
    waves = 10 * cos(pi * x / 2) + 8 * sin(5 * pi * x / 2)
    return x**2 - 12 * x + 11 + waves - exp(-((y - mpf(1) / 2) ** 2) / 2) / sqrt(5)


def bird(p: Point) -> mpf:
    """Mishra 2006."""
    x, y = p
    return sin(x) * exp((1 - cos(y)) ** 2) + cos(y) * exp((1 - sin(x)) ** 2) + (x - y) ** 2


def eggholder(p: Point) -> mpf:
    """Whitley et al. 1996."""
    x, y = p
    return -(y + 47) * sin(sqrt(abs(y + x / 2 + 47))) - x * sin(sqrt(abs(x - (y + 47))))


def drop_wave(p: Point) -> mpf:
    """Dropped into water."""
    s = p[0] ** 2 + p[1] ** 2
    return -(1 + cos(12 * sqrt(s))) / (s / 2 + 2)


def schaffer_2(p: Point) -> mpf:
    """Schaffer's second."""
    x, y = p
    return mpf(1) / 2 + (sin(x**2 - y**2) ** 2 - mpf(1) / 2) / (1 + (x**2 + y**2) / 1000) ** 2


def schaffer_6(p: Point) -> mpf:
    """Schaffer's sixth."""
    s = p[0] ** 2 + p[1] ** 2
    return mpf(1) / 2 + (sin(sqrt(s)) ** 2 - mpf(1) / 2) / (1 + s / 1000) ** 2


def shubert(p: Point) -> mpf:
    """Shubert 1972."""
    return mp.fprod(total(i * cos((i + 1) * t + i) for i in range(1, 6)) for t in p)


def dekkers_aarts(p: Point) -> mpf:
    """Dekkers and Aarts 1991."""
    x, y = p
    s = x**2 + y**2
    return 10**5 * x**2 + y**2 - s**2 + s**4 / 10**5


def tenths(text: str) -> mpf:
    """A decimal constant, exact."""
    return mpf(text)


FORMULAS: dict[str, Callable[[Point], mpf]] = {
    # bowls
    "booth": lambda p: (p[0] + 2 * p[1] - 7) ** 2 + (2 * p[0] + p[1] - 5) ** 2,
    "brown": lambda x: total((a**2) ** (b**2 + 1) + (b**2) ** (a**2 + 1) for a, b in links(x)),
    "chung_reynolds": lambda x: total(t**2 for t in x) ** 2,
    "csendes": lambda x: total(t**6 * (2 + sin(1 / t)) for t in x),
    "dixon_price": lambda x: (
        (x[0] - 1) ** 2 + total((i + 1) * (2 * b**2 - a) ** 2 for i, (a, b) in enumerate(links(x), 1))
    ),
    "exponential": lambda x: -exp(-total(t**2 for t in x) / 2),
    "matyas": lambda p: tenths("0.26") * (p[0] ** 2 + p[1] ** 2) - tenths("0.48") * p[0] * p[1],
    "perm": perm,
    "perm0": perm0,
    "power_sum": lambda x: total(
        (total(t**k for t in x) - b) ** 2 for k, b in zip((1, 2, 3, 4), (8, 18, 44, 114), strict=True)
    ),
    "quartic": lambda x: total(i * t**4 for i, t in numbered(x)),
    "schwefel_1_2": lambda x: total(total(x[: i + 1]) ** 2 for i in range(len(x))),
    "schwefel_2_23": lambda x: total(t**10 for t in x),
    "sum_of_different_powers": lambda x: total(abs(t) ** (i + 1) for i, t in numbered(x)),
    "trid": lambda x: total((t - 1) ** 2 for t in x) - total(a * b for a, b in links(x)),
    "zakharov": zakharov,
    # kinks
    "alpine_1": lambda x: total(abs(t * sin(t) + t / 10) for t in x),
    "bukin_6": lambda p: 100 * sqrt(abs(p[1] - p[0] ** 2 / 100)) + abs(p[0] + 10) / 100,
    "quintic": lambda x: total(abs(t**5 - 3 * t**4 + 4 * t**3 + 2 * t**2 - 10 * t - 4) for t in x),
    "schwefel_2_6": lambda p: max(abs(p[0] + 2 * p[1] - 7), abs(2 * p[0] + p[1] - 5)),
    "schwefel_2_20": lambda x: total(abs(t) for t in x),
    "schwefel_2_21": lambda x: max(abs(t) for t in x),
    "schwefel_2_22": lambda x: total(abs(t) for t in x) + mp.fprod(abs(t) for t in x),
    "xin_she_yang_2": lambda x: total(abs(t) for t in x) * exp(-total(sin(t**2) for t in x)),
    # valleys
    "aluffi_pentini": lambda p: p[0] ** 4 / 4 - p[0] ** 2 / 2 + p[0] / 10 + p[1] ** 2 / 2,
    "branin": branin,
    "chebyshev_rosenbrock": lambda x: (x[0] - 1) ** 2 / 4 + total((b - 2 * a**2 + 1) ** 2 for a, b in links(x)),
    "cragg_levy": cragg_levy,
    "cube": lambda p: 100 * (p[1] - p[0] ** 3) ** 2 + (1 - p[0]) ** 2,
    "dekkers_aarts": dekkers_aarts,
    "el_attar": lambda p: (p[0] ** 2 + p[1] - 10) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2 + (p[0] ** 2 + p[1] ** 3 - 1) ** 2,
    "engvall": lambda p: p[0] ** 4 + p[1] ** 4 + 2 * p[0] ** 2 * p[1] ** 2 - 4 * p[0] + 3,
    "goldstein_price": goldstein_price,
    "mccormick": lambda p: sin(p[0] + p[1]) + (p[0] - p[1]) ** 2 - mpf(3) / 2 * p[0] + mpf(5) / 2 * p[1] + 1,
    "monkey_saddle": lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2,
    "price_4": lambda p: (2 * p[0] ** 3 * p[1] - p[1] ** 3) ** 2 + (6 * p[0] - p[1] ** 2 + p[1]) ** 2,
    "rosenbrock_modified": rosenbrock_modified,
    "six_hump_camel": lambda p: (
        (4 - tenths("2.1") * p[0] ** 2 + p[0] ** 4 / 3) * p[0] ** 2 + p[0] * p[1] + (4 * p[1] ** 2 - 4) * p[1] ** 2
    ),
    "three_hump_camel": lambda p: 2 * p[0] ** 2 - tenths("1.05") * p[0] ** 4 + p[0] ** 6 / 6 + p[0] * p[1] + p[1] ** 2,
    "trecanni": lambda p: p[0] ** 4 + 4 * p[0] ** 3 + 4 * p[0] ** 2 + p[1] ** 2,
    "wayburn_seader": lambda p: (p[0] ** 6 + p[1] ** 4 - 17) ** 2 + (2 * p[0] + p[1] - 4) ** 2,
    "zettl": lambda p: (p[0] ** 2 + p[1] ** 2 - 2 * p[0]) ** 2 + p[0] / 4,
    # waves
    "ackley": ackley,
    "cosine_mixture": lambda x: total(t**2 - cos(5 * pi * t) / 10 for t in x),
    "griewank": griewank,
    "levy": levy,
    "michalewicz": lambda x: -total(sin(t) * sin(i * t**2 / pi) ** 20 for i, t in numbered(x)),
    "pinter": pinter,
    "qing": lambda x: total((t**2 - i) ** 2 for i, t in numbered(x)),
    "rastrigin": lambda x: 10 * len(x) + total(t**2 - 10 * cos(2 * pi * t) for t in x),
    "salomon": lambda x: 1 - cos(2 * pi * sqrt(total(t**2 for t in x))) + sqrt(total(t**2 for t in x)) / 10,
    "schwefel": lambda x: tenths("418.9829") * len(x) - total(t * sin(sqrt(abs(t))) for t in x),
    "trigonometric_2": trigonometric_2,
    "wavy": lambda x: 1 - total(cos(10 * t) * exp(-(t**2) / 2) for t in x) / len(x),
    "whitley": whitley,
    "xin_she_yang_3": xin_she_yang_3,
    # ripples
    "bird": bird,
    "bohachevsky_1": lambda p: (
        p[0] ** 2
        + 2 * p[1] ** 2
        - tenths("0.3") * cos(3 * pi * p[0])
        - tenths("0.4") * cos(4 * pi * p[1])
        + tenths("0.7")
    ),
    "bohachevsky_2": lambda p: (
        p[0] ** 2 + 2 * p[1] ** 2 - tenths("0.3") * cos(3 * pi * p[0]) * cos(4 * pi * p[1]) + tenths("0.3")
    ),
    "bohachevsky_3": lambda p: (
        p[0] ** 2 + 2 * p[1] ** 2 - tenths("0.3") * cos(3 * pi * p[0] + 4 * pi * p[1]) + tenths("0.3")
    ),
    "chichinadze": chichinadze,
    "drop_wave": drop_wave,
    "easom": lambda p: -cos(p[0]) * cos(p[1]) * exp(-((p[0] - pi) ** 2 + (p[1] - pi) ** 2)),
    "egg_crate": lambda p: p[0] ** 2 + p[1] ** 2 + 25 * (sin(p[0]) ** 2 + sin(p[1]) ** 2),
    "eggholder": eggholder,
    "levy13": levy13,
    "price_2": lambda p: 1 + sin(p[0]) ** 2 + sin(p[1]) ** 2 - exp(-(p[0] ** 2) - p[1] ** 2) / 10,
    "schaffer_2": schaffer_2,
    "schaffer_6": schaffer_6,
    "shubert": shubert,
    "trefethen": trefethen,
    # wells
    "de_jong_5": de_jong_5,
    "gramacy_lee": lambda p: p[0] * exp(-(p[0] ** 2) - p[1] ** 2),
    "hartmann3": wells(HARTMANN3),
    "hartmann6": wells(HARTMANN6),
    "langermann": langermann,
    "lennard_jones": lennard_jones,
    "muller_brown": muller_brown,
    "shekel": shekel,
}
"""By name: every classical objective at its shipped arguments."""
