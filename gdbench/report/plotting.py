"""The report's charts for a notebook: a table of runs in, an Altair chart out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gdbench.analysis import best_configuration, convergence_curves, performance_profiles
from gdbench.analysis import lr_sensitivity as over_lr
from gdbench.analysis.chart_lines import ChartLines, select_chart_lines
from gdbench.analysis.divergence_clipping import add_nonfinite_steps, clip_curves, clip_paths, find_diverging
from gdbench.errors import UsageError, list_few
from gdbench.report import charts
from gdbench.report.charts import convergence as convergence_chart
from gdbench.report.charts import final_losses as losses_chart
from gdbench.report.charts import lr_sensitivity as sensitivity_chart
from gdbench.report.charts import profiles as profile_chart
from gdbench.report.charts import trajectory as trajectory_chart
from gdbench.report.charts.vega_lite import Drawn
from gdbench.report.style import MOST, Look, ordered_pair, theme
from gdbench.results import costs
from gdbench.results.columns import COLUMNS
from gdbench.results.load import load

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.objectives.base import Objective

__all__ = ["convergence", "profile", "sensitivity", "trajectory"]


def __dir__() -> list[str]:
    """The charts alone, for those who look for them with a tab."""
    return __all__


LEFT = "×: left the picture, as it diverged"
UNREACHED = "no run stays at a target"
NEVER_RAN = ("failed", "unavailable")
"""Statuses of runs of which nothing can be drawn."""
WIDTH_OF_NOTES = 52
"""Characters of a line of a chart's note."""


def convergence(
    runs: pd.DataFrame, traces: pd.DataFrame | None = None, against: str = "step", by: str | Sequence[str] = ()
) -> Any:
    """The gap of each optimizer at its best configuration against ``step``, ``gradients`` or ``seconds``.

    Where a minimum is unknown the loss is drawn. ``by`` names settings, such as ``"lr"`` or ``["lr", "dtype"]``, of
    which each value has a line of its own, in one panel. What diverged is drawn to where it leaves, and marked.
    ``runs`` are whole rows of a table that run, sweep, tune or load gave, and ``traces`` those of the same folder,
    where it is not known. Raises UsageError where there is nothing to draw.
    """
    _check_choice("against", against, convergence_chart.AXES)
    recorded = _traces(runs, traces)
    lines = _lines(runs[runs["run_id"].isin(recorded["run_id"])], by)
    steps = convergence_curves.compute_convergence_curves(lines.runs, add_nonfinite_steps(lines.runs, recorded))
    table = convergence_chart.drawn(clip_curves(steps, find_diverging(lines.runs)), against)
    missing = [name for name in lines.runs["problem"].unique() if name not in set(table["problem"])]
    reasons = [f"{name} is not drawn: {_why_missing(steps[steps['problem'] == name], against)}" for name in missing]
    if table.empty:
        raise UsageError(f"there is nothing to draw: {'; '.join(reasons)}.")
    partly = [
        f"{name} is drawn where its loss is positive, as gaps are on a log axis" for name in _halved(steps, table)
    ]
    notes = [*([LEFT] if table["left"].any() else []), *reasons, *partly, *_unrecorded(runs, recorded)]
    return _shown(table, convergence_chart.chart(table, _look(lines), against), notes)


def sensitivity(runs: pd.DataFrame, cost: str = "gradients") -> Any:
    """What each optimizer pays to the target, in ``steps``, ``gradients`` or ``seconds``, at each learning rate.

    Where no run stays at a target, as where none is known, the final losses are drawn.
    """
    _check_choice("cost", cost, costs.COST_COLUMNS)
    told, best = _told(runs)
    look = Look.of(best["solver"], best_configuration.rank_solvers(best))
    table = over_lr.compute_lr_sensitivity(told, cost)
    reached = table["cost"] < math.inf
    if reached.any():
        missed = [name for name in table["problem"].unique() if name not in set(table.loc[reached, "problem"])]
        notes = [f"on {name} no run stays at its target" for name in missed]
        return _shown(table, sensitivity_chart.chart(table, look, cost), notes)
    if cost == "seconds" and told["step_s"].isna().all():
        raise UsageError("there are no seconds to draw: nothing was timed (timing=off).")
    losses = over_lr.select_final_losses(told)
    if losses.empty:
        raise UsageError("there is nothing to draw: no run reached a target or ended below its start.")
    return _shown(losses, losses_chart.chart(losses, look), [f"{UNREACHED}: final losses are drawn"])


def profile(runs: pd.DataFrame) -> Any:
    """The performance profiles of the optimizers over the problems: lr tuned for each, and one for all."""
    told, best = _told(runs)
    one_lr = best_configuration.select_common_configurations(told)
    table = charts.both_views(best, one_lr, performance_profiles.compute_performance_profile)
    drawn = profile_chart.chart(table, Look.of(best["solver"], best_configuration.rank_solvers(best)))
    return _shown(table, drawn, _describe_flat(table))


def trajectory(
    runs: pd.DataFrame,
    traces: pd.DataFrame | None = None,
    by: str | Sequence[str] = (),
    objective: Objective | Callable[..., Any] | None = None,
) -> Any:
    """The paths of the optimizers on an objective of two coordinates, each at its best configuration, first seed.

    Contours are those of gdbench's own objectives; for a function of one's own give it as ``objective``. ``by`` and
    ``traces`` are those of ``convergence``. What diverged is drawn to where it leaves the picture, and marked.
    """
    recorded = _traces(runs, traces)
    lines = _lines(runs[runs["run_id"].isin(recorded["run_id"])], by)
    paths = charts.paths(lines.runs, recorded)
    _check_one_plane(paths, lines.runs)
    first = lines.runs.sort_values("seed", kind="stable").drop_duplicates(["problem", "solver"])
    rows = find_diverging(first)
    diverging = set(rows.loc[rows["diverging"], "solver"])
    calm = ~paths["optimizer"].isin(diverging)
    box = charts.box(paths[(calm | (paths["step"] == 0)) if calm.any() else _is_near(paths)])
    shown, ends = clip_paths(paths, box, diverging)
    ground = _ground(runs, lines.runs.iloc[0], box, objective)
    notes = [*([LEFT] if len(ends) else []), *_unrecorded(runs, recorded)]
    if ground is None:
        notes.append("no contours: only gdbench's own objectives have them; for yours give objective=your_function")
    contours, stars = (
        (trajectory_chart.contours(ground[0]), ground[1]) if ground else (charts.NO_LINES, charts.NO_STARS)
    )
    drawn = trajectory_chart.chart(shown, contours, _look(lines), stars, box, ends)
    name = str(paths["problem"].iloc[0])
    return _shown(shown, Drawn({**drawn.chart, "title": name}, drawn.datasets), notes)


# ------------------------------------------------------------------------------------------------ what is drawn


def _told(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is compared, and the best configuration of each optimizer on each problem."""
    _check_rows(runs)
    told = best_configuration.select_best_impls(costs.select_comparable(runs))
    return told, best_configuration.select_best_configurations(told)


def _lines(runs: pd.DataFrame, by: str | Sequence[str]) -> ChartLines:
    lines = select_chart_lines(runs, [by] if isinstance(by, str) else list(by))
    if by and len(lines.solvers) > MOST:
        raise UsageError(
            f"by= gives {len(lines.solvers)} lines, and more than {MOST} cannot be told apart:"
            " choose some of the runs, as in runs[runs['lr'].isin([0.01, 0.1])]."
        )
    return lines


def _look(lines: ChartLines) -> Look:
    if not lines.chosen:
        return Look.of(lines.solvers, lines.leading)
    panels = min(lines.runs["problem"].nunique(), 3)
    beside = max(1, 300 * panels // (45 + 7 * max(map(len, lines.solvers))))
    pairs = {solver: ordered_pair(*place) for solver, place in lines.places.items()}
    return Look(lines.solvers, len(lines.solvers), columns=beside, pairs=pairs)


def _check_rows(runs: pd.DataFrame) -> None:
    """UsageError unless these are whole rows of a table of runs, and some."""
    if not hasattr(runs, "columns"):
        raise UsageError(f"{runs!r} is no table of runs: give what gdbench.run, sweep, tune or load return.")
    lacking = [name for name in COLUMNS if name not in runs]
    if lacking:
        others = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise UsageError(
            f"the table has no column {lacking[0]}{others}: give whole rows, as gdbench.run, sweep, tune or load return"
            " them (filtered by rows as you like)."
        )
    if runs.empty:
        raise UsageError("the table has 0 runs: nothing is left to draw of what was filtered.")
    if runs["status"].isin(NEVER_RAN).all():
        reason = (str(runs["error"].iloc[0]) or "unknown").splitlines()[0]
        raise UsageError(f"none of these runs ran ({runs['status'].iloc[0]}: {reason}).")


def _check_choice(name: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r} is not known. Allowed: {', '.join(allowed)}.")


def _check_one_plane(paths: pd.DataFrame, runs: pd.DataFrame) -> None:
    """UsageError unless paths are of one problem of two coordinates."""
    names = [str(name) for name in paths["problem"].unique()]
    if not names:
        raise UsageError(
            "a path needs finite points of two coordinates, and there are none here"
            f" ({list_few(runs['problem'].astype(str))})."
        )
    if len(names) > 1:
        raise UsageError(
            f"a path needs runs of one problem, and these have {len(names)} ({list_few(names)}): choose one, as in"
            " runs[runs['objective'] == 'rosenbrock'], or by='dtype' where that is what differs."
        )


def _is_near(paths: pd.DataFrame) -> Any:
    """The points of paths that all diverge that show how they leave: those before the loss is ten times the first."""
    start = paths.loc[paths["step"] == 0, "loss"].max()
    return (paths["step"] == 0) | (paths["loss"].abs() <= 10 * max(abs(start), 1.0))


def _describe_flat(table: pd.DataFrame) -> list[str]:
    """Why the lines of profiles have no step, for each view, or for both, in which none has one."""
    reasons = {str(view): _why_flat(rows) for view, rows in table.groupby("view", sort=False)}
    if len(set(reasons.values())) == 1:
        return [reason for reason in list(reasons.values())[:1] if reason]
    return [f"{view}: {reason}" for view, reason in reasons.items() if reason]


def _why_flat(view: pd.DataFrame) -> str:
    """Why no line of a view has a step; nothing where one has."""
    if view.groupby("optimizer").size().max() > 1:
        return ""
    if not view["share"].any():
        return f"{UNREACHED}: all lines lie at 0"
    if len(view) == 1:
        return f"{view['optimizer'].iloc[0]} is alone, so it is the best wherever it stays at its target"
    return "each optimizer is the best on every problem where it stays at its target, so no line has a step"


def _why_missing(curve: pd.DataFrame, against: str) -> str:
    """Why nothing of a problem is in the picture."""
    if curve.empty:
        return "nothing was recorded of its runs"
    if against != "step" and curve[against].isna().all():
        return "nothing was timed (timing=off)" if against == "seconds" else f"its {against} are unknown"
    if curve["gap"].isna().all() and (curve["loss"] <= 0).any():
        return "its losses are not positive, which a log axis beside gaps cannot show; draw its runs alone"
    return "it has no finite point after its start"


def _halved(steps: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """The problems in the picture of which losses are not in it."""
    unknown = steps[steps["gap"].isna() & (steps["loss"] <= 0) & steps["problem"].isin(table["problem"])]
    return [str(name) for name in unknown["problem"].unique()] if (table["y"] == "gap").any() else []


def _ground(runs: pd.DataFrame, run: pd.Series, box: Any, objective: Any) -> Any:
    """The values under paths on a grid, and the minimisers; None where it is unknown what the function is."""
    from gdbench.engine.loss_landscape import landscape, landscape_of

    if objective is not None:
        return landscape_of(objective, str(run["dtype"]), box)
    return landscape(_folders(runs), run, box)


def _folders(runs: pd.DataFrame) -> list[Any]:
    from gdbench.results.load import find_origin_folders

    return find_origin_folders(runs.attrs["folder"]) if "folder" in runs.attrs else []


def _traces(runs: pd.DataFrame, given: pd.DataFrame | None) -> pd.DataFrame:
    """The traces that are given, or those of the runs' folder; some of them are of these runs."""
    _check_rows(runs)
    if given is None and "folder" not in runs.attrs:
        raise UsageError('give the traces too: traces=gdbench.load(folder, "traces").')
    reason = "there are no traces of these runs: they were made with trace=none"
    try:
        traces = load(runs.attrs["folder"], "traces") if given is None else given
    except UsageError as error:
        raise UsageError(f"{reason}, or {runs.attrs['folder']} was changed.") from error
    if not traces["run_id"].isin(runs["run_id"]).any():
        raise UsageError(f"{reason}, or the traces are of others.")
    return traces


def _unrecorded(runs: pd.DataFrame, traces: pd.DataFrame) -> list[str]:
    """What is to be said where the paths of some runs were not recorded, as of the trials of a search."""
    whole = runs[~runs["status"].isin(NEVER_RAN)]
    missing = int((~whole["run_id"].isin(traces["run_id"])).sum())
    return [f"{missing} of {len(whole)} runs recorded no path: the best of the others are drawn"] if missing else []


def _shown(table: pd.DataFrame, drawn: Drawn, notes: Sequence[str] = ()) -> Any:
    if table.empty:
        raise UsageError("there are 0 finite points to draw.")
    return Drawn(_noted(drawn.chart, notes), drawn.datasets).whole().configure(**theme(False))


def _noted(chart: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """A chart with notes under its name."""
    lines = [line for note in notes for line in textwrap.wrap(note, WIDTH_OF_NOTES)]
    if not lines:
        return chart
    if "title" not in chart:
        return {**chart, "title": {"text": lines, "fontSize": 11, "fontWeight": "normal"}}
    return {**chart, "title": {"text": chart["title"], "subtitle": lines}}
