"""Number of trials of a search, and of points in its first grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gdbench.errors import UsageError
from gdbench.sweeps.search_axes import Axis, Listed, Span

__all__ = ["choose_trials", "count_listed", "count_spans", "fewest_trials", "first_points"]

TRIALS = {0: 1, 1: 100, 2: 800, 3: 5500}
"""Default trials by the number of ranges; for more ranges ``TRIALS_MORE``."""
TRIALS_MORE = 70_000
PER_DECADE = {1: 8}
"""Points a decade of the first grid by the number of ranges; for more ranges ``PER_DECADE_MORE``."""
PER_DECADE_MORE = 4
EVEN = {1: 33}
"""Points of the first grid on a linear range by the number of ranges; for more ranges ``EVEN_MORE``."""
EVEN_MORE = 13
FIRST = 0.6
"""The fraction of all trials that the first grid may use, unless its points are given."""


RESOLVING_DECADES = 0.5
"""Decades between neighbours that still resolve a plateau, which is about that wide."""
FEWEST_POINTS = 5
"""The fewest values of any range that show anything."""


def choose_trials(axes: Sequence[Axis], given: int | None = None, points: int | None = None) -> int:
    """The given number of trials, else the default; ``UsageError`` where the first grid has more.

    Every combination of listed values gets as many as one search over the ranges alone.
    """
    spans, listed = count_spans(axes), count_listed(axes)
    first = (points or 2) ** spans * listed
    if given is None:
        return max(TRIALS.get(spans, TRIALS_MORE) * listed, round(first / FIRST) if points else 0)
    if given < first:
        grid = f"{points or 2} values of each range" + (", each listed value" if listed > 1 else "")
        raise UsageError(
            f"trials={given} is fewer than the {first} points of the first grid ({grid if spans else 'all listed'}):"
            f" give trials={first} or more."
        )
    return given


def fewest_trials(axes: Sequence[Axis], points: int | None = None) -> int:
    """The fewest trials with which the first grid shows a plateau: neighbours half a decade apart.

    With fewer, what lies between its points is unknown. The grid uses a fraction of all trials, unless ``points`` are
    given.
    """
    spans = [axis for axis in axes if isinstance(axis, Span)]
    if not spans:
        return 0
    first: int = max(map(telling_points, spans)) ** len(spans) * count_listed(axes)
    return first if points else math.ceil(first / FIRST)


def telling_points(axis: Span) -> int:
    """The fewest values of a range that resolve what lies between them."""
    low, high = axis.ends()
    return max(FEWEST_POINTS, math.ceil((high - low) / RESOLVING_DECADES) + 1) if axis.log else FEWEST_POINTS


def first_points(axis: Span, axes: Sequence[Axis], trials: int) -> int:
    """The default number of values of one range in the first grid over all axes."""
    spans = count_spans(axes)
    low, high = axis.ends()
    per_decade = PER_DECADE.get(spans, PER_DECADE_MORE)
    count = max(9, round(per_decade * (high - low)) + 1) if axis.log else EVEN.get(spans, EVEN_MORE)
    return max(2, min(count, nth_root(FIRST * trials / count_listed(axes), spans)))


def nth_root(number: float, n: int) -> int:
    """The largest integer whose n-th power is at most a number; 0 below 1."""
    root = int(max(0.0, number) ** (1 / n))
    return root + 1 if (root + 1) ** n <= number else root


def count_spans(axes: Sequence[Axis]) -> int:
    """The number of ranges."""
    return sum(isinstance(axis, Span) for axis in axes)


def count_listed(axes: Sequence[Axis]) -> int:
    """The number of combinations of listed values."""
    return math.prod(len(axis.values) for axis in axes if isinstance(axis, Listed))
