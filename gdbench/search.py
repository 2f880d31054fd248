"""Successive refinement of a grid: numbers that score best, sought in boxes that shrink around the best so far.

Nothing here knows what is scored: a caller hands in the axes and a function from a grid to scores.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Grid", "Listed", "Refinement", "Span", "rounded"]

Array = npt.NDArray[np.float64]
Point = tuple[float, ...]
Grid = list[Array]
"""The values of each axis; the points are their product, the last axis varying fastest."""
Score = Callable[[Grid], Array]
"""The scores of all points of a grid, in their order; lower is better, inf is no candidate."""

DIGITS = 4
"""Values are sought to so many significant digits, so that the number shown is the number that ran."""
PER_DECADE = {1: 8}
"""Points a decade of the first grid by the number of axes; of more axes than stated ``PER_DECADE_MORE``."""
PER_DECADE_MORE = 4
EVEN = {1: 33}
"""Points of the first grid on an axis that is no logarithm; of more axes than stated ``EVEN_MORE``."""
EVEN_MORE = 13
ZOOMED = {1: 17, 2: 9}
"""Points an axis of each later grid; of more axes than stated ``ZOOMED_MORE``."""
ZOOMED_MORE = 5
TOLERANCE = 0.001
"""A grid is fine enough when its points lie so near: decades on a logarithmic axis, of the range on any other."""
GAIN = 0.001
"""A round that improves the score by less than this part of it ends the search, where the caller knows no better."""
EDGE = 1e-3
"""Positions as near as this are one: values are rounded."""
COARSE = 0.005
"""While neighbours lie farther apart than this, and differ, a round that gains nothing proves nothing."""
MAX_ROUNDS = 16
WIDER = 2.0
"""Decades by which a range that nobody gave grows at a time, while the best lies at its end."""


@dataclass(frozen=True)
class Span:
    """An axis from ``low`` to ``high``, searched evenly in its logarithm where ``log`` is set."""

    name: str
    low: float
    high: float
    log: bool = False
    reach: tuple[float, float] | None = None
    """How far the range may grow; None: the range is the user's, and stays as it is."""

    def position(self, values: Array) -> Array:
        """Where values lie on the axis: evenly spaced positions make a good grid."""
        return np.log10(values) if self.log else values / (self.high - self.low or 1.0)

    def value(self, positions: Array) -> Array:
        """The values at positions, within the range, rounded to numbers that can be shown and typed."""
        values = 10.0**positions if self.log else positions * (self.high - self.low or 1.0)
        return np.unique(np.clip([rounded(each) for each in values], self.low, self.high))

    def ends(self) -> tuple[float, float]:
        """The positions of both ends."""
        low, high = self.position(np.array([self.low, self.high]))
        return float(low), float(high)


@dataclass(frozen=True)
class Listed:
    """An axis of which the user listed the values: all are tried in every round."""

    name: str
    values: tuple[float, ...]


Axis = Span | Listed


def rounded(value: float) -> float:
    """A number with ``DIGITS`` significant digits."""
    return float(f"{value:.{DIGITS - 1}e}")


@dataclass
class Refinement:
    """The state of a search: every point that was tried, with its score, and the grid of the latest round.

    ``run`` may be left by an exception at any time; what was found until then can still be read.
    """

    axes: list[Axis]
    points: int | None = None
    """Values of each axis in the first grid; None: what suits their number."""
    gained: Callable[[float, float], bool] = lambda before, after: after < before - GAIN * abs(before)
    """Whether going from one best score to another is worth a further round."""
    tried: dict[Point, float] = field(default_factory=dict)
    rounds: int = 0
    spacing: list[float] = field(default_factory=list)
    """The distance of neighbours on each axis in the latest grid, in positions; ``boxes`` are the grid's ends."""
    boxes: list[tuple[float, float]] = field(default_factory=list)

    def run(self, score: Score) -> None:
        """Search: a first grid, widened where it may be, then finer ones until nothing more is gained."""
        self._visit(score, [self._first(axis) for axis in self.axes])
        while self._widen(score):
            pass
        while self._spans() and self.rounds < MAX_ROUNDS and math.isfinite(self.best):
            before, moves = self.best, self._leads_out()
            if all(space <= TOLERANCE for space in self.spacing):
                break
            self._visit(score, self._closer(moves))
            if self._settled() and not moves and not self.gained(before, self.best):
                break

    def _settled(self) -> bool:
        """Whether a round without gain is the end: neighbours are near, or the plateau goes beyond them all around."""
        coarsest = max(self.spacing)
        return coarsest <= COARSE or self._deepest()[1] > 1.25 * coarsest

    # -------------------------------------------------------------------------------------------------- what was found

    @property
    def best(self) -> float:
        """The lowest score so far; inf where there is no candidate."""
        return min(self.tried.values(), default=math.inf)

    def plateau(self) -> list[Point]:
        """All points that share the best score: whole numbers of steps make many."""
        best = self.best
        return [point for point, score in self.tried.items() if score == best]

    def middle(self) -> Point | None:
        """The robust choice: the best point that lies farthest from any worse one and from the ends of the range."""
        return self._deepest()[0] if math.isfinite(self.best) else None

    def _deepest(self) -> tuple[Point, float]:
        """The point in the middle of the plateau, and how far the plateau goes on around it, in positions."""
        winners = self.plateau()
        best = np.array([self._positions(point) for point in winners])
        worse = [self._positions(point) for point, score in self.tried.items() if score != self.best]
        outside = _nearest(best, np.array(worse)) if worse else np.full(len(best), np.inf)
        depth = np.round(np.minimum(self._inside(best), outside), 9)
        center = np.round(np.abs(best - best.mean(0)).max(1), 9)
        chosen = min(range(len(winners)), key=lambda i: (-float(depth[i]), float(center[i]), winners[i]))
        return winners[chosen], float(depth[chosen])

    def at_ends(self) -> list[tuple[str, str]]:
        """The axes on which the best reaches an end of the range, and which: ``("lr", "larger")`` may be better."""
        if not math.isfinite(self.best):
            return []
        winners = np.array(self.plateau())
        found = []
        for index, axis in self._spans():
            values = winners[:, index]
            found += [(axis.name, "smaller")] if values.min() <= axis.low else []
            found += [(axis.name, "larger")] if values.max() >= axis.high else []
        return found

    def along(self, name: str, through: Point, within: float) -> tuple[float, float]:
        """How far one may go from a point along one axis, the others kept, before a score exceeds ``within``."""
        index = [axis.name for axis in self.axes].index(name)
        line = sorted(
            (point[index], score)
            for point, score in self.tried.items()
            if all(point[i] == through[i] for i in range(len(point)) if i != index)
        )
        here = [value for value, _ in line].index(through[index])
        return _reach(line, here, -1, within), _reach(line, here, 1, within)

    # --------------------------------------------------------------------------------------------------------- rounds

    def profile(self, score: Score, name: str, decades: float) -> None:
        """Try one logarithmic axis on its own, around the best point, to see how much it forgives."""
        middle = self.middle()
        index = [axis.name for axis in self.axes].index(name)
        axis = self.axes[index]
        if middle is None or not isinstance(axis, Span):
            return
        position = float(axis.position(np.array(middle[index])))
        low, high = axis.ends()
        count = 2 * round(PER_DECADE[1] * decades) + 1
        line = np.linspace(max(low, position - decades), min(high, position + decades), count)
        self._visit(score, [axis.value(line) if i == index else np.array([middle[i]]) for i in range(len(middle))])

    def _visit(self, score: Score, grid: Grid) -> None:
        scores = score(grid)
        self.rounds += 1
        self.tried.update(zip(itertools.product(*(axis.tolist() for axis in grid)), scores.tolist(), strict=True))

    def _spans(self) -> list[tuple[int, Span]]:
        return [(index, axis) for index, axis in enumerate(self.axes) if isinstance(axis, Span)]

    def _first(self, axis: Axis) -> Array:
        if isinstance(axis, Listed):
            self.spacing.append(0.0)
            self.boxes.append((0.0, 0.0))
            return np.array(axis.values)
        low, high = axis.ends()
        spans = len(self._spans())
        decades = PER_DECADE.get(spans, PER_DECADE_MORE) * (high - low)
        count = self.points or (max(9, round(decades) + 1) if axis.log else EVEN.get(spans, EVEN_MORE))
        self.spacing.append((high - low) / (count - 1))
        self.boxes.append((low, high))
        return axis.value(np.linspace(low, high, count))

    def _widen(self, score: Score) -> bool:
        """Try beyond the ends of ranges that may grow, where the best lies there; whether there was anything to try."""
        ends = self.at_ends() or [(axis.name, "smaller") for _, axis in self._spans() if not math.isfinite(self.best)]
        for index, axis in self._spans():
            for _, way in (end for end in ends if end[0] == axis.name):
                grown = _grown(axis, way)
                if grown != axis:
                    self._grow(score, index, axis, grown)
                    return True
        return False

    def _grow(self, score: Score, index: int, axis: Span, grown: Span) -> None:
        self.axes[index], self.boxes[index] = grown, grown.ends()
        (low, high), (old_low, old_high) = grown.ends(), axis.ends()
        new = (low, old_low) if low < old_low else (old_high, high)
        count = max(2, round((new[1] - new[0]) / self.spacing[index]) + 1)
        line = np.setdiff1d(grown.value(np.linspace(*new, count)), [axis.low, axis.high])
        others = [np.array(sorted({point[i] for point in self.tried})) for i in range(len(self.axes))]
        self._visit(score, [line if i == index else other for i, other in enumerate(others)])

    def _leads_out(self) -> bool:
        """Whether the best lies at the edge of the latest grid, while the range goes on there."""
        winners = self.plateau()
        for index, axis in self._spans():
            positions = axis.position(np.array([point[index] for point in winners]))
            (low, high), (first, last) = self.boxes[index], axis.ends()
            if (positions.min() < low + EDGE and low > first + EDGE) or (
                positions.max() > high - EDGE and high < last - EDGE
            ):
                return True
        return False

    def _closer(self, moves: bool) -> Grid:
        """The next grid: the box of the plateau and one neighbour beyond, or as wide as the last one, elsewhere."""
        spans = len(self._spans())
        count = ZOOMED.get(spans, ZOOMED_MORE)
        winners = np.array(self.plateau())
        grid: Grid = []
        for index, axis in enumerate(self.axes):
            if isinstance(axis, Listed):
                grid.append(np.array(axis.values))
                continue
            positions, (low, high) = axis.position(winners[:, index]), axis.ends()
            margin = self.spacing[index] * ((count - 1) / 2 if moves else 1.0 if spans == 1 else 1.5)
            box = max(low, positions.min() - margin), min(high, positions.max() + margin)
            self.spacing[index], self.boxes[index] = (box[1] - box[0]) / (count - 1), box
            grid.append(axis.value(np.linspace(*box, count)))
        return grid

    def _positions(self, point: Point) -> list[float]:
        return [
            float(axis.position(np.array(value))) if isinstance(axis, Span) else float(axis.values.index(value))
            for axis, value in zip(self.axes, point, strict=True)
        ]

    def _inside(self, positions: Array) -> Array:
        """The distance of points to the nearest end of any range."""
        depth = np.full(len(positions), np.inf)
        for index, axis in self._spans():
            low, high = axis.ends()
            depth = np.minimum(depth, np.minimum(positions[:, index] - low, high - positions[:, index]))
        return depth


def _grown(axis: Span, way: str) -> Span:
    if axis.reach is None:
        return axis
    if way == "smaller":
        return replace(axis, low=rounded(max(axis.reach[0], axis.low / 10**WIDER)))
    return replace(axis, high=rounded(min(axis.reach[1], axis.high * 10**WIDER)))


def _nearest(points: Array, others: Array) -> Array:
    """The distance of each point to the nearest of the others, the largest difference on an axis counting."""
    nearest: Array = np.array([np.abs(others - point).max(1).min() for point in points])
    return nearest


def _reach(line: Sequence[tuple[float, float]], here: int, way: int, within: float) -> float:
    reached = line[here][0]
    for value, score in _beyond(line, here, way):
        if score > within:
            break
        reached = value
    return reached


def _beyond(line: Sequence[tuple[float, float]], here: int, way: int) -> Iterator[tuple[float, float]]:
    return iter(line[here + 1 :] if way > 0 else line[:here][::-1])
