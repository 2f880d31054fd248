"""Correctly rounded values of linear, logarithmic and counted axes, the same bits on every processor.

A vectorised ``pow`` or ``exp`` may differ in its last bit between two processors, and with it the key of a run. Here
all values come from exact integers, or from ``decimal`` and IEEE sums and products alone.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

__all__ = ["EXACT", "count_up", "count_values", "space_linearly", "space_logarithmically", "space_powers_of_ten"]

Values = npt.NDArray[np.float64]

EXACT = Context(prec=70, Emin=-(10**6), Emax=10**6)
"""Enough digits for 60 after a thousand products; no context of the caller's is used."""
DECISIVE = Context(prec=50, Emin=-(10**6), Emax=10**6)
"""Nearer to a tie than this is a tie: 10^23 lies midway between two float64, and is met by ``interval(1,1e24)``."""
SPLITTER = 2.0**27 + 1
"""Veltkamp's constant: cuts a double into two halves whose products are exact."""
MARGIN = 2.0**-90
"""Relative error of a product of double-doubles, with room to spare: nearer to a tie than this, decimal decides."""
SMALLEST_NORMAL, LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max


def space_linearly(low: Decimal, high: Decimal, count: int) -> Values:
    """``count`` evenly spaced values: the float64 nearest to ``low + i (high - low) / (count - 1)`` for all i."""
    first, last, denominator = _as_integers(low, high)
    steps = count - 1
    width, whole = last - first, first * steps
    return np.array([(whole + i * width) / (denominator * steps) for i in range(count)], dtype=np.float64)


def count_up(low: Decimal, high: Decimal, step: Decimal) -> Values:
    """Values from low up to but without high: the float64 nearest to ``low + i step`` for all i."""
    first, _, width, denominator = _as_integers(low, high, step)
    numbers = range(count_values(low, high, step))
    return np.array([(first + i * width) / denominator for i in numbers], dtype=np.float64)


def count_values(low: Decimal, high: Decimal, step: Decimal) -> int:
    """How many values ``count_up`` gives; the step is not 0."""
    first, last, width, _ = _as_integers(low, high, step)
    return max(0, -((first - last) // width))


def space_logarithmically(low: Decimal, high: Decimal, count: int) -> Values:
    """``count`` values from low to high in equal ratios: the float64 nearest to ``low (high / low)^(i / (count - 1))``.

    Both ends are positive.
    """
    values = _exponentials(EXACT.ln(low), EXACT.ln(high), count)
    values[0], values[-1] = float(low), float(high)
    return values


def space_powers_of_ten(low: Decimal, high: Decimal, count: int) -> Values:
    """``count`` values from 10^low to 10^high in equal ratios, correctly rounded."""
    ten = EXACT.ln(Decimal(10))
    return _exponentials(EXACT.multiply(low, ten), EXACT.multiply(high, ten), count)


def _as_integers(*numbers: Decimal) -> tuple[int, ...]:
    """Decimals as integers over one denominator, which comes last; Python rounds quotients of integers correctly."""
    places = max(0, *(-int(number.as_tuple().exponent) for number in numbers))
    ratios = (number.as_integer_ratio() for number in numbers)
    return *(numerator * 10**places // denominator for numerator, denominator in ratios), 10**places


def _exponentials(low: Decimal, high: Decimal, count: int) -> Values:
    """The float64 nearest to ``exp(low + i (high - low) / (count - 1))`` for all i.

    With ``i = q block + r`` a value is ``head[q] offset[r]``: two tables of about ``sqrt(count)`` entries in decimal,
    multiplied as double-doubles, and decimal alone where the rounding is in doubt.
    """
    if count == 1:
        return np.array([float(EXACT.exp(low))])
    step = EXACT.divide(EXACT.subtract(high, low), Decimal(count - 1))
    block = math.isqrt(count - 1) + 1
    heads = _powers(EXACT.exp(low), EXACT.exp(EXACT.multiply(step, Decimal(block))), -(-count // block))
    offsets = _powers(Decimal(1), EXACT.exp(step), block)
    values, doubtful = _multiply(heads, offsets)
    for i in np.flatnonzero(doubtful[:count]):
        values[i] = float(DECISIVE.multiply(heads[i // block], offsets[i % block]))
    return values[:count]


def _powers(first: Decimal, ratio: Decimal, count: int) -> list[Decimal]:
    """``first ratio^i`` for i from 0 to count - 1."""
    powers = [first]
    while len(powers) < count:
        powers.append(EXACT.multiply(powers[-1], ratio))
    return powers


def _multiply(heads: list[Decimal], offsets: list[Decimal]) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Every product of a head and an offset, rounded to float64, and whether the rounding is in doubt."""
    high, low, exponents = _double_doubles(heads)
    other_high, other_low, other_exponents = _double_doubles(offsets)
    product, error = _two_product(high[:, None], other_high)
    rest = error + (high[:, None] * other_low + low[:, None] * other_high)
    nearest = product + rest
    left = (product - nearest) + rest  # exact, as |product| > |rest|: what the rounding has cut off
    # A tie is half the distance to the neighbour on the side of what is left, which is half as far below a power of 2.
    half = np.abs(np.nextafter(nearest, np.where(left > 0, np.inf, -np.inf)) - nearest) / 2
    doubtful = np.abs(half - np.abs(left)) <= MARGIN * np.abs(nearest)
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(nearest, exponents[:, None] + other_exponents)
    doubtful |= (values < 2 * SMALLEST_NORMAL) | (values > LARGEST / 2)  # a second rounding, or none at all
    return values.ravel(), doubtful.ravel()


def _double_doubles(numbers: list[Decimal]) -> tuple[Values, Values, npt.NDArray[np.int64]]:
    """``(high, low, exponent)`` with ``number = (high + low) 2^exponent`` to about 106 bits, high in (0.1, 20)."""
    parts = [_double_double(number) for number in numbers]
    high, low, exponents = zip(*parts, strict=True)
    return np.array(high), np.array(low), np.array(exponents, dtype=np.int64)


def _double_double(number: Decimal) -> tuple[float, float, int]:
    exponent = number.adjusted() * 3322 // 1000
    power = Decimal(1 << abs(exponent))
    scaled = EXACT.divide(number, power) if exponent >= 0 else EXACT.multiply(number, power)
    high = float(scaled)
    return high, float(EXACT.subtract(scaled, Decimal(high))), exponent


def _two_product(a: Values, b: Values) -> tuple[Values, Values]:
    """``(p, e)`` with ``p + e = a b`` exactly (Dekker 1971), as NumPy has no fused multiply-add to rely on."""
    product = a * b
    a_high, b_high = (SPLITTER * number - (SPLITTER * number - number) for number in (a, b))
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error
