"""A target on metrics, as ``held_out.accuracy>=0.95``: all of its conditions are to hold at one judged step."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gdbench.errors import UsageError

__all__ = ["TargetMetric"]

CONDITION = re.compile(r"\s*([\w.]+)\s*(>=|<=)\s*(\S+)\s*")


@dataclass(frozen=True)
class TargetMetric:
    """Conditions ``(metric, comparison, number)`` that are all to hold."""

    conditions: tuple[tuple[str, str, float], ...]

    def __str__(self) -> str:
        """The conditions as they are written, equal however they were given."""
        return " & ".join(
            f"{name}{comparison}{repr(number).removesuffix('.0')}" for name, comparison, number in self.conditions
        )

    @classmethod
    def parse(cls, text: str) -> TargetMetric:
        """The conditions of ``held_out.accuracy>=0.95 & held_out.loss<=0.2``. Raises UsageError for another form."""
        conditions = []
        for part in str(text).split("&"):
            match = CONDITION.fullmatch(part)
            try:
                if match is None or not math.isfinite(float(match[3])):
                    raise ValueError
                conditions.append((match[1], match[2], float(match[3])))
            except ValueError:
                raise UsageError(
                    f"target_metric={text!r} is not a condition: write METRIC>=NUMBER or METRIC<=NUMBER, several joined"
                    " by &, such as target_metric='held_out.accuracy>=0.95'."
                ) from None
        return cls(tuple(conditions))
