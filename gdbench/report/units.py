"""Numbers as a person reads them: three digits and a unit."""

from __future__ import annotations

import math
import re

__all__ = ["number", "seconds"]

SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(value: float | None) -> str:
    """38.2 µs, 1.18 ms, 2.50 s; nothing for a missing value."""
    if value is None or math.isnan(value):
        return ""
    value = _rounded(value, 3)  # first, so that 999.9 µs is 1.00 ms
    scale, unit = next((each for each in SCALES if abs(value) >= each[0]), SCALES[-1])
    return f"{digits(value / scale)} {unit}"


def digits(value: float, count: int = 3) -> str:
    """A number of moderate size with so many significant digits, trailing zeros kept."""
    if value == 0:
        return "0"
    decimals = max(0, count - 1 - math.floor(math.log10(abs(_rounded(value, count)))))
    return f"{value:.{decimals}f}"


def _rounded(value: float, count: int) -> float:
    return float(f"{value:.{count - 1}e}")


def number(value: float | None) -> str:
    """0.1, 3e-5, 1.4e-14: four digits at most; nothing for a missing value."""
    return (
        re.sub(r"e([+-])0", r"e\1", f"{value:.4g}").replace("e+", "e")
        if value is not None and not math.isnan(value)
        else ""
    )
