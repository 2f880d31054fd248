"""The best numbers of each method on each objective: grids in lanes, refined around the best, in one sweep's folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gdbench.analysis.plateau import classify_no_cost
from gdbench.analysis.tuning_metric import find_cost_class, is_cost_metric, is_improvement, score_configurations
from gdbench.analysis.tuning_table import build_tuning_table
from gdbench.engine.runner import ProgressCallback, ignore_progress
from gdbench.errors import UsageError
from gdbench.sweeps.adaptive import Growing
from gdbench.sweeps.grid_search import Refinement
from gdbench.sweeps.job_spec import Job, Progress
from gdbench.sweeps.search_axes import Axis, Listed, Span
from gdbench.sweeps.search_budget import choose_trials, fewest_trials
from gdbench.sweeps.search_grid import Grid, Point

if TYPE_CHECKING:
    import pandas as pd
from gdbench.sweeps.tuning_row import Row
from gdbench.sweeps.tuning_text import describe_winner

__all__ = ["Tuning"]


Fold = Callable[[Sequence[str]], list[Job]]
"""From overrides to cells."""

LR = Span("lr", 1e-6, 10.0, log=True, reach=(1e-12, 1e6))
"""Where lr is sought unless the user says so."""
FINALISTS = 5
"""Points that are timed for metric=time_to_target: those with the least work."""


class Hopeless(Exception):
    """Nothing of a row can run at all: the search for it ends."""


class Tuning:
    """A search for the best numbers of each row; ``winners`` can be read at any time, also after an interruption."""

    def __init__(self, arguments: Sequence[str], given: list[Span], others: Sequence[str], fold: Fold) -> None:
        """Check all that was asked; ``given`` are the intervals among the ``arguments`` and ``others`` the rest.

        Raises UsageError for what cannot be tuned; no folder is made then.
        """
        self.fold = fold
        if alien := [word for word in others if word.lstrip("+~").startswith("hydra")]:
            raise UsageError(f"{alien[0]}: tune carries out its own lanes, in this process; leave it out.")
        named = {each.partition("=")[0].lstrip("+") for each in (*others, *(span.name for span in given))}
        spans = given if named & {"lr", "lr_scale"} else [LR, *given]
        clock = [each for each in others if re.match(r"timing[.=]", each)]
        jobs = fold([each for each in others if each not in clock])
        self.clock = _clock(fold([*jobs[0].overrides, *clock]), clock)
        points = jobs[0].question.axes[0].points if "points" in named else None
        self.rows = [Row(job, _search(job, _axes(job, spans), points)) for job in jobs]
        likely = [self._cell(row, [_ends(axis) for axis in row.search.axes]) for row in self.rows]
        self.growing = Growing(likely, arguments, "tune")
        self.pulse: ProgressCallback = ignore_progress

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
            self.growing.mark(self._choices())  # also of a search that is cut short: its parts are all there is
        self.growing.close()

    def winners(self) -> pd.DataFrame:
        """One row for each method and objective that was begun: the best run, and what was found about it."""
        return build_tuning_table([describe_winner(row) for row in self.rows if row.seen])

    def _choices(self) -> dict[str, dict[str, Any]]:
        """What the table of runs says of the chosen ones: their place, and the metric that they were chosen by."""
        winners = self.winners()
        won = winners.dropna(subset=["tuned_place"]) if len(winners) else winners
        places = {row["run_id"]: int(row["tuned_place"]) for _, row in won.iterrows()}
        marks: dict[str, dict[str, Any]] = {"tuned_place": {}, "tuned_for": {}}
        for row in self.rows:
            keys = row.keys[row.choice] if row.choice else []
            for place in [places[key] for key in keys if key in places]:
                marks["tuned_place"] |= dict.fromkeys(keys, place)
                marks["tuned_for"] |= dict.fromkeys(keys, row.metric)
        return marks

    # --------------------------------------------------------------------------------------------------------- search

    def _tune(self, row: Row, progress: Progress, statuses: list[str]) -> None:
        metric = "gradient_evals_to_target" if row.timed else row.metric

        def score(grid: Grid) -> npt.NDArray[np.float64]:
            progress.now(row)
            runs = self._ask(row, self._cell(row, grid), metric)
            statuses.extend(runs["status"].astype(str))
            if not runs["status"].isin(["failed", "unavailable"]).all():
                return np.array([_score(row, point) for point in itertools.product(*(axis.tolist() for axis in grid))])
            raise Hopeless

        try:
            row.search.run(score)
        except Hopeless:
            return
        winner = row.search.middle()
        if winner is not None:
            self._time(row) if self.clock else self._record(row, winner)

    def _cell(self, row: Row, grid: Grid) -> Job:
        """The cell of a grid: the row's own overrides, a list for each axis, no clock and no traces."""
        return self._job(row, grid, ["timing=off", "trace=none"])

    def _job(self, row: Row, grid: Grid, settings: Sequence[str]) -> Job:
        axes = [
            f"{name}=[{','.join(map(repr, values.tolist()))}]" for name, values in zip(row.names, grid, strict=True)
        ]
        (job,) = self.fold([*row.job.overrides, *axes, *settings])
        return job

    def _ask(self, row: Row, job: Job, metric: str) -> pd.DataFrame:
        """Run a cell; remember each point's run of the median seed, and return those."""
        job = self.growing.number(job)
        self.growing.ask([job], self.pulse)
        runs = self.growing.answer(job)
        assert runs is not None
        row.runs += len(runs)
        lanes = job.question.lanes()
        columns = [f"tuned.{name}" for name in row.names]
        runs = runs.assign(**{f"tuned.{name}": lanes[name] for name in row.names})
        middle = score_configurations(runs, metric, columns)
        points = middle[columns].itertuples(index=False, name=None)
        row.seen.update({point: (middle, i) for i, point in enumerate(points)})
        by_point = runs.groupby(columns, sort=False)["run_id"].agg(list)
        row.keys.update({point if isinstance(point, tuple) else (point,): keys for point, keys in by_point.items()})
        return middle

    def _record(self, row: Row, winner: Point) -> None:
        """Record a point's path, which trials leave out, so that it can be drawn."""
        job = self._job(row, [np.array([value]) for value in winner], ["timing=off"])
        table, index = row.seen[winner]
        if job.question.trace != "none":
            self.growing.trace(job, int(table["cell"].iloc[index]), self.pulse)

    def _time(self, row: Row) -> None:
        """Time the winner, where a clock was asked for; by time the finalists, of whom the fastest wins."""
        middle = row.search.middle()
        assert middle is not None
        finalists = _finalists(row, middle) if row.timed else [middle]
        for point in finalists:
            self._ask(row, self._job(row, [np.array([value]) for value in point], self.clock), row.metric)
        if row.timed and finalists:
            row.winner = min(finalists, key=lambda point: _score(row, point))


def _clock(jobs: Sequence[Job], given: list[str]) -> list[str]:
    """How winners are timed: as the user said, not at all, or, where time is the metric, at least quickly."""
    if len(jobs) > 1:
        raise UsageError(f"{' '.join(given)}: winners are timed in one way; give one value.")
    timed, sought = jobs[0].question.timing.seconds > 0, jobs[0].config["metric"] == "time_to_target"
    if sought and not timed:
        raise UsageError("metric=time_to_target needs a clock: set timing=quick or timing=full.")
    return (given or ["timing=quick"] if sought else given) if timed else []


def _ends(axis: Axis) -> npt.NDArray[np.float64]:
    """The first and the last value of an axis."""
    return np.array([axis.low, axis.high]) if isinstance(axis, Span) else np.array(axis.values)


def _axes(job: Job, spans: Sequence[Span]) -> list[Axis]:
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
    axes: list[Axis] = [
        *spans,
        *(Listed(name, tuple(dict.fromkeys(known[name].values().tolist()))) for name in listed),
    ]
    if not axes:
        raise UsageError("there is nothing to tune: leave out lr=, or give it as 'lr=tag(log,interval(1e-4,1))'.")
    return axes


def _search(job: Job, axes: list[Axis], points: int | None) -> Refinement:
    """The search of a row: as many trials for all rows, as all have the same axes; few show no plateau to prefer."""
    trials = choose_trials(axes, job.config["trials"], points)
    shows_plateaus = is_cost_metric(str(job.config["metric"])) and trials >= fewest_trials(axes, points)
    return Refinement(axes, trials, points, is_improvement, find_cost_class if shows_plateaus else classify_no_cost)


def _score(row: Row, point: Point) -> float:
    middle, index = row.seen[point]
    return float(middle["score"].iloc[index])


def _finalists(row: Row, middle: Point) -> list[Point]:
    """The choice, and the points after it with the least work: on its plateau, or where it has none of its class."""
    limits = find_cost_class(row.search.best)
    if limits is None:
        return []
    near = row.search.near(middle) or [point for point, score in row.search.tried.items() if score <= limits[1]]
    order = sorted(near, key=lambda point: (point != middle, max(row.search.tried[point], row.search.best), point))
    return order[:FINALISTS]
