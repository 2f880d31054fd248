"""Selection among scored points: the lowest score on a good plateau, in preference to a lower isolated one.

Independent of what is scored. A line is the list of points that differ in one coordinate only, as sorted pairs of that
coordinate and the score; a point's plateau is the longest stretch of its line around it with scores within a bound.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = [
    *("GOOD_COUNT", "GOOD_DECADES", "PointSelection", "CostClass", "Line"),
    *("compute_near_bound", "select_points", "group_lines", "measure_plateau", "classify_no_cost"),
]

Point = tuple[float, ...]
Line = list[tuple[float, float]]
CostClass = Callable[[float], tuple[float, float] | None]
"""Maps a score to the first and last score of its class, in which score - first is a cost; None if it is no cost."""

NEAR_FACTOR = 2.0
"""Costs up to this factor times another are near it."""
GOOD_COUNT = 3
"""Minimum number of adjacent tried values on a good plateau."""
GOOD_DECADES = 0.1
"""Minimum width of a good plateau in decades: a value that is off by 12% is still on it."""


class PointSelection(NamedTuple):
    """Result of ``select_points``."""

    points: list[Point]
    """Points that share the chosen score, each on a good plateau if there is any."""
    score: float
    decades: dict[Point, float]
    """Width in decades of the plateau of each; empty where none is good."""


def classify_no_cost(score: float) -> None:
    """Cost class of scores that are no costs: the lowest is chosen."""


def select_points(scores: Mapping[Point, float], index: int | None, cost_class: CostClass) -> PointSelection:
    """The points of the lowest score that have a good plateau along coordinate ``index``.

    A plateau is good with at least GOOD_COUNT tried points over GOOD_DECADES, all within NEAR_FACTOR times the point's
    cost. Where no point of the best class has one, or scores are no costs, the points of the lowest score are chosen.
    """
    lowest = min(scores.values(), default=math.inf)
    limits = cost_class(lowest) if index is not None and math.isfinite(lowest) else None
    if index is not None and limits is not None:
        lines = group_lines(scores, index)
        level, decades = math.inf, dict[Point, float]()
        for point in sorted((point for point in scores if scores[point] <= limits[1]), key=lambda point: scores[point]):
            if scores[point] > level:
                break
            width = _measure_good_decades(
                lines[_drop_coordinate(point, index)], point[index], compute_near_bound(scores[point], cost_class)
            )
            if width is not None:
                level, decades[point] = scores[point], width
        if decades:
            return PointSelection(list(decades), level, decades)
    return PointSelection([point for point, score in scores.items() if score == lowest], lowest, {})


def compute_near_bound(score: float, cost_class: CostClass) -> float:
    """Highest score that is near another: NEAR_FACTOR times its cost, or the score itself if it is no cost."""
    limits = cost_class(score)
    return score if limits is None else limits[0] + NEAR_FACTOR * (score - limits[0])


def group_lines(scores: Mapping[Point, float], index: int) -> dict[Point, Line]:
    """All lines along coordinate ``index``, keyed by the other coordinates."""
    lines: dict[Point, Line] = defaultdict(list)
    for point, score in scores.items():
        lines[_drop_coordinate(point, index)].append((point[index], score))
    return {others: sorted(line) for others, line in lines.items()}


def measure_plateau(line: Line, value: float, bound: float) -> Line:
    """Stretch of a line around ``value`` with scores <= ``bound``; the score at ``value`` itself is not checked."""
    here = [place for place, _ in line].index(value)
    low = high = here
    while low > 0 and line[low - 1][1] <= bound:
        low -= 1
    while high < len(line) - 1 and line[high + 1][1] <= bound:
        high += 1
    return line[low : high + 1]


def _measure_good_decades(line: Line, value: float, bound: float) -> float | None:
    """Width of a plateau in decades; None if it is not good."""
    plateau = measure_plateau(line, value, bound)
    low, high = plateau[0][0], plateau[-1][0]
    if len(plateau) < GOOD_COUNT or low <= 0:
        return None
    decades = math.log10(high / low)
    return decades if decades >= GOOD_DECADES else None


def _drop_coordinate(point: Point, index: int) -> Point:
    return point[:index] + point[index + 1 :]
