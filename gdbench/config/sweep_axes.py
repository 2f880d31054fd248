"""Count and list the values of swept overrides."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from decimal import Decimal

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from gdbench.config import spacing
from gdbench.config.schema import SWEEP_SETTINGS
from gdbench.errors import UsageError

__all__ = ["check_count", "check_once", "count_values", "list_values"]

MAX_CELLS = 100_000


def check_once(overrides: Mapping[str, Override]) -> None:
    """``UsageError`` where a setting that all cells share is swept."""
    for key, override in overrides.items():
        if key in SWEEP_SETTINGS and override.is_sweep_override():
            raise UsageError(f"{override.input_line}: a sweep has one {key}, for all of its cells; give one value.")


def check_count(counts: Mapping[str, int]) -> None:
    """``UsageError`` where axes make more than ``MAX_CELLS`` cells, before any is enumerated."""
    cells = math.prod(counts.values())
    if cells > MAX_CELLS:
        axes = ", ".join(f"{count} of {key}" for key, count in counts.items() if count > 1)
        raise UsageError(
            f"this is a sweep of {cells} cells ({axes}), and one holds at most {MAX_CELLS}: give fewer values, or a"
            " larger step to range(START,STOP,STEP)."
        )


def count_values(override: Override) -> int:
    """The number of values of a sweep, without listing them; an interval counts as one."""
    values = override.value()
    if isinstance(values, IntervalSweep):
        return 1
    if not isinstance(values, RangeSweep):
        return len(list(override.sweep_iterator()))
    try:
        return spacing.count_values(*_to_decimals(values))
    except (ArithmeticError, ValueError):
        raise UsageError(
            f"{override.input_line} counts to no end: write range(START,STOP,STEP) in finite numbers, and a STEP that"
            " is not 0."
        ) from None


def _to_decimals(values: RangeSweep) -> list[Decimal]:
    """Start, stop and step of a range as they were written."""
    return [Decimal(str(number or 0)) for number in (values.start, values.stop, values.step)]


def list_values(override: Override) -> list[str]:
    """The values of a sweep, in the grammar of overrides.

    A range is counted in decimals, as an axis is: Hydra counts in floats, and would include 2.8e-30 as the end 0.
    """
    values = override.value()
    if not isinstance(values, RangeSweep):
        return list(override.sweep_string_iterator())
    count_values(override)  # refuses an endless range
    counted = spacing.count_up(*_to_decimals(values)).tolist()
    if values.shuffle:
        random.shuffle(counted)
    whole = all(isinstance(number, int) for number in (values.start, values.stop, values.step))
    return [str(int(number) if whole else number) for number in counted]
