"""The report's charts for a notebook: a table of runs in, an Altair chart out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdbench.analysis import chosen, curves, problems, profiles
from gdbench.analysis import sensitivity as over_lr
from gdbench.records import load
from gdbench.report import charts
from gdbench.report.charts import convergence as convergence_chart
from gdbench.report.charts import profile as profile_chart
from gdbench.report.charts import sensitivity as sensitivity_chart
from gdbench.report.charts import trajectory as trajectory_chart
from gdbench.report.charts.parts import Drawn
from gdbench.report.look import Look, theme
from gdbench.schema import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["convergence", "profile", "sensitivity", "trajectory"]


def convergence(runs: pd.DataFrame, traces: pd.DataFrame | None = None, against: str = "step") -> Any:
    """The gap of each optimizer at its best configuration against ``step``, ``gradients`` or ``seconds``.

    ``traces`` are those of the runs' folder, where it is known. Raises UsageError where there is nothing to draw.
    """
    best = _best(runs)
    table = convergence_chart.drawn(curves.convergence(best, _traces(runs, traces)), against)
    return _shown(table, convergence_chart.chart(table, _look(runs), against))


def sensitivity(runs: pd.DataFrame, cost: str = "gradients") -> Any:
    """What each optimizer pays to the target, in ``steps``, ``gradients`` or ``seconds``, at each learning rate."""
    table = over_lr.sensitivity(problems.merged(problems.compared(runs)), cost)
    return _shown(table, sensitivity_chart.chart(table, _look(runs), cost))


def profile(runs: pd.DataFrame) -> Any:
    """The performance profiles of the optimizers over the problems: lr tuned for each, and one for all."""
    costs = problems.costs(problems.merged(problems.compared(runs)))
    table = charts.both_views(costs, profiles.performance_profile)
    return _shown(table, profile_chart.chart(table, _look(runs)))


def trajectory(runs: pd.DataFrame, traces: pd.DataFrame | None = None) -> Any:
    """The paths of the optimizers on an objective of two coordinates, each at its best configuration, first seed."""
    paths = charts.paths(_best(runs), _traces(runs, traces))
    if paths["problem"].nunique() != 1:
        raise UsageError(
            f"a path needs runs of one problem with two coordinates; these have {paths['problem'].nunique()}."
        )
    box = charts.box(paths)
    return _shown(paths, trajectory_chart.chart(paths, charts.NO_LINES, _look(runs), charts.NO_STARS, box))


def _best(runs: pd.DataFrame) -> pd.DataFrame:
    told = problems.merged(problems.compared(runs))
    keys = ["problem", "solver", "configuration"]
    return told.merge(chosen.tuned(problems.costs(told))[keys], on=keys)


def _look(runs: pd.DataFrame) -> Look:
    return Look.of(runs["optimizer"].astype(str))


def _traces(runs: pd.DataFrame, given: pd.DataFrame | None) -> pd.DataFrame:
    if given is not None:
        return given
    if "folder" not in runs.attrs:
        raise UsageError('give the traces too: traces=gdbench.load(folder, "traces").')
    return load(runs.attrs["folder"], "traces")


def _shown(table: pd.DataFrame, drawn: Drawn) -> Any:
    if table.empty:
        raise UsageError("there are 0 finite points to draw.")
    return drawn.whole().configure(**theme(False))
