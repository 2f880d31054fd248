"""The axes along which the runs of a cell multiply: learning rates, seeds and other numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.spacing import count_up, count_values, space_linearly, space_logarithmically
from gdbench.config.validation import MAX_LANES, NUMBER, check_whole, written
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
"""Hyper-parameters with the same meaning in every method: lowest value, first value above, in words."""
_INTERVAL = re.compile(rf"^interval\(({NUMBER}),({NUMBER})\)$")
_RANGE = re.compile(rf"^range\(({NUMBER}),({NUMBER})(?:,({NUMBER}))?\)$")


@dataclass(frozen=True)
class Axis:
    """The values of one number: a scalar, a list, or a specification that travels unexpanded.

    ``interval(a,b)`` is ``points`` evenly spaced values from a to b, ``tag(log,interval(a,b))`` the same in log space,
    ``range(a,b,step)`` counts from a up to but without b, as Hydra does.
    """

    name: str
    given: Any
    points: int = 100

    @classmethod
    def parse(cls, name: str, given: Any, points: Any = 100) -> Axis:
        """Check a value of any form; ``UsageError`` in one line if it is none of them."""
        axis = cls(name, given, check_whole("points", points, 2, MAX_LANES))
        axis.values()
        return axis

    @property
    def scalar(self) -> bool:
        """Whether this is one plain number, and so no lane axis."""
        return not isinstance(self.given, (list, tuple, np.ndarray)) and len(self.values()) == 1

    def values(self) -> npt.NDArray[np.float64]:
        """The values, float64; ``lr=null`` is one NaN, which stands for the method's default."""
        if self.given is None and self.name == "lr":
            return np.array([np.nan])
        values = self._expand(self.given)
        bad = values[~self._allowed(values)]
        if len(bad) or not len(values):
            raise self._error(f"{bad[0]:g}" if len(bad) else written(self.given))
        return values

    def _expand(self, given: Any) -> npt.NDArray[np.float64]:
        if isinstance(given, (list, tuple, np.ndarray)):
            if all(map(is_number, given)):  # a million of them are one array, not a million
                return np.array(given, dtype=np.float64)
            return np.concatenate([self._expand(each) for each in given]) if len(given) else np.empty(0)
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return np.array([float(given)])
        text = re.sub(r"\s", "", str(given))
        if re.fullmatch(NUMBER, text):
            return np.array([float(text)])
        log = re.fullmatch(r"tag\(log,(.*)\)", text)
        if match := _INTERVAL.match(log.group(1) if log else text):
            low, high = Decimal(match.group(1)), Decimal(match.group(2))
            if not math.isfinite(float(high) - float(low)) or (log and (float(low) <= 0 or float(high) <= 0)):
                raise self._error(text)
            return (space_logarithmically if log else space_linearly)(low, high, self.points)
        if match := _RANGE.match(text):
            low, high, step = (Decimal(number or 1) for number in match.groups())
            if any(abs(number.adjusted()) > 330 for number in (low, high, step)) or step == 0:
                raise self._error(text)
            if (count := count_values(low, high, step)) > MAX_LANES:
                raise UsageError(
                    f"{self.name}={text} must be at most {MAX_LANES} values, not {count} values: give"
                    " range(START,STOP,STEP) a larger step."
                )
            return count_up(low, high, step)
        raise self._error(text if isinstance(given, str) else written(given))

    def _allowed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        low, high, _ = LIMITS.get(self.name.removeprefix("optimizer."), (-math.inf, math.inf, ""))
        allowed = np.isfinite(values) & (values >= low) & (values < high)
        if self.name in ("lr", "lr_scale"):
            allowed &= values > 0
        if self.name == "seed":
            allowed &= (values >= 0) & (values < 2**53) & (values == np.floor(values))
        return allowed

    def _error(self, came: str) -> UsageError:
        kind = self.name.removeprefix("optimizer.")
        forms = {"lr": LR_FORMS, "lr_scale": LR_SCALE_FORMS, "seed": SEED_FORMS}.get(kind)
        forms = forms or (f"{LIMITS[kind][2]}, or a list" if kind in LIMITS else "a finite number, or a list of them")
        return UsageError(f"{self.name}={came} must be {forms}.")
