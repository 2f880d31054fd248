"""Numbers as a person reads them: few digits and a unit, and an interval with the digits of its value."""

from __future__ import annotations

import math
import re

__all__ = [
    "NEVER",
    "format_digits",
    "format_interval",
    "format_interval_parts",
    "format_number",
    "format_range_text",
    "format_seconds",
    "format_seconds_range",
]

SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NEVER = "never"
"""What stands for an infinite cost."""
FIXED = (1e-3, 1e6)
"""Sizes that are written without an exponent, from and below."""


def format_seconds(value: float | None) -> str:
    """38.2 µs, 1.18 ms, 2.50 s; nothing for a missing value."""
    if value is None or math.isnan(value):
        return ""
    value = _round_to_digits(value, 3)  # first, so that 999.9 µs is 1.00 ms
    scale, unit = _time_unit(value)
    return f"{format_digits(value / scale)} {unit}"


def format_seconds_range(value: float, low: float, high: float) -> str:
    """1.18 [1.02, 1.31] ms: a median time with its lowest and highest, in the unit of the median."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else NEVER
    scale, unit = _time_unit(_round_to_digits(value, 3))
    texts = format_interval_parts(value / scale, low / scale, high / scale)
    return f"{format_range_text(*texts)} {unit}".replace("∞", NEVER)


def _time_unit(value: float) -> tuple[float, str]:
    return next((scale for scale in SCALES if abs(value) >= scale[0]), SCALES[-1])


def format_digits(value: float, count: int = 3) -> str:
    """A number of moderate size with so many significant digits, trailing zeros kept."""
    if value == 0:
        return "0"
    return f"{value:.{_count_decimals(value, count)}f}"


def _count_decimals(value: float, count: int) -> int:
    """How many decimals show so many significant digits."""
    return max(0, count - 1 - math.floor(math.log10(abs(_round_to_digits(value, count))))) if value else 0


def _round_to_digits(value: float, count: int) -> float:
    return float(f"{value:.{count - 1}e}")


def format_number(value: float | None) -> str:
    """0.1, 3e-5, 1.4e-14: four digits at most; nothing for a missing value."""
    return _plain_exponent(f"{value:.4g}") if value is not None and not math.isnan(value) else ""


def _plain_exponent(text: str) -> str:
    return re.sub(r"e([+-])0", r"e\1", text).replace("e+", "e")


# --------------------------------------------------------------------------------------------------------- intervals


def format_interval(
    value: float, low: float, high: float, unit: str = "", decimals: int | None = None, sign: str = ""
) -> str:
    """168 ± 77, or 1.83 [1.76, 2.10] where the ends are not equally far; nothing for a missing value.

    All of its numbers have the same decimals: those of three digits of the value, and one more where the interval is
    narrower than that, unless ``decimals`` says how many. ``sign="+"`` writes the sign of the value.
    """
    if math.isnan(value):
        return ""
    texts = format_interval_parts(value, low, high, decimals)
    signed = f"{sign if value >= 0 else ''}{texts[0]}{unit}"
    half = _half_width_text(*texts) if math.isfinite(low) and math.isfinite(high) else None
    return format_range_text(signed, *texts[1:]) if half is None else f"{signed} ± {half}{unit}"


def format_interval_parts(value: float, low: float, high: float, decimals: int | None = None) -> tuple[str, str, str]:
    """The texts of a value and of the ends of its interval, with the same number of decimals (or digits before an e).

    What is missing is an empty text.
    """
    ends = [end for end in (low, high) if math.isfinite(end)]
    size = max((abs(number) for number in (value, *ends) if math.isfinite(number)), default=0.0)
    scientific = decimals is None and size != 0 and not FIXED[0] <= size < FIXED[1]
    wanted = 2 if scientific else _interval_decimals(value, ends) if decimals is None else decimals
    kind = "e" if scientific else "f"
    first, second, third = (_format_fixed(number, wanted, kind) for number in (value, low, high))
    return first, second, third


def format_range_text(value: str, low: str, high: str) -> str:
    """33 [31, 40]: a value between its ends, all of them as texts; the value alone where the ends say no more."""
    ends = [end for end in (low, high) if end]
    return value if not ends or set(ends) == {value} else f"{value} [{low}, {high}]"


def _format_fixed(value: float, decimals: int, kind: str) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return "" if math.isnan(value) else _plain_exponent(f"{value + 0.0:.{decimals}{kind}}")


def _interval_decimals(value: float, ends: list[float]) -> int:
    """Three digits of the value; a fourth for a narrow interval, and a digit less for a wide one."""
    width = max((abs(end - value) for end in ends), default=0.0)
    if not math.isfinite(value) or not width:
        return _count_decimals(value if math.isfinite(value) else min(ends, default=0.0), 3)
    needed = (
        min(max(_count_decimals(value, 3), _count_decimals(width, 1)), _count_decimals(width, 2))
        if value
        else _count_decimals(width, 2)
    )
    return max(_count_decimals(value, 2), min(needed, _count_decimals(value, 4))) if value else needed


def _half_width_text(value: str, low: str, high: str) -> str | None:
    """Half of an interval that is as wide to both sides, with the decimals of its texts; None where it is not."""
    if "e" in f"{value}{low}{high}" or not low or not high:
        return None
    decimals = len(value.partition(".")[2])
    below, above = (round(float(end) - float(start), decimals) for start, end in ((low, value), (value, high)))
    return f"{below:.{decimals}f}" if below == above > 0 else None
