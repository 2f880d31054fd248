"""What an experiment finds, and what theory or a paper says that it must find."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Truth:
    """A published number, as the interval in which the one found must lie."""

    quantity: str
    low: float
    high: float
    source: str

    @classmethod
    def about(cls, quantity: str, value: float, tolerance: float, source: str) -> Truth:
        """The value, to within a tolerance on either side; 0 asks for equality."""
        return cls(quantity, value - tolerance, value + tolerance, source)

    def holds(self, found: float) -> bool:
        """Whether a number found agrees."""
        return self.low <= found <= self.high

    @property
    def words(self) -> str:
        """The interval, for people."""
        if math.isinf(self.low):
            return f"at most {self.high:.6g}"
        if math.isinf(self.high):
            return f"at least {self.low:.6g}"
        if self.low == self.high:
            return f"{self.low:.10g}"
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        if middle and half > 0.01 * abs(middle):
            return f"{self.low:.6g} to {self.high:.6g}"
        return f"{middle:.{9 if half > 1e-10 else 12}g} ± {half:.1g}"

    def shown(self, found: float) -> str:
        """A number found, with one digit more than the tolerance can tell, for later ones differ between processors."""
        if math.isinf(self.high - self.low):
            return f"{found:.4g}"
        half = (self.high - self.low) / 2
        digits = max((1 if half < 0.1 * abs(self.low) else 0) - math.floor(math.log10(half) + 1e-9), 0) if half else 0
        return f"{round(found, digits) + 0.0:.12g}"


@dataclass(frozen=True)
class Finding:
    """The answer of an experiment: a sentence, the numbers that its truths name, and a table for its page."""

    sentence: str
    numbers: dict[str, float]
    table: pd.DataFrame | None = None
    """None: the table of all runs."""
