"""Axis values are correctly rounded, so that a key means the same on every processor."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiers import count_examples

from gdbench.config.spacing import count_up, space_linearly, space_logarithmically, space_powers_of_ten

REFEREE = Context(prec=80, Emin=-(10**6), Emax=10**6)
"""Eighty digits, computed point by point and without any table, of which fifty decide."""
ROUNDED = Context(prec=50, Emin=-(10**6), Emax=10**6)

ENDS = st.floats(1e-300, 1e300, allow_subnormal=False).map(repr).map(Decimal)
ANY = st.floats(-1e300, 1e300).map(repr).map(Decimal)


def log_values(low: Decimal, high: Decimal, count: int) -> list[float]:
    """The float64 nearest to each of the points between two ends in the logarithm, which are the ends themselves."""
    start, end = REFEREE.ln(low), REFEREE.ln(high)
    width = REFEREE.subtract(end, start)
    shares = (REFEREE.divide(REFEREE.multiply(width, Decimal(i)), Decimal(count - 1)) for i in range(1, count - 1))
    between = (float(ROUNDED.plus(REFEREE.exp(REFEREE.add(start, share)))) for share in shares)
    return [float(low), *between, float(high)]


@given(ENDS, ENDS, st.integers(2, 60))
@settings(max_examples=count_examples(25, 100), deadline=None)
def test_log_spaced_values_are_correctly_rounded(low: Decimal, high: Decimal, count: int) -> None:
    """Every value equals that of 50 digits, computed one by one, whatever the ends."""
    values = space_logarithmically(low, high, count)

    assert values.tolist() == log_values(low, high, count)


@given(ANY, ANY, st.integers(2, 60))
@settings(max_examples=count_examples(25, 100), deadline=None)
def test_linearly_spaced_values_are_correctly_rounded(low: Decimal, high: Decimal, count: int) -> None:
    """Every value is the float64 nearest to the exact fraction."""
    start, width = Fraction(low), Fraction(high) - Fraction(low)
    exact = [start + width * i / (count - 1) for i in range(count)]

    assert space_linearly(low, high, count).tolist() == [value.numerator / value.denominator for value in exact]


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.integers(0, 40), st.integers(1, 60))
@settings(max_examples=count_examples(25, 100), deadline=None)
def test_counted_values_are_correctly_rounded(low: int, step: int, places: int, count: int) -> None:
    """A range counts in decimals, as it is written: 0.1, 0.2, 0.3."""
    first, width = Decimal(low).scaleb(-places), Decimal(step).scaleb(-places)
    exact = [Fraction(low + i * step, 10**places) for i in range(count)]

    assert count_up(first, first + width * count, width).tolist() == [
        value.numerator / value.denominator for value in exact
    ]


@given(st.integers(-300, 299), st.integers(1, 300), st.integers(2, 40))
@settings(max_examples=count_examples(12, 50), deadline=None)
def test_powers_of_ten_are_correctly_rounded(low: int, decades: int, count: int) -> None:
    """The values between two powers of ten are those of an interval with these ends; whole decades are exact."""
    high = min(low + decades, 300)
    values = space_powers_of_ten(Decimal(low), Decimal(high), count)
    whole = space_powers_of_ten(Decimal(low), Decimal(high), high - low + 1)

    assert values.tolist() == space_logarithmically(Decimal(10) ** low, Decimal(10) ** high, count).tolist()
    assert whole.tolist() == [float(f"1e{power}") for power in range(low, high + 1)]


def test_values_do_not_depend_on_the_callers_decimal_context() -> None:
    """A caller that computes in three digits gets the same values."""
    with localcontext() as context:
        context.prec = 3
        few = space_logarithmically(Decimal("1e-4"), Decimal(10), 41)
        counted = count_up(Decimal("0.1"), Decimal(1), Decimal("0.1234567"))

    assert few.tolist() == space_logarithmically(Decimal("1e-4"), Decimal(10), 41).tolist()
    assert counted.tolist() == count_up(Decimal("0.1"), Decimal(1), Decimal("0.1234567")).tolist()


def test_values_at_the_rim_of_float64_are_correctly_rounded() -> None:
    """Subnormal numbers and those near the largest are right as well."""
    low, high = Decimal("4.9e-324"), Decimal("1.7976931348623157e308")

    assert space_logarithmically(low, high, 500).tolist() == log_values(low, high, 500)


@pytest.mark.slow
def test_ten_thousand_random_axes_are_correctly_rounded() -> None:
    """Of 10,000 log-spaced and linear axes of random ends and lengths every value is the correctly rounded one."""
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(5_000):
        low, high = (Decimal(repr(float(10.0 ** random.uniform(-12, 6)))) for _ in range(2))
        count = int(random.integers(2, 40))
        values = space_logarithmically(low, high, count).tolist()
        wrong += sum(value != right for value, right in zip(values, log_values(low, high, count), strict=True))
        start, width = Fraction(low), Fraction(high) - Fraction(low)
        exact = (start + width * i / (count - 1) for i in range(count))
        linear = zip(space_linearly(low, high, count), exact, strict=True)
        wrong += sum(value != fraction.numerator / fraction.denominator for value, fraction in linear)

    assert wrong == 0
