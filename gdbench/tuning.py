"""The best numbers of each method on each objective: grids in lanes, refined around the best, in one sweep's folder."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gdbench.analysis.goals import MISS, gained, per_configuration
from gdbench.analysis.tuned import winners_table
from gdbench.growing import Growing, repeating
from gdbench.job import Job, Progress
from gdbench.runner import Pulse, no_pulse
from gdbench.schema import LIMITS, UsageError
from gdbench.search import Grid, Listed, Point, Refinement, Span

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Tuning"]

Fold = Callable[[Sequence[str]], list[Job]]
"""From overrides to cells."""

LR = Span("lr", 1e-6, 10.0, log=True, reach=(1e-12, 1e6))
"""Where lr is sought unless the user says so."""
FINALISTS = 5
"""Points that are timed for goal=time_to_target: those with the least work."""
PROFILE = 1.5
"""Decades around the best lr that are tried on a line of their own, where several axes were refined together."""


class Hopeless(Exception):
    """Nothing of a row can run at all: the search for it ends."""


@dataclass
class Row:
    """One method on one objective, and its search."""

    job: Job
    """The cell without the tuned axes."""
    search: Refinement
    seen: dict[Point, tuple[pd.DataFrame, int]] = field(default_factory=dict)
    """Of every point, the table and the position in it of its median seed's run."""
    runs: int = 0
    winner: Point | None = None
    """The point chosen by time, where that is the goal."""

    @property
    def label(self) -> str:
        """What is tuned, and how far that is, in a few words."""
        return f"{self.job.label}, round {self.search.rounds + 1}"

    @property
    def lane_steps(self) -> int:
        """How much work it is: nobody knows beforehand."""
        return 0

    @property
    def timed(self) -> bool:
        """Whether the clock decides."""
        return self.goal == "time_to_target"

    @property
    def names(self) -> list[str]:
        """The tuned axes."""
        return [axis.name for axis in self.search.axes]

    @property
    def goal(self) -> str:
        """What is asked for."""
        return str(self.job.config["goal"])


class Tuning:
    """A search for the best numbers of each row; ``winners`` can be read at any time, also after an interruption."""

    def __init__(self, arguments: Sequence[str], given: list[Span], others: Sequence[str], fold: Fold) -> None:
        """Check all that was asked; ``given`` are the intervals among the ``arguments`` and ``others`` the rest.

        Raises UsageError for what cannot be tuned; no folder is made then.
        """
        self.fold = fold
        if alien := [each for each in others if each.startswith("hydra")]:
            raise UsageError(f"{alien[0]}: tune carries out its own lanes, in this process; leave it out.")
        named = {each.partition("=")[0].lstrip("+") for each in (*others, *(span.name for span in given))}
        scaled = "lr_scale" in named and "lr" not in named
        spans = given if named & {"lr", "lr_scale"} else [LR, *given]
        clock = [each for each in others if re.match(r"timing[.=]", each)]
        jobs = fold([*(each for each in others if each not in clock), *(["lr=null"] if scaled else [])])
        self.clock = _clock(fold([*jobs[0].overrides, *clock]), clock)
        points = jobs[0].question.axes[0].points if "points" in named else None
        self.rows = [Row(job, Refinement(_axes(job, spans), points, gained)) for job in jobs]
        likely = [self._cell(row, [_ends(axis) for axis in row.search.axes]) for row in self.rows]
        self.growing = Growing(likely, arguments, "tune")
        self.pulse: Pulse = no_pulse

    def run(self, progress: Progress) -> None:
        """Tune row after row and time the winners where asked to; then gather the table."""
        self.pulse = progress.worked
        progress.begin([row.job for row in self.rows])
        try:
            for row in self.rows:
                statuses: list[str] = []
                self._tune(row, progress, statuses)
                progress.done(row.job, statuses)
        finally:
            progress.close()
        self.growing.close()

    def winners(self) -> pd.DataFrame:
        """One row for each method and objective that was begun: the best run, and what was found about it."""
        return winners_table([_told(row) for row in self.rows if row.seen])

    # --------------------------------------------------------------------------------------------------------- search

    def _tune(self, row: Row, progress: Progress, statuses: list[str]) -> None:
        goal = "gradients_to_target" if row.goal == "time_to_target" else row.goal

        def score(grid: Grid) -> npt.NDArray[np.float64]:
            progress.now(row)
            told = self._ask(row, self._cell(row, grid), goal)
            statuses.extend(told["status"].astype(str))
            if not told["status"].isin(["failed", "unavailable"]).all():
                return np.array([_score(row, point) for point in itertools.product(*(axis.tolist() for axis in grid))])
            raise Hopeless

        try:
            row.search.run(score)
            if len(row.search.axes) > 1 and "lr" in row.names:
                row.search.profile(score, "lr", PROFILE)
        except Hopeless:
            return
        if self.clock and row.search.middle() is not None:
            self._time(row)

    def _cell(self, row: Row, grid: Grid) -> Job:
        """The cell of a grid: the row's own overrides, a list for each axis, no clock and no traces."""
        return self._job(row, grid, ["timing=off", "record=none"])

    def _job(self, row: Row, grid: Grid, settings: Sequence[str]) -> Job:
        axes = [
            f"{name}=[{','.join(map(repr, values.tolist()))}]" for name, values in zip(row.names, grid, strict=True)
        ]
        (job,) = self.fold([*row.job.overrides, *axes, *settings])
        return job

    def _ask(self, row: Row, job: Job, goal: str) -> pd.DataFrame:
        """Run a cell; remember each point's run of the median seed, and return those."""
        job = self.growing.number(job)
        self.growing.ask([job], self.pulse)
        runs = self.growing.answer(job)
        assert runs is not None
        row.runs += len(runs)
        lanes = job.question.lanes()
        columns = [f"tuned.{name}" for name in row.names]
        runs = runs.assign(**{f"tuned.{name}": lanes[name] for name in row.names})
        told = per_configuration(runs, goal, columns)
        row.seen.update({point: (told, i) for i, point in enumerate(told[columns].itertuples(index=False, name=None))})
        return told

    def _time(self, row: Row) -> None:
        """Time the winner, where a clock was asked for; for a goal of time the finalists, of whom the fastest wins."""
        sought, middle = row.goal == "time_to_target", row.search.middle()
        assert middle is not None
        finalists = _finalists(row, middle) if sought else [middle]
        for point in finalists:
            self._ask(row, self._job(row, [np.array([value]) for value in point], self.clock), row.goal)
        if sought and finalists:
            row.winner = min(finalists, key=lambda point: _score(row, point))


def _clock(jobs: Sequence[Job], given: list[str]) -> list[str]:
    """How winners are timed: as the user said, not at all, or, where time is the goal, at least quickly."""
    if len(jobs) > 1:
        raise UsageError(f"{' '.join(given)}: winners are timed in one way; give one value.")
    timed, sought = jobs[0].question.timing.seconds > 0, jobs[0].config["goal"] == "time_to_target"
    if sought and not timed:
        raise UsageError("goal=time_to_target needs a clock: set timing=quick or timing=full.")
    return (given or ["timing=quick"] if sought else given) if timed else []


def _ends(axis: Span | Listed) -> npt.NDArray[np.float64]:
    """The first and the last value of an axis."""
    return np.array([axis.low, axis.high]) if isinstance(axis, Span) else np.array(axis.values)


def _axes(job: Job, spans: Sequence[Span]) -> list[Span | Listed]:
    """The axes of a row: the intervals asked for, and what the user listed; ``UsageError`` where there is none."""
    known = {axis.name: axis for axis in job.question.axes}
    listed = [name for name in job.question.swept() if name != "seed"]
    for span in spans:
        if span.name not in known or span.name == "seed":
            numbers = ", ".join(name for name in known if name not in ("seed", "optimizer.default_lr"))
            raise UsageError(
                f"{span.name}=interval(...): optimizer={job.question.optimizer} has no such number to tune;"
                f" it has {numbers}."
            )
    axes: list[Span | Listed] = [
        *spans,
        *(Listed(name, tuple(dict.fromkeys(known[name].values().tolist()))) for name in listed),
    ]
    if not axes:
        raise UsageError("there is nothing to tune: leave out lr=, or give it as 'lr=tag(log,interval(1e-4,1))'.")
    return axes


def _score(row: Row, point: Point) -> float:
    told, index = row.seen[point]
    return float(told["score"].iloc[index])


def _finalists(row: Row, middle: Point) -> list[Point]:
    """The middle of the best plateau, and the points after it that reached the target with the least work."""
    hits = sorted((score, point) for point, score in row.search.tried.items() if score < MISS and point != middle)
    return [middle, *(point for _, point in hits)][:FINALISTS] if row.search.best < MISS else []


# ---------------------------------------------------------------------------------------------------- what was found


def _told(row: Row) -> pd.DataFrame:
    """A row's best run in all its columns, and what the search found out about it (``analysis.tuned.FOUND``)."""
    point = row.winner or row.search.middle()
    table, index = row.seen[point or next(iter(row.seen))]
    found = {
        "goal": row.goal,
        "value": math.inf,
        **dict.fromkeys(("plateau_decades", "within_2x_decades")),
        "edges": "",
        "rounds": row.search.rounds,
        "runs": row.runs,
        "seeds": len(set(row.job.question.lanes()["seed"])),
        "axes": ", ".join(row.names),
        "command": None,
    }
    nowhere = {name: math.nan for name in row.names if name in table}  # no value of an axis is the best
    return table.iloc[[index]].assign(**found | (_won(row, point) if point else nowhere))


def _won(row: Row, point: Point) -> dict[str, Any]:
    """What is known of a point that won."""
    score = row.search.tried[point]
    reached = _score(row, point) if row.winner or row.goal != "time_to_target" else math.inf
    ends = [f"{name} {way}" for name, way in row.search.at_ends() if _can_go_on(row, name, way)]
    return {
        "value": reached if reached < MISS else math.inf,
        "plateau_decades": _decades(row, point, score) if score < MISS else None,
        "within_2x_decades": _decades(row, point, 2 * score) if 0 < score < MISS else None,
        "edges": ", ".join(ends),
        "command": repeating(row.job, dict(zip(row.names, point, strict=True))),
    }


def _decades(row: Row, point: Point, within: float) -> float | None:
    """The decades of lr around a point, as far as they were tried, whose score stays within a bound."""
    name = next((name for name in ("lr", "lr_scale") if name in row.names), None)
    if name is None:
        return None
    low, high = row.search.along(name, point, within)
    return math.log10(high / low)


def _can_go_on(row: Row, name: str, way: str) -> bool:
    """Whether an axis has any values beyond the end that was reached."""
    axis = next(axis for axis in row.search.axes if axis.name == name)
    low, _, _ = LIMITS.get(name.removeprefix("optimizer."), (-math.inf, math.inf, ""))
    return not (isinstance(axis, Span) and way == "smaller" and axis.low <= low)
