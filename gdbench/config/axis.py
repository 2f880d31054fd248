"""Parse the axes of a cell: learning rates, seeds and hyper-parameters; the runs are their product."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.spacing import count_up, count_values, space_linearly, space_logarithmically
from gdbench.config.validation import MAX_LANES, NUMBER, check_whole, format_for_message
from gdbench.errors import UsageError
from gdbench.results.run_ids import is_number

__all__ = ["LIMITS", "LR_FORMS", "LR_SCALE_FORMS", "SEED_FORMS", "Axis"]


LR_FORMS = "a positive number, a list such as [0.01,0.1], tag(log,interval(1e-4,1)), or null for the method's own"
LR_SCALE_FORMS = "a positive number, a list such as [0.01,0.1], or tag(log,interval(1e-4,1))"
SEED_FORMS = "a whole number from 0, or a list such as [0,1,2]"

LIMITS: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(("beta1", "beta2", "alpha", "rho", "shrink"), (0.0, 1.0, "a number from 0 to below 1")),
    **dict.fromkeys(("momentum", "weight_decay", "eps", "lr_decay"), (0.0, math.inf, "a number from 0 upward")),
    **dict.fromkeys(("smoothness", "strong_convexity"), (math.ulp(0.0), math.inf, "a number above 0")),
    "minimum": (-math.inf, math.inf, "a finite number"),
}
"""Ranges of hyper-parameters with the same meaning in every method: lowest value, first value above, in words."""
LARGEST = sys.float_info.max
_INTERVAL = re.compile(rf"^interval\(({NUMBER}),({NUMBER})\)$")
_RANGE = re.compile(rf"^range\(({NUMBER}),({NUMBER})(?:,({NUMBER}))?\)$")


@dataclass(frozen=True)
class Axis:
    """The values of one hyper-parameter: a scalar, a list, or a specification that is recorded unexpanded.

    ``interval(a,b)`` is ``points`` evenly spaced values from a to b, ``tag(log,interval(a,b))`` the same in log space,
    ``range(a,b,step)`` counts from a up to but without b, as Hydra does.
    """

    name: str
    given: Any
    points: int = 100
    values: npt.NDArray[np.float64] = field(init=False, repr=False, compare=False)
    """The values, float64; ``lr=null`` is one NaN, which stands for the method's default."""

    def __post_init__(self) -> None:
        """Expand the values once; ``UsageError`` for an unknown form or a value outside its range."""
        object.__setattr__(self, "points", check_whole("points", self.points, 2, MAX_LANES))
        object.__setattr__(self, "values", self._check_values())

    def _check_values(self) -> npt.NDArray[np.float64]:
        if self.given is None and self.name == "lr":
            return np.array([np.nan])
        values = self._expand(self.given)
        bad = values[~self._find_allowed(values)]
        if len(bad) or not len(values):
            raise self._make_error(f"{bad[0]:g}" if len(bad) else format_for_message(self.given))
        return values

    def _expand(self, given: Any) -> npt.NDArray[np.float64]:
        if isinstance(given, (list, tuple, np.ndarray)):
            if all(map(is_number, given)):  # a million of them are one array, not a million
                return _to_float64(given)
            return np.concatenate([self._expand(item) for item in given]) if len(given) else np.empty(0)
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return _to_float64([given])
        text = re.sub(r"\s", "", str(given))
        if re.fullmatch(NUMBER, text):
            return np.array([float(text)])
        log = re.fullmatch(r"tag\(log,(.*)\)", text)
        if match := _INTERVAL.match(log.group(1) if log else text):
            low, high = Decimal(match.group(1)), Decimal(match.group(2))
            if not math.isfinite(float(high) - float(low)) or (log and (float(low) <= 0 or float(high) <= 0)):
                raise self._make_error(text)
            return _space(bool(log), low, high, self.points)
        if match := _RANGE.match(text):
            low, high, step = (Decimal(number or 1) for number in match.groups())
            if any(abs(number.adjusted()) > 330 for number in (low, high, step)) or step == 0:
                raise self._make_error(text)
            if (count := count_values(low, high, step)) > MAX_LANES:
                raise UsageError(
                    f"{self.name}={text} must be at most {MAX_LANES} values, not {count} values: give"
                    " range(START,STOP,STEP) a larger step."
                )
            return count_up(low, high, step)
        raise self._make_error(text if isinstance(given, str) else format_for_message(given))

    def _find_allowed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        low, high, _ = LIMITS.get(self.name.removeprefix("optimizer."), (-math.inf, math.inf, ""))
        allowed = np.isfinite(values) & (values >= low) & (values < high)
        if self.name in ("lr", "lr_scale"):
            allowed &= values > 0
        if self.name == "seed":
            allowed &= (values >= 0) & (values < 2**53) & (values == np.floor(values))
        return allowed

    def _make_error(self, came: str) -> UsageError:
        kind = self.name.removeprefix("optimizer.")
        forms = {"lr": LR_FORMS, "lr_scale": LR_SCALE_FORMS, "seed": SEED_FORMS}.get(kind)
        forms = forms or (f"{LIMITS[kind][2]}, or a list" if kind in LIMITS else "a finite number, or a list of them")
        return UsageError(f"{self.name}={came} must be {forms}.")


def _to_float64(numbers: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers as an array; an integer beyond float64 is infinite."""
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        return np.array([number if abs(number) <= LARGEST else math.copysign(math.inf, number) for number in numbers])


@lru_cache(maxsize=16)
def _space(log: bool, low: Decimal, high: Decimal, count: int) -> npt.NDArray[np.float64]:
    """Evenly spaced values, shared by the cells of a sweep: a million take 0.1 s."""
    values: npt.NDArray[np.float64] = (space_logarithmically if log else space_linearly)(low, high, count)
    values.setflags(write=False)
    return values
