"""Grid refinement: search for the numbers with the lowest score on grids that shrink around the best so far.

The caller gives the axes and a function from a grid to scores. Each search tries the same number of distinct points,
``trials``: those left when refinement gains nothing more go to a line through the choice, which shows the width of its
plateau along one axis and what lies between the points of the grids.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gdbench.analysis.plateau import (
    CostClass,
    Line,
    PointSelection,
    classify_no_cost,
    compute_near_bound,
    group_lines,
    measure_plateau,
    select_points,
)
from gdbench.sweeps.search_axes import Axis, Grid, Listed, Point, Score, Span, differ_in
from gdbench.sweeps.search_budget import count_listed, count_spans, fewest_trials, first_points, nth_root
from gdbench.sweeps.search_line import halve_intervals
from gdbench.sweeps.search_middle import find_middle

__all__ = ["Refinement"]


Array = npt.NDArray[np.float64]

LINE = 25
"""Trials of a search over several ranges that are reserved for the line through its choice."""
AROUND = 1.5
"""Decades, or parts of the range, to each side of the choice that the line covers where several axes are searched."""
TOLERANCE = 0.001
"""A grid is fine enough when its points lie so near: decades on a logarithmic axis, of the range on any other."""
GAIN = 0.001
"""A round that improves the score by less than this fraction ends the search, unless the caller decides otherwise."""
EDGE = 1e-3
"""Positions closer than this are equal: values are rounded."""
COARSE = 0.005
"""While neighbours lie farther apart than this, a round without gain does not end the search."""
MAX_ROUNDS = 16
ZOOMED = {1: 17, 2: 9}
"""Points an axis of each later grid by the number of ranges; for more ranges ``ZOOMED_MORE``."""
ZOOMED_MORE = 5


@dataclass
class Refinement:
    """The state of a search: the score of every point tried, and the grid of the latest round.

    ``run`` may be interrupted by an exception at any time; the results until then remain valid.
    """

    axes: list[Axis]
    trials: int
    """Distinct points to try; fewer only where the ranges hold fewer numbers of four digits."""
    points: int | None = None
    """Values of each axis in the first grid; None: by the number of axes."""
    gained: Callable[[float, float], bool] = lambda before, after: after < before - GAIN * abs(before)
    """Whether an improvement from one best score to another is worth a further round."""
    cost_class: CostClass = classify_no_cost
    """The class of a score that is a cost: a lower cost without similar neighbours is not chosen."""
    tried: dict[Point, float] = field(default_factory=dict)
    rounds: int = 0
    spacing: list[float] = field(default_factory=list)
    """The distance of neighbours on each axis of the latest grid, in positions; ``boxes`` are the grid's ends."""
    boxes: list[tuple[float, float]] = field(default_factory=list)
    fewest_for_plateau: int = field(init=False)
    """The fewest trials that show a plateau, for the ranges as given: those of ``axes`` grow."""
    chosen: PointSelection | None = None
    """The choice among the points tried; None where it must be computed again."""

    def __post_init__(self) -> None:
        """Compute ``fewest_for_plateau`` before the ranges grow."""
        self.fewest_for_plateau = fewest_trials(self.axes, self.points)

    def run(self, score: Score) -> None:
        """Search a first grid, widen it where allowed, refine it until nothing more is gained, then fill lines."""
        self._visit(score, [self._make_first_values(axis) for axis in self.axes])
        while self._widen(score):
            pass
        while self._refine(score):
            pass
        for index, through in self._lines():
            if not self.trials_left:
                break
            self._fill(score, index, through)

    # --------------------------------------------------------------------------------------------------------- results

    @property
    def trials_left(self) -> int:
        """The number of trials left."""
        return max(0, self.trials - len(self.tried))

    @property
    def lowest(self) -> float:
        """The lowest score so far; inf without a candidate."""
        return min(self.tried.values(), default=math.inf)

    @property
    def best(self) -> float:
        """The score of the choice; a lower one is isolated among worse neighbours (``spike``)."""
        return self._choice().score

    @property
    def plateau_axis(self) -> int | None:
        """The axis along which plateaus are measured: lr, else lr_scale; None where neither is searched."""
        names = [axis.name for axis in self.axes]
        return next((names.index(name) for name in ("lr", "lr_scale") if name in names), None)

    def plateau(self) -> list[Point]:
        """All points with the chosen score: integer numbers of steps make many."""
        return self._choice().points

    def spike(self) -> Point | None:
        """The point with the lowest score, where it was not chosen; else None."""
        return min(self.tried, key=lambda point: self.tried[point]) if self.lowest < self.best else None

    def middle(self) -> Point | None:
        """The choice: of equal scores the widest plateau, and on it the point farthest from any worse one."""
        return self._find_middle()[0] if math.isfinite(self.best) else None

    def at_ends(self) -> list[tuple[str, str]]:
        """The axes on which the choice lies at an end of the range, with the direction: ``("lr", "larger")``."""
        return self._at_ends(self.plateau()) if math.isfinite(self.best) else []

    def near(self, through: Point) -> list[Point]:
        """The plateau around a point: costs along lr of at most twice its own; empty without lr or a cost."""
        index, score = self.plateau_axis, self.tried[through]
        bound = compute_near_bound(score, self.cost_class)
        if index is None or bound == score:
            return []
        stretch = measure_plateau(self._line(index, through), through[index], bound)
        return [(*through[:index], value, *through[index + 1 :]) for value, _ in stretch]

    def along(self, name: str, through: Point, within: float) -> tuple[float, float]:
        """The interval around a point along one axis in which no score exceeds ``within``."""
        index = [axis.name for axis in self.axes].index(name)
        stretch = measure_plateau(self._line(index, through), through[index], within)
        return stretch[0][0], stretch[-1][0]

    def _choice(self) -> PointSelection:
        if self.chosen is None:
            self.chosen = select_points(self.tried, self.plateau_axis, self.cost_class)
        return self.chosen

    def _find_middle(self) -> tuple[Point, float]:
        return find_middle(self.axes, self.tried, self._choice())

    def _line(self, index: int, through: Point) -> Line:
        alike = {point: score for point, score in self.tried.items() if differ_in(point, through, index)}
        return next(iter(group_lines(alike, index).values()), [])

    # --------------------------------------------------------------------------------------------------------- rounds

    def _visit(self, score: Score, grid: Grid) -> bool:
        """Score the new points of a grid; returns whether there were any."""
        for index, values in enumerate(grid):
            others = [other.tolist() for place, other in enumerate(grid) if place != index]
            lines = list(itertools.product(*others))
            new = [v for v in values.tolist() if any((*o[:index], v, *o[index:]) not in self.tried for o in lines)]
            grid = [np.array(new) if place == index else other for place, other in enumerate(grid)]
        if not all(len(values) for values in grid):
            return False
        scores = score(grid)
        self.rounds += 1
        self.tried.update(zip(itertools.product(*(axis.tolist() for axis in grid)), scores.tolist(), strict=True))
        self.chosen = None
        return True

    def _refine(self, score: Score) -> bool:
        """Score a finer grid around the choice, or move it beyond its edge; returns whether to continue."""
        fine = all(space <= TOLERANCE for space in self.spacing)
        if not self._spans() or fine or self.rounds >= MAX_ROUNDS or not math.isfinite(self.best):
            return False
        before, moves, count = self.best, self._is_at_grid_edge(), self._count_next()
        if count < 3 or not self._visit(score, self._make_next_grid(moves, count)):
            return False
        return moves or not self._is_settled() or self.best > before or self.gained(before, self.best)

    def _is_settled(self) -> bool:
        """Whether a round without gain ends the search: neighbours are near, or within the plateau on all sides."""
        coarsest = max(self.spacing)
        return coarsest <= COARSE or self._find_middle()[1] > 1.25 * coarsest

    def _spans(self) -> list[tuple[int, Span]]:
        return [(index, axis) for index, axis in enumerate(self.axes) if isinstance(axis, Span)]

    def _make_first_values(self, axis: Axis) -> Array:
        if isinstance(axis, Listed):
            self.spacing.append(0.0)
            self.boxes.append((0.0, 0.0))
            return np.array(axis.values)
        low, high = axis.ends()
        count = self.points or first_points(axis, self.axes, self.trials)
        self.spacing.append((high - low) / (count - 1))
        self.boxes.append((low, high))
        return axis.value(np.linspace(low, high, count))

    def _widen(self, score: Score) -> bool:
        """Score values beyond ranges that may grow, where the best lies at an end; returns whether there were any."""
        ends = set(self.at_ends() + self._at_ends([spike] if (spike := self.spike()) else []))
        if not math.isfinite(self.best):
            ends = {(axis.name, "smaller") for _, axis in self._spans()}
        for index, axis in self._spans():
            for _, way in sorted(end for end in ends if end[0] == axis.name):
                if (grown := axis.grow(way)) != axis and self._grow(score, index, axis, grown):
                    return True
        return False

    def _grow(self, score: Score, index: int, axis: Span, grown: Span) -> bool:
        """Score the new part of a wider range, half as densely as the first; returns whether trials were left."""
        (low, high), (old_low, old_high) = grown.ends(), axis.ends()
        new = (low, old_low) if low < old_low else (old_high, high)
        others = [np.array(sorted({point[i] for point in self.tried})) for i in range(len(self.axes))]
        room = self.trials_left // math.prod(len(other) for i, other in enumerate(others) if i != index)
        count = min(max(2, round((new[1] - new[0]) / self.spacing[index] / 2) + 1), room + 1)
        if count < 2:
            return False
        self.axes[index], self.boxes[index] = grown, grown.ends()
        self.spacing[index] = (new[1] - new[0]) / (count - 1)
        line = np.setdiff1d(grown.value(np.linspace(*new, count)), [axis.low, axis.high])
        return self._visit(score, [line if i == index else other for i, other in enumerate(others)])

    def _at_ends(self, points: Sequence[Point]) -> list[tuple[str, str]]:
        ends = []
        for index, axis in self._spans():
            values = [point[index] for point in points]
            ends += [(axis.name, "smaller")] if min(values, default=math.inf) <= axis.low else []
            ends += [(axis.name, "larger")] if max(values, default=-math.inf) >= axis.high else []
        return ends

    def _is_at_grid_edge(self) -> bool:
        """Whether the choice lies at the edge of the latest grid, but not of the range."""
        winners = self.plateau()
        for index, axis in self._spans():
            positions = axis.position(np.array([point[index] for point in winners]))
            (low, high), (first, last) = self.boxes[index], axis.ends()
            if (positions.min() < low + EDGE and low > first + EDGE) or (
                positions.max() > high - EDGE and high < last - EDGE
            ):
                return True
        return False

    def _count_next(self) -> int:
        """The values an axis of the next grid; half as many where trials are left for less than two full grids."""
        spans = count_spans(self.axes)
        count = ZOOMED.get(spans, ZOOMED_MORE)
        room = (self.trials_left - (LINE if spans > 1 else 0)) / count_listed(self.axes)
        return min(count if room >= 2 * count**spans else (count + 1) // 2, nth_root(room, spans))

    def _make_next_grid(self, moves: bool, count: int) -> Grid:
        """The next grid: the plateau and one neighbour to each side, or one as wide as the last, moved."""
        spans = count_spans(self.axes)
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

    # ---------------------------------------------------------------------------------------------------------- lines

    def _lines(self) -> Iterator[tuple[int, Point]]:
        """Lines to fill, as ranges and points on them: the choice along its lr first, then all points by score."""
        order = sorted(self._spans(), key=lambda span: span[0] != self.plateau_axis)
        middle = self.middle()
        points = sorted(self.tried, key=lambda point: (point != middle, self.tried[point], point))
        seen = set()
        for point, (index, _) in itertools.product(points, order):
            line = (index, point[:index], point[index + 1 :])
            if line not in seen:
                seen.add(line)
                yield index, point

    def _fill(self, score: Score, index: int, through: Point) -> None:
        """Score the trials left on a line: near its plateau first, then along the whole range."""
        axis = self.axes[index]
        assert isinstance(axis, Span)
        for around in [AROUND, math.inf] if count_spans(self.axes) > 1 else [math.inf]:
            bound = compute_near_bound(self.tried[through], self.cost_class)
            values = halve_intervals(axis, self._line(index, through), through[index], bound, self.trials_left, around)
            line = np.array(sorted(values))
            self._visit(score, [line if i == index else np.array([value]) for i, value in enumerate(through)])
