"""Format numbers for people: few digits, a unit, and intervals with the decimals of their value."""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = [
    *("NEVER", "format_digits", "format_gap", "format_interval", "format_interval_parts", "format_number"),
    *("format_range_text", "format_seconds", "format_seconds_range", "format_value"),
]

SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NEVER = "never"
"""Text of an infinite cost."""
FIXED = (1e-3, 1e6)
"""Numbers from the first and below the second are written without an exponent."""


def format_seconds(value: float | None) -> str:
    """A duration with three digits and a unit: 38.2 µs, 1.18 ms, 2.50 s; empty for a missing value."""
    if value is None or math.isnan(value):
        return ""
    value = _round_to_digits(value, 3)  # first, so that 999.9 µs is 1.00 ms
    scale, unit = _time_unit(value)
    return f"{format_digits(value / scale)} {unit}"


def format_seconds_range(value: float, low: float, high: float) -> str:
    """A median duration between its extremes, in the unit of the median: 1.18 [1.02, 1.31] ms."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else NEVER
    scale, unit = _time_unit(_round_to_digits(value, 3))
    texts = format_interval_parts(value / scale, low / scale, high / scale)
    return f"{format_range_text(*texts)} {unit}".replace("∞", NEVER)


def _time_unit(value: float) -> tuple[float, str]:
    return next((scale for scale in SCALES if abs(value) >= scale[0]), SCALES[-1])


def format_digits(value: float, count: int = 3) -> str:
    """A number without exponent and with ``count`` significant digits, trailing zeros included."""
    return f"{value:.{_count_decimals(value, count)}f}" if value else "0"


def _count_decimals(value: float, count: int) -> int:
    """Decimals that show ``count`` significant digits."""
    return max(0, count - 1 - math.floor(math.log10(abs(_round_to_digits(value, count))))) if value else 0


def _round_to_digits(value: float, count: int) -> float:
    return float(f"{value:.{count - 1}e}")


def format_number(value: float | None) -> str:
    """A number with at most four digits: 0.1, 3e-5, 1.4e-14; empty for a missing value."""
    return _plain_exponent(f"{value:.4g}") if value is not None and not math.isnan(value) else ""


def format_value(value: Any, missing: str = "") -> str:
    """A setting or a result as text: floats by ``format_number``, None and NaN as ``missing``."""
    if isinstance(value, float):
        return missing if math.isnan(value) else format_number(value)
    return missing if value is None or type(value).__name__ in ("NAType", "NaTType") else str(value)


def format_gap(gap: float, floor: float = 0.0) -> str:
    """A relative gap with two digits: 1.3e-03; ``< floor`` if it is below what the dtype resolves."""
    if math.isinf(gap):
        return "∞"
    return f"< {floor:.1e}" if abs(gap) < floor else f"{gap:.1e}"


def _plain_exponent(text: str) -> str:
    return re.sub(r"e([+-])0", r"e\1", text).replace("e+", "e") if "e" in text else text


# --------------------------------------------------------------------------------------------------------- intervals


def format_interval(
    value: float, low: float, high: float, unit: str = "", decimals: int | None = None, sign: str = ""
) -> str:
    """168 ± 77 if symmetric, else 1.83 [1.76, 2.10]; empty for a missing value.

    All numbers have the same decimals: ``decimals``, or those of three digits of the value (four in a narrow interval).
    ``sign="+"`` writes the sign of the value.
    """
    if math.isnan(value):
        return ""
    texts = format_interval_parts(value, low, high, decimals)
    signed = f"{sign if value >= 0 else ''}{texts[0]}{unit}"
    half = _half_width_text(*texts) if math.isfinite(low) and math.isfinite(high) else None
    return format_range_text(signed, *texts[1:]) if half is None else f"{signed} ± {half}{unit}"


def format_interval_parts(value: float, low: float, high: float, decimals: int | None = None) -> tuple[str, str, str]:
    """Texts of a value and of the ends of its interval, with equal decimals (or digits before an exponent).

    A missing number is an empty text.
    """
    ends = [end for end in (low, high) if math.isfinite(end)]
    size = max((abs(number) for number in (value, *ends) if math.isfinite(number)), default=0.0)
    scientific = decimals is None and size != 0 and not FIXED[0] <= size < FIXED[1]
    count = 2 if scientific else _interval_decimals(value, ends) if decimals is None else decimals
    first, second, third = (_format_fixed(number, count, "e" if scientific else "f") for number in (value, low, high))
    return first, second, third


def format_range_text(value: str, low: str, high: str) -> str:
    """33 [31, 40] of three texts; the value alone if the ends are empty or equal to it."""
    ends = [end for end in (low, high) if end]
    return value if not ends or set(ends) == {value} else f"{value} [{low}, {high}]"


def _format_fixed(value: float, decimals: int, kind: str) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return "" if math.isnan(value) else _plain_exponent(f"{value + 0.0:.{decimals}{kind}}")


def _interval_decimals(value: float, ends: list[float]) -> int:
    """Decimals of three digits of the value: one more for a narrow interval, one fewer for a wide one."""
    width = max((abs(end - value) for end in ends), default=0.0)
    if not math.isfinite(value) or not width:
        return _count_decimals(value if math.isfinite(value) else min(ends, default=0.0), 3)
    needed = _count_decimals(width, 2)
    if not value:
        return needed
    needed = min(max(_count_decimals(value, 3), _count_decimals(width, 1)), needed)
    return max(_count_decimals(value, 2), min(needed, _count_decimals(value, 4)))


def _half_width_text(value: str, low: str, high: str) -> str | None:
    """Half the width of a symmetric interval, with the decimals of its texts; None if it is not symmetric."""
    if "e" in f"{value}{low}{high}" or not low or not high:
        return None
    decimals = len(value.partition(".")[2])
    below, above = (round(float(end) - float(start), decimals) for start, end in ((low, value), (value, high)))
    return f"{below:.{decimals}f}" if below == above > 0 else None
