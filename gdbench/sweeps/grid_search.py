"""Successive refinement of a grid: numbers that score best, sought in boxes that shrink around the best so far.

Nothing here knows what is scored: a caller hands in the axes and a function from a grid to scores. Each search tries
the same number of distinct points, ``trials``: what is left when nothing more is gained goes to a line of its own
through the choice, where it shows how much one axis forgives, and what may lie between the points of the grids.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gdbench.analysis.plateau import (
    Choice,
    CostClass,
    Line,
    classify_no_cost,
    compute_near_bound,
    group_lines,
    measure_plateau,
    select_points,
)
from gdbench.sweeps.search_axes import Axis, Listed, Span
from gdbench.sweeps.search_budget import count_listed, count_spans, fewest_trials, first_points, nth_root
from gdbench.sweeps.search_grid import ZOOMED, ZOOMED_MORE, Grid, Point, Score, differ_in
from gdbench.sweeps.search_line import halve_intervals
from gdbench.sweeps.search_middle import find_middle

__all__ = ["Refinement"]


Array = npt.NDArray[np.float64]

LINE = 25
"""Trials of a search over several ranges that are kept for the line through its choice."""
AROUND = 1.5
"""Decades, or parts of the range, to each side of the choice that the line covers where several axes are searched."""
TOLERANCE = 0.001
"""A grid is fine enough when its points lie so near: decades on a logarithmic axis, of the range on any other."""
GAIN = 0.001
"""A round that improves the score by less than this part of it ends the search, where the caller knows no better."""
EDGE = 1e-3
"""Positions as near as this are one: values are rounded."""
COARSE = 0.005
"""While neighbours lie farther apart than this, and differ, a round that gains nothing proves nothing."""
MAX_ROUNDS = 16


@dataclass
class Refinement:
    """The state of a search: every point that was tried, with its score, and the grid of the latest round.

    ``run`` may be left by an exception at any time; what was found until then can still be read.
    """

    axes: list[Axis]
    trials: int
    """Distinct points to try: all of them, unless the ranges hold fewer numbers of four digits."""
    points: int | None = None
    """Values of each axis in the first grid; None: what suits their number."""
    gained: Callable[[float, float], bool] = lambda before, after: after < before - GAIN * abs(before)
    """Whether going from one best score to another is worth a further round."""
    cost_class: CostClass = classify_no_cost
    """In which class a score is a cost: a lower cost that its neighbours do not come near is not chosen."""
    tried: dict[Point, float] = field(default_factory=dict)
    rounds: int = 0
    spacing: list[float] = field(default_factory=list)
    """The distance of neighbours on each axis in the latest grid, in positions; ``boxes`` are the grid's ends."""
    boxes: list[tuple[float, float]] = field(default_factory=list)
    telling: int = field(init=False)
    """Trials of which fewer tell little, by the ranges as they were given: those of ``axes`` grow."""
    chosen: Choice | None = None
    """The choice among what was tried; None where it must be made anew."""

    def __post_init__(self) -> None:
        """Note what the ranges ask for, before they grow."""
        self.telling = fewest_trials(self.axes, self.points)

    def run(self, score: Score) -> None:
        """Search: a first grid, widened where it may be, then finer ones until nothing more is gained; then a line."""
        self._visit(score, [self._first(axis) for axis in self.axes])
        while self._widen(score):
            pass
        while self._refine(score):
            pass
        for index, through in self._lines():
            if not self.left:
                break
            self._fill(score, index, through)

    # -------------------------------------------------------------------------------------------------- what was found

    @property
    def left(self) -> int:
        """How many trials are left."""
        return max(0, self.trials - len(self.tried))

    @property
    def lowest(self) -> float:
        """The lowest score so far; inf where there is no candidate."""
        return min(self.tried.values(), default=math.inf)

    @property
    def best(self) -> float:
        """The score of the choice; a lower one stands alone among worse neighbours (``spike``)."""
        return self._choice().score

    @property
    def forgiving(self) -> int | None:
        """The axis along which plateaus are measured: lr, else lr_scale; None where neither is searched."""
        names = [axis.name for axis in self.axes]
        return next((names.index(name) for name in ("lr", "lr_scale") if name in names), None)

    def plateau(self) -> list[Point]:
        """All points that share the chosen score: whole numbers of steps make many."""
        return self._choice().points

    def spike(self) -> Point | None:
        """The point with the lowest score of all, where that was not chosen."""
        return min(self.tried, key=lambda point: self.tried[point]) if self.lowest < self.best else None

    def middle(self) -> Point | None:
        """The choice: of equal scores the widest plateau, and there the point farthest from any worse one."""
        return self._deepest()[0] if math.isfinite(self.best) else None

    def at_ends(self) -> list[tuple[str, str]]:
        """The axes on which the choice reaches an end of the range, and which: ``("lr", "larger")`` may be better."""
        return self._at_ends(self.plateau()) if math.isfinite(self.best) else []

    def near(self, through: Point) -> list[Point]:
        """The points of the plateau around one: costs along lr of at most twice its own; none without lr or a cost."""
        index, score = self.forgiving, self.tried[through]
        bound = compute_near_bound(score, self.cost_class)
        if index is None or bound == score:
            return []
        stretch = measure_plateau(self._line(index, through), through[index], bound)
        return [(*through[:index], value, *through[index + 1 :]) for value, _ in stretch]

    def along(self, name: str, through: Point, within: float) -> tuple[float, float]:
        """How far one may go from a point along one axis, the others kept, before a score exceeds ``within``."""
        index = [axis.name for axis in self.axes].index(name)
        stretch = measure_plateau(self._line(index, through), through[index], within)
        return stretch[0][0], stretch[-1][0]

    def _choice(self) -> Choice:
        if self.chosen is None:
            self.chosen = select_points(self.tried, self.forgiving, self.cost_class)
        return self.chosen

    def _deepest(self) -> tuple[Point, float]:
        return find_middle(self.axes, self.tried, self._choice())

    def _line(self, index: int, through: Point) -> Line:
        alike = {point: score for point, score in self.tried.items() if differ_in(point, through, index)}
        return next(iter(group_lines(alike, index).values()), [])

    # --------------------------------------------------------------------------------------------------------- rounds

    def _visit(self, score: Score, grid: Grid) -> bool:
        """Score the points of a grid, without values that hold nothing new; whether there was anything new."""
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
        """Try a finer grid around the choice, or one beside it where that leads on; whether to go on."""
        fine = all(space <= TOLERANCE for space in self.spacing)
        if not self._spans() or fine or self.rounds >= MAX_ROUNDS or not math.isfinite(self.best):
            return False
        before, moves, count = self.best, self._leads_out(), self._zoomed()
        if count < 3 or not self._visit(score, self._closer(moves, count)):
            return False
        return moves or not self._settled() or self.best > before or self.gained(before, self.best)

    def _settled(self) -> bool:
        """Whether a round without gain is the end: neighbours are near, or the plateau goes beyond them all around."""
        coarsest = max(self.spacing)
        return coarsest <= COARSE or self._deepest()[1] > 1.25 * coarsest

    def _spans(self) -> list[tuple[int, Span]]:
        return [(index, axis) for index, axis in enumerate(self.axes) if isinstance(axis, Span)]

    def _first(self, axis: Axis) -> Array:
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
        """Try beyond the ends of ranges that may grow, where the best lies there; whether there was anything to try."""
        ends = set(self.at_ends() + self._at_ends([spike] if (spike := self.spike()) else []))
        if not math.isfinite(self.best):
            ends = {(axis.name, "smaller") for _, axis in self._spans()}
        for index, axis in self._spans():
            for _, way in sorted(end for end in ends if end[0] == axis.name):
                if (grown := axis.grow(way)) != axis and self._grow(score, index, axis, grown):
                    return True
        return False

    def _grow(self, score: Score, index: int, axis: Span, grown: Span) -> bool:
        """Try the new part of a wider range, half as densely as the first; whether there were trials left for it."""
        (low, high), (old_low, old_high) = grown.ends(), axis.ends()
        new = (low, old_low) if low < old_low else (old_high, high)
        others = [np.array(sorted({point[i] for point in self.tried})) for i in range(len(self.axes))]
        room = self.left // math.prod(len(other) for i, other in enumerate(others) if i != index)
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

    def _leads_out(self) -> bool:
        """Whether the choice lies at the edge of the latest grid, while the range goes on there."""
        winners = self.plateau()
        for index, axis in self._spans():
            positions = axis.position(np.array([point[index] for point in winners]))
            (low, high), (first, last) = self.boxes[index], axis.ends()
            if (positions.min() < low + EDGE and low > first + EDGE) or (
                positions.max() > high - EDGE and high < last - EDGE
            ):
                return True
        return False

    def _zoomed(self) -> int:
        """Values an axis of the next grid: as many as suit the axes, half of them where two such grids are too many."""
        spans = count_spans(self.axes)
        count = ZOOMED.get(spans, ZOOMED_MORE)
        room = (self.left - (LINE if spans > 1 else 0)) / count_listed(self.axes)
        return min(count if room >= 2 * count**spans else (count + 1) // 2, nth_root(room, spans))

    def _closer(self, moves: bool, count: int) -> Grid:
        """The next grid: the box of the plateau and one neighbour beyond, or as wide as the last one, elsewhere."""
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
        """Ranges, and points through which to go along them: the choice and its lr first, then all by their score."""
        order = sorted(self._spans(), key=lambda span: span[0] != self.forgiving)
        middle = self.middle()
        points = sorted(self.tried, key=lambda point: (point != middle, self.tried[point], point))
        seen = set()
        for point, (index, _) in itertools.product(points, order):
            line = (index, point[:index], point[index + 1 :])
            if line not in seen:
                seen.add(line)
                yield index, point

    def _fill(self, score: Score, index: int, through: Point) -> None:
        """Spend what trials are left on a line: near its plateau first, then all along the range."""
        axis = self.axes[index]
        assert isinstance(axis, Span)
        for around in [AROUND, math.inf] if count_spans(self.axes) > 1 else [math.inf]:
            bound = compute_near_bound(self.tried[through], self.cost_class)
            values = halve_intervals(axis, self._line(index, through), through[index], bound, self.left, around)
            line = np.array(sorted(values))
            self._visit(score, [line if i == index else np.array([value]) for i, value in enumerate(through)])
