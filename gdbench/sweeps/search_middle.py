"""Choose the middle of equally good points: the one farthest from any worse one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gdbench.analysis.plateau import PointSelection
from gdbench.sweeps.search_axes import Axis, Span

__all__ = ["find_middle"]

Array = npt.NDArray[np.float64]
Point = tuple[float, ...]


def find_middle(axes: Sequence[Axis], scores: Mapping[Point, float], choice: PointSelection) -> tuple[Point, float]:
    """The middle of the chosen points, and its distance, in positions, to the nearest worse point or end of a range.

    The widest plateau comes first, to a tenth of a decade; on it the point farthest from worse ones.
    """
    best = np.array([_list_positions(axes, point) for point in choice.points])
    worse = [_list_positions(axes, point) for point, score in scores.items() if score > choice.score]
    outside = _distance_to_nearest(best, np.array(worse)) if worse else np.full(len(best), np.inf)
    depth = np.round(np.minimum(_distance_to_ends(axes, best), outside), 9)
    center = np.round(np.abs(best - best.mean(0)).max(1), 9)
    width = [round(choice.decades.get(point, 0.0), 1) for point in choice.points]
    order = range(len(choice.points))
    first = min(order, key=lambda i: (-width[i], -float(depth[i]), float(center[i]), choice.points[i]))
    return choice.points[first], float(depth[first])


def _list_positions(axes: Sequence[Axis], point: Point) -> list[float]:
    return [
        float(axis.position(np.array(value))) if isinstance(axis, Span) else float(axis.values.index(value))
        for axis, value in zip(axes, point, strict=True)
    ]


def _distance_to_ends(axes: Sequence[Axis], positions: Array) -> Array:
    """The distance of points to the nearest end of any range."""
    depth = np.full(len(positions), np.inf)
    for index, axis in enumerate(axes):
        if isinstance(axis, Span):
            low, high = axis.ends()
            depth = np.minimum(depth, np.minimum(positions[:, index] - low, high - positions[:, index]))
    return depth


def _distance_to_nearest(points: Array, others: Array) -> Array:
    """The distance of each point to the nearest of the others, in the maximum norm."""
    nearest: Array = np.array([np.abs(others - point).max(1).min() for point in points])
    return nearest
