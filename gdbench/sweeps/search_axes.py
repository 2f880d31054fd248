"""Axes of a search (ranges that are searched, lists of which every value is tried), and the grids over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "Grid", "Listed", "Point", "Score", "Span", "differ_in", "round_digits"]

Array = npt.NDArray[np.float64]

DIGITS = 4
"""Significant digits of searched values, so that the number shown is the number that ran."""
WIDER = 2.0
"""Decades by which a default range is extended while the best value lies on its boundary."""


@dataclass(frozen=True)
class Span:
    """A range from ``low`` to ``high``, searched evenly, in its logarithm where ``log`` is set."""

    name: str
    low: float
    high: float
    log: bool = False
    reach: tuple[float, float] | None = None
    """The limits to which the range may grow; None: it is the user's, and fixed."""

    def position(self, values: Array) -> Array:
        """The positions of values on the axis, on which a grid is evenly spaced."""
        return np.log10(values) if self.log else values / (self.high - self.low or 1.0)

    def value(self, positions: Iterable[float]) -> Array:
        """The values at positions, clipped to the range and rounded to ``DIGITS``."""
        given = np.asarray(positions, dtype=np.float64)
        values = 10.0**given if self.log else given * (self.high - self.low or 1.0)
        return np.unique(np.clip([round_digits(value) for value in values], self.low, self.high))

    def ends(self) -> tuple[float, float]:
        """The positions of both ends."""
        low, high = self.position(np.array([self.low, self.high]))
        return float(low), float(high)

    def grow(self, way: str) -> Span:
        """The axis extended towards ``smaller`` or ``larger`` values within ``reach``; itself where it is fixed."""
        if self.reach is None:
            return self
        if way == "smaller":
            return replace(self, low=round_digits(max(self.reach[0], self.low / 10**WIDER)))
        return replace(self, high=round_digits(min(self.reach[1], self.high * 10**WIDER)))


@dataclass(frozen=True)
class Listed:
    """Values that the user listed: all are tried in every round."""

    name: str
    values: tuple[float, ...]


Axis = Span | Listed


def round_digits(value: float) -> float:
    """A number with ``DIGITS`` significant digits."""
    return float(f"{value:.{DIGITS - 1}e}")


# -------------------------------------------------------------------------------------------------- points and grids

Point = tuple[float, ...]
Grid = list[Array]
"""The values of each axis; the points are their product, the last axis varying fastest."""
Score = Callable[[Grid], Array]
"""The scores of all points of a grid, in their order; lower is better, inf is no candidate."""


def differ_in(point: Point, other: Point, index: int) -> bool:
    """Whether two points differ at most in one axis."""
    return point[:index] == other[:index] and point[index + 1 :] == other[index + 1 :]
