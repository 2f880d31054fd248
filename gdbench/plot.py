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
    told, best = _told(runs)
    table = convergence_chart.drawn(curves.convergence(_runs_of(told, best), _traces(runs, traces)), against)
    return _shown(table, convergence_chart.chart(table, _look(best), against))


def sensitivity(runs: pd.DataFrame, cost: str = "gradients") -> Any:
    """What each optimizer pays to the target, in ``steps``, ``gradients`` or ``seconds``, at each learning rate."""
    told, best = _told(runs)
    table = over_lr.sensitivity(told, cost)
    return _shown(table, sensitivity_chart.chart(table, _look(best), cost))


def profile(runs: pd.DataFrame) -> Any:
    """The performance profiles of the optimizers over the problems: lr tuned for each, and one for all."""
    told, best = _told(runs)
    one_lr = chosen.one_for_all(told)
    table = charts.both_views(best, one_lr, profiles.performance_profile)
    return _shown(table, profile_chart.chart(table, _look(best)))


def trajectory(runs: pd.DataFrame, traces: pd.DataFrame | None = None) -> Any:
    """The paths of the optimizers on an objective of two coordinates, each at its best configuration, first seed."""
    told, best = _told(runs)
    paths = charts.paths(_runs_of(told, best), _traces(runs, traces))
    if paths["problem"].nunique() != 1:
        raise UsageError(
            f"a path needs runs of one problem with two coordinates; these have {paths['problem'].nunique()}."
        )
    box = charts.box(paths)
    return _shown(paths, trajectory_chart.chart(paths, charts.NO_LINES, _look(best), charts.NO_STARS, box))


def _told(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is compared, and the best configuration of each optimizer on each problem."""
    told = chosen.merged(problems.compared(runs))
    return told, chosen.tuned(told)


def _runs_of(told: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    keys = ["problem", "solver", "configuration"]
    return told.merge(best[keys], on=keys)


def _look(best: pd.DataFrame) -> Look:
    return Look.of(best["solver"], chosen.leading(best))


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
