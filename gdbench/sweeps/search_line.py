"""New values on a line of a search: midpoints of its widest intervals, near the choice first."""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from gdbench.analysis.plateau import Line, measure_plateau
from gdbench.sweeps.search_axes import Span

__all__ = ["halve_intervals"]

CLOSER = 8.0
"""Intervals on the plateau and at its ends are halved until they are this many times finer than all others."""


def halve_intervals(axis: Span, line: Line, value: float, bound: float, most: int, around: float) -> list[float]:
    """At most ``most`` new values of a line that holds ``value``, within ``around`` positions to each side of it.

    The ends come first, then the midpoint of the widest interval, again and again; intervals on the plateau around the
    value, where scores stay within ``bound``, and at its ends count as CLOSER times as wide.
    """
    places = [place for place, _ in line]
    near = _find_neighbourhood(line, value, bound)
    low, high = axis.ends()
    here = float(axis.position(np.array(value)))
    ends = axis.value([max(low, here - around), min(high, here + around)]).tolist()
    new: list[float] = [end for end in ends if end not in places][:most]
    nodes = sorted({*new, *(place for place in places if ends[0] <= place <= ends[-1])})
    heap = [_make_interval(axis, *pair, near) for pair in itertools.pairwise(nodes)]
    heapq.heapify(heap)
    while heap and len(new) < most:
        _, a, b = heapq.heappop(heap)
        (middle,) = axis.value([float(axis.position(np.array([a, b])).mean())]).tolist()
        if a < middle < b:  # else no number of four digits lies between them
            new.append(middle)
            heapq.heappush(heap, _make_interval(axis, a, middle, near))
            heapq.heappush(heap, _make_interval(axis, middle, b, near))
    return new


def _find_neighbourhood(line: Line, value: float, bound: float) -> tuple[float, float]:
    """The ends of the plateau around a value, with one neighbour more to each side."""
    places = [place for place, _ in line]
    plateau = measure_plateau(line, value, bound)
    first, last = places.index(plateau[0][0]), places.index(plateau[-1][0])
    return places[max(0, first - 1)], places[min(len(places) - 1, last + 1)]


def _make_interval(axis: Span, a: float, b: float, near: tuple[float, float]) -> tuple[float, float, float]:
    """An interval as a heap entry, the widest first."""
    low, high = axis.position(np.array([a, b])).tolist()
    weight = CLOSER if near[0] <= a and b <= near[1] else 1.0
    return -weight * (high - low), a, b
