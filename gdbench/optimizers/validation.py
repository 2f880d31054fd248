"""Check of the numbers that schedules, clipping and noise are given, with a one-line error."""

from __future__ import annotations

import math
from typing import Any

from gdbench.errors import UsageError

__all__ = ["check_nonnegative"]


def check_nonnegative(key: str, given: Any, above: bool = False, what: str = "a number") -> float:
    """Return a number as a float; UsageError unless it is finite and at least 0 (with ``above``, greater)."""
    good = isinstance(given, int | float) and not isinstance(given, bool) and given < math.inf
    if good and (given > 0 or (given == 0 and not above)):
        return float(given)
    raise UsageError(f"{key}={given}: it must be {what} {'above 0' if above else 'from 0 upward'}.")
