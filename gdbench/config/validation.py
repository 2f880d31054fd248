"""Check single values, with a one-line error each."""

from __future__ import annotations

import math
import re
from typing import Any

from gdbench.config.overrides import format_value
from gdbench.errors import UsageError, did_you_mean
from gdbench.results.run_ids import is_number

__all__ = ["MAX_LANES", "MAX_STEPS", "NUMBER", "check_choice", "check_number", "check_whole", "format_for_message"]


MAX_STEPS = 10**9
MAX_LANES = 10**7

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


def check_choice(name: str, given: Any, known: tuple[str, ...]) -> str:
    """The value, if it is one of those known; else ``UsageError``."""
    if str(given) not in known:
        raise UsageError(
            f"{name}={format_for_message(given)} is not known.{did_you_mean(str(given), known)}"
            f" Allowed: {', '.join(known)}."
        )
    return str(given)


def format_for_message(value: Any) -> str:
    """A value as a user writes it in a command; text that looks like a number is in quotes."""
    if isinstance(value, str):
        return f"'{value}'" if re.fullmatch(NUMBER, value.strip()) else value
    return format_value(value)


def check_number(name: str, given: Any, low: float = -math.inf, below: float = math.inf) -> float:
    """The value as a number from ``low`` up to but excluding ``below``; else ``UsageError``."""
    bounds = (
        "a number"
        if low == -math.inf
        else f"a number from {low:g}" + ("" if below == math.inf else f" to below {below:g}")
    )
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(given, bool) or not low <= number < below or math.isinf(number):
        raise UsageError(f"{name}={format_for_message(given)} must be {bounds}.")
    return number


def check_whole(name: str, given: Any, low: int, high: int) -> int:
    """The value as a whole number from ``low`` to ``high``; else ``UsageError``."""
    text = isinstance(given, str) and re.fullmatch(NUMBER, given.strip())  # "100" in a file, as lr takes it too
    number = float(given) if text else given if is_number(given) else math.nan
    if not low <= number <= high or number != int(number):
        came = f"{given:g}" if isinstance(given, float) else format_for_message(given)
        raise UsageError(f"{name}={came} must be a whole number from {low} to {high}.")
    return int(number)
