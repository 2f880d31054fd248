"""Tuning: the best numbers of each method on each objective, by batched grids that are refined around the best."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gdbench.analysis.plateau import classify_no_cost
from gdbench.analysis.tuning_score import find_cost_class, is_cost_metric, is_improvement, score_configurations
from gdbench.analysis.tuning_table import build_tuning_table
from gdbench.engine.runner import ProgressCallback, ignore_progress
from gdbench.errors import UsageError
from gdbench.results.statuses import WITHOUT_RESULT
from gdbench.sweeps.adaptive import AdaptiveSweep
from gdbench.sweeps.grid_search import Refinement
from gdbench.sweeps.job import Job
from gdbench.sweeps.progress import Progress
from gdbench.sweeps.search_axes import Axis, Grid, Listed, Point, Span
from gdbench.sweeps.search_budget import choose_trials, fewest_trials
from gdbench.sweeps.sweep_spec import SweepSpec
from gdbench.sweeps.tuning_row import Row
from gdbench.sweeps.tuning_text import describe_winner

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Tuning"]


Plan = Callable[[Sequence[str]], list[Job]]
"""The cells of overrides."""

LR = Span("lr", 1e-6, 10.0, log=True, reach=(1e-12, 1e6))
"""The default range of lr."""
FINALISTS = 5
"""Number of points that are timed for metric=time_to_target: those with the least work."""


class NoRunnableCell(Exception):
    """Every run of this row failed: its search ends."""


class Tuning:
    """The search for the best numbers of each row; ``winners`` may be read at any time, also after an interruption."""

    def __init__(self, spec: SweepSpec, given: list[Span], others: Sequence[str], plan: Plan) -> None:
        """``given`` are the intervals among the overrides and ``others`` the rest; ``plan`` makes cells of overrides.

        Raises UsageError for what cannot be tuned, before a folder is made.
        """
        self.plan = plan
        if foreign := [word for word in others if word.lstrip("+~").startswith("hydra")]:
            raise UsageError(f"{foreign[0]}: tune has its own sweeper, in this process; leave it out.")
        named = {word.partition("=")[0].lstrip("+") for word in (*others, *(span.name for span in given))}
        spans = given if named & {"lr", "lr_scale"} else [LR, *given]
        clock = [word for word in others if re.match(r"timing[.=]", word)]
        jobs = plan([word for word in others if word not in clock])
        self.clock = _choose_clock(plan([*jobs[0].overrides, *clock]), clock)
        points = jobs[0].spec.axes[0].points if "points" in named else None
        self.rows = [Row(job, _make_search(job, _list_axes(job, spans), points)) for job in jobs]
        likely = [self._make_trial(row, [_end_values(axis) for axis in row.search.axes]) for row in self.rows]
        self.sweep = AdaptiveSweep(spec, likely)
        self.progress_callback: ProgressCallback = ignore_progress

    def run(self, progress: Progress) -> None:
        """Tune row after row, time the winners where asked to, and write the table of all runs."""
        self.progress_callback = progress.add_lane_steps
        progress.begin([row.job for row in self.rows])
        try:
            for row in self.rows:
                statuses: list[str] = []
                self._tune(row, progress, statuses)
                progress.finish_job(row.job, statuses)
        finally:
            progress.close()
            self.sweep.add_columns(self._tuned_columns())  # also of an interrupted search: its parts are all there is
        self.sweep.close()

    def winners(self) -> pd.DataFrame:
        """The best run of each method and objective that was begun, with the columns that the search adds."""
        return build_tuning_table([describe_winner(row) for row in self.rows if row.seen])

    def _tuned_columns(self) -> dict[str, dict[str, Any]]:
        """Columns of the chosen runs, by their keys: their place, and the metric that they were chosen by."""
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
        """Search one row, then time or trace its winner; adds the statuses of all runs to ``statuses``."""
        metric = "gradient_evals_to_target" if row.is_timed else row.metric

        def score(grid: Grid) -> npt.NDArray[np.float64]:
            progress.start_job(row)
            runs = self._run_cell(row, self._make_trial(row, grid), metric)
            statuses.extend(runs["status"].astype(str))
            if not runs["status"].isin(WITHOUT_RESULT).all():
                return np.array(
                    [_read_score(row, point) for point in itertools.product(*(axis.tolist() for axis in grid))]
                )
            raise NoRunnableCell

        try:
            row.search.run(score)
        except NoRunnableCell:
            return
        winner = row.search.middle()
        if winner is not None:
            self._time(row) if self.clock else self._trace(row, winner)

    def _make_trial(self, row: Row, grid: Grid) -> Job:
        """The cell of a grid: the row's own overrides, a list for each axis, no clock and no traces."""
        return self._make_job(row, grid, ["timing=off", "trace=none"])

    def _make_job(self, row: Row, grid: Grid, settings: Sequence[str]) -> Job:
        axes = [
            f"{name}=[{','.join(map(repr, values.tolist()))}]" for name, values in zip(row.names, grid, strict=True)
        ]
        (job,) = self.plan([*row.job.overrides, *axes, *settings])
        return job

    def _run_cell(self, row: Row, job: Job, metric: str) -> pd.DataFrame:
        """The run of the median seed at each point of a cell, which is run; the row remembers them."""
        job = self.sweep.add(job)
        self.sweep.run([job], self.progress_callback)
        runs = self.sweep.load_runs(job)
        assert runs is not None
        row.runs += len(runs)
        lanes = job.spec.lanes()
        columns = [f"tuned.{name}" for name in row.names]
        runs = runs.assign(**{f"tuned.{name}": lanes[name] for name in row.names})
        medians = score_configurations(runs, metric, columns)
        points = medians[columns].itertuples(index=False, name=None)
        row.seen.update({point: (medians, i) for i, point in enumerate(points)})
        by_point = runs.groupby(columns, sort=False)["run_id"].agg(list)
        row.keys.update({point if isinstance(point, tuple) else (point,): keys for point, keys in by_point.items()})
        return medians

    def _trace(self, row: Row, winner: Point) -> None:
        """Write the trace of a point, which trials leave out, so that it can be drawn."""
        job = self._make_job(row, [np.array([value]) for value in winner], ["timing=off"])
        table, index = row.seen[winner]
        if job.spec.trace != "none":
            self.sweep.add_traces(job, int(table["cell"].iloc[index]), self.progress_callback)

    def _time(self, row: Row) -> None:
        """Time the winner; where time is the metric, the finalists, of which the fastest wins."""
        middle = row.search.middle()
        assert middle is not None
        finalists = _list_finalists(row, middle) if row.is_timed else [middle]
        for point in finalists:
            self._run_cell(row, self._make_job(row, [np.array([value]) for value in point], self.clock), row.metric)
        if row.is_timed and finalists:
            row.winner = min(finalists, key=lambda point: _read_score(row, point))


def _choose_clock(jobs: Sequence[Job], given: list[str]) -> list[str]:
    """The overrides that time winners: the user's, none, or, where time is the metric, at least timing=quick."""
    if len(jobs) > 1:
        raise UsageError(f"{' '.join(given)}: winners are timed in one way; give one value.")
    is_timed, needs_time = jobs[0].spec.timing.seconds > 0, jobs[0].config["metric"] == "time_to_target"
    if needs_time and not is_timed:
        raise UsageError("metric=time_to_target needs a clock: set timing=quick or timing=full.")
    return (given or ["timing=quick"] if needs_time else given) if is_timed else []


def _end_values(axis: Axis) -> npt.NDArray[np.float64]:
    """The first and the last value of an axis."""
    return np.array([axis.low, axis.high]) if isinstance(axis, Span) else np.array(axis.values)


def _list_axes(job: Job, spans: Sequence[Span]) -> list[Axis]:
    """The axes of a row: the intervals, and the values that the user listed; ``UsageError`` where there is none."""
    known = {axis.name: axis for axis in job.spec.axes}
    listed = [name for name in job.spec.swept_axes() if name != "seed"]
    for span in spans:
        if span.name not in known or span.name == "seed":
            numbers = ", ".join(name for name in known if name not in ("seed", "optimizer.default_lr"))
            raise UsageError(
                f"{span.name}=interval(...): optimizer={job.spec.optimizer} has no such number to tune;"
                f" it has {numbers}."
            )
    axes: list[Axis] = [
        *spans,
        *(Listed(name, tuple(dict.fromkeys(known[name].values.tolist()))) for name in listed),
    ]
    if not axes:
        raise UsageError("there is nothing to tune: leave out lr=, or give it as 'lr=tag(log,interval(1e-4,1))'.")
    return axes


def _make_search(job: Job, axes: list[Axis], points: int | None) -> Refinement:
    """The search of a row, with as many trials as any other row; too few show no plateau to prefer."""
    trials = choose_trials(axes, job.config["trials"], points)
    shows_plateaus = is_cost_metric(str(job.config["metric"])) and trials >= fewest_trials(axes, points)
    return Refinement(axes, trials, points, is_improvement, find_cost_class if shows_plateaus else classify_no_cost)


def _read_score(row: Row, point: Point) -> float:
    """The score of a point's median seed."""
    middle, index = row.seen[point]
    return float(middle["score"].iloc[index])


def _list_finalists(row: Row, middle: Point) -> list[Point]:
    """The choice, and the points after it with the least work: on its plateau, or where it has none of its class."""
    limits = find_cost_class(row.search.best)
    if limits is None:
        return []
    near = row.search.near(middle) or [point for point, score in row.search.tried.items() if score <= limits[1]]
    order = sorted(near, key=lambda point: (point != middle, max(row.search.tried[point], row.search.best), point))
    return order[:FINALISTS]
