"""The result of an experiment, and the intervals in which its numbers must lie according to theory or a paper."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Truth:
    """A published number, as the interval in which the measured one must lie."""

    quantity: str
    low: float
    high: float
    source: str

    @classmethod
    def about(cls, quantity: str, value: float, tolerance: float, source: str) -> Truth:
        """Build the interval of a value plus or minus a tolerance; 0 demands equality."""
        return cls(quantity, value - tolerance, value + tolerance, source)

    def holds(self, found: float) -> bool:
        """Whether a measured number lies in the interval."""
        return self.low <= found <= self.high

    @property
    def interval(self) -> str:
        """The interval as text."""
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

    def format_number(self, found: float) -> str:
        """Format a measured number with one digit more than the tolerance; later ones differ between processors."""
        if math.isinf(self.high - self.low):
            return f"{found:.4g}"
        half = (self.high - self.low) / 2
        digits = max((1 if half < 0.1 * abs(self.low) else 0) - math.floor(math.log10(half) + 1e-9), 0) if half else 0
        return f"{round(found, digits) + 0.0:.12g}"


@dataclass(frozen=True)
class ExperimentResult:
    """The answer of an experiment: a sentence, the numbers that its truths name, and a table for its README."""

    sentence: str
    numbers: dict[str, float]
    table: pd.DataFrame | None = None
    """None: the table of all runs."""
