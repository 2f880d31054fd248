"""Charts of the report for notebooks: a table of runs in, an Altair chart out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gdbench.analysis import best_configuration, convergence_curves, performance_profiles
from gdbench.analysis import lr_sensitivity as lr_analysis
from gdbench.analysis.chart_lines import ChartLines, select_chart_lines
from gdbench.analysis.divergence_clipping import add_nonfinite_steps, clip_curves, clip_paths, find_diverging
from gdbench.errors import UsageError, list_few
from gdbench.report.charts import convergence as convergence_chart
from gdbench.report.charts.final_losses import draw_final_losses
from gdbench.report.charts.lr_sensitivity import draw_sensitivity
from gdbench.report.charts.profiles import draw_profiles, stack_views
from gdbench.report.charts.trajectory import bounding_box, draw_paths, select_paths
from gdbench.report.charts.vega_lite import ChartSpec
from gdbench.report.style import MAX_COLOURED, Style, interpolate_colour, vega_theme
from gdbench.results import costs as run_costs
from gdbench.results.columns import COLUMNS
from gdbench.results.load import load
from gdbench.results.ranking import rank_configurations
from gdbench.results.statuses import WITHOUT_RESULT

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.objectives.base import Objective

__all__ = ["convergence", "profile", "sensitivity", "trajectory"]


def __dir__() -> list[str]:
    """The chart functions only, for tab completion."""
    return __all__


LEFT_NOTE = "×: left the picture, as it diverged"
NOT_REACHED = "no run stays at a target"
NOTE_WIDTH = 52
"""Characters per line of a note."""


def convergence(
    runs: pd.DataFrame, traces: pd.DataFrame | None = None, against: str = "step", by: str | Sequence[str] = ()
) -> Any:
    """The gap of each optimizer at its best configuration against ``step``, ``gradients`` or ``seconds``.

    The loss is drawn where the minimum is unknown. ``by`` names settings, such as ``"lr"`` or ``["lr", "dtype"]``: each
    of their values gets a line, all in one panel. Diverging runs are drawn up to where they leave the picture, with a
    mark. ``runs`` are rows of a table from run, sweep, tune or load; ``traces`` those of the same folder, needed if
    the table does not know its folder. Raises UsageError if there is nothing to draw.
    """
    _check_choice("against", against, convergence_chart.AXES)
    recorded = _find_traces(runs, traces)
    lines = _choose_lines(runs[runs["run_id"].isin(recorded["run_id"])], by)
    curves = convergence_curves.compute_convergence_curves(lines.runs, add_nonfinite_steps(lines.runs, recorded))
    table = convergence_chart.select_drawable(clip_curves(curves, find_diverging(lines.runs)), against)
    missing = [name for name in lines.runs["problem"].unique() if name not in set(table["problem"])]
    reasons = [
        f"{name} is not drawn: {_explain_missing(curves[curves['problem'] == name], against)}" for name in missing
    ]
    if table.empty:
        raise UsageError(f"there is nothing to draw: {'; '.join(reasons)}.")
    partly = [
        f"{name} is drawn where its loss is positive, as gaps are on a log axis"
        for name in _partly_drawn_problems(curves, table)
    ]
    notes = [*([LEFT_NOTE] if table["left"].any() else []), *reasons, *partly, *_describe_unrecorded(runs, recorded)]
    return _finish_chart(table, convergence_chart.draw_convergence(table, _make_style(lines), against), notes)


def sensitivity(runs: pd.DataFrame, cost: str = "gradients") -> Any:
    """The cost of each optimizer to the target, in ``steps``, ``gradients`` or ``seconds``, against learning rate.

    Final losses are drawn if no run stays at a target.
    """
    _check_choice("cost", cost, run_costs.COST_COLUMNS)
    compared, best = _select_compared(runs)
    style = _style_of_best(best)
    table = lr_analysis.compute_lr_sensitivity(compared, cost)
    reached = table["cost"] < math.inf
    if reached.any():
        missed = [name for name in table["problem"].unique() if name not in set(table.loc[reached, "problem"])]
        notes = [f"on {name} no run stays at its target" for name in missed]
        return _finish_chart(table, draw_sensitivity(table, style, cost), notes)
    if cost == "seconds" and compared["step_s"].isna().all():
        raise UsageError("there are no seconds to draw: nothing was timed (timing=off).")
    losses = lr_analysis.select_final_losses(rank_configurations(compared))
    if losses.empty:
        raise UsageError("there is nothing to draw: no run reached a target or ended below its start.")
    return _finish_chart(losses, draw_final_losses(losses, style), [f"{NOT_REACHED}: final losses are drawn"])


def profile(runs: pd.DataFrame) -> Any:
    """The performance profiles of the optimizers over the problems: lr tuned per problem, and one lr for all."""
    compared, best = _select_compared(runs)
    one_lr = best_configuration.select_common_configurations(compared)
    table = stack_views(best, one_lr, performance_profiles.compute_performance_profile)
    return _finish_chart(table, draw_profiles(table, _style_of_best(best)), _describe_flat_profiles(table))


def trajectory(
    runs: pd.DataFrame,
    traces: pd.DataFrame | None = None,
    by: str | Sequence[str] = (),
    objective: Objective | Callable[..., Any] | None = None,
) -> Any:
    """The paths of the optimizers on an objective of two coordinates, each at its best configuration, first seed.

    Contours are drawn for gdbench's own objectives; pass a function of your own as ``objective``. ``by`` and ``traces``
    as in ``convergence``. Diverging runs are drawn up to where they leave the picture, with a mark.
    """
    recorded = _find_traces(runs, traces)
    lines = _choose_lines(runs[runs["run_id"].isin(recorded["run_id"])], by)
    paths = select_paths(lines.runs, recorded)
    _check_one_plane(paths, lines.runs)
    first = lines.runs.sort_values("seed", kind="stable").drop_duplicates(["problem", "solver"])
    rows = find_diverging(first)
    diverging = set(rows.loc[rows["diverging"], "solver"])
    calm = ~paths["optimizer"].isin(diverging)
    box = bounding_box(paths[(calm | (paths["step"] == 0)) if calm.any() else _is_near_start(paths)])
    inside, ends = clip_paths(paths, box, diverging)
    ground = _compute_landscape(runs, lines.runs.iloc[0], box, objective)
    notes = [*([LEFT_NOTE] if len(ends) else []), *_describe_unrecorded(runs, recorded)]
    if ground is None:
        notes.append("no contours: only gdbench's own objectives have them; for yours give objective=your_function")
    spec = draw_paths(inside, ground, _make_style(lines), box, ends)
    return _finish_chart(
        inside, ChartSpec({**spec.chart, "title": str(paths["problem"].iloc[0])}, spec.datasets), notes
    )


# ------------------------------------------------------------------------------------------------ what is drawn


def _select_compared(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs that are compared, and the best configuration of each optimizer on each problem."""
    _check_rows(runs)
    compared = best_configuration.select_best_impls(run_costs.select_comparable(runs))
    return compared, best_configuration.select_best_configurations(compared)


def _choose_lines(runs: pd.DataFrame, by: str | Sequence[str]) -> ChartLines:
    lines = select_chart_lines(runs, [by] if isinstance(by, str) else list(by))
    if by and len(lines.solvers) > MAX_COLOURED:
        raise UsageError(
            f"by= gives {len(lines.solvers)} lines, and more than {MAX_COLOURED} cannot be distinguished:"
            " select some of the runs, as in runs[runs['lr'].isin([0.01, 0.1])]."
        )
    return lines


def _style_of_best(best: pd.DataFrame) -> Style:
    return Style.assign(best["solver"], best_configuration.rank_solvers(best))


def _make_style(lines: ChartLines) -> Style:
    if not lines.chosen:
        return Style.assign(lines.solvers, lines.leading)
    panels = min(lines.runs["problem"].nunique(), 3)
    columns = max(1, 300 * panels // (45 + 7 * max(map(len, lines.solvers))))
    pairs = {solver: interpolate_colour(*place) for solver, place in lines.places.items()}
    return Style(lines.solvers, len(lines.solvers), columns=columns, pairs=pairs)


def _check_rows(runs: pd.DataFrame) -> None:
    """UsageError unless ``runs`` are complete rows of a table of runs, of which at least one ran."""
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
        raise UsageError("the table has 0 runs: the filter excludes all of them.")
    if runs["status"].isin(WITHOUT_RESULT).all():
        reason = (str(runs["error"].iloc[0]) or "unknown").splitlines()[0]
        raise UsageError(f"none of these runs ran ({runs['status'].iloc[0]}: {reason}).")


def _check_choice(name: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r} is not known. Allowed: {', '.join(allowed)}.")


def _check_one_plane(paths: pd.DataFrame, runs: pd.DataFrame) -> None:
    """UsageError unless the paths are of one problem of two coordinates."""
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


def _is_near_start(paths: pd.DataFrame) -> Any:
    """Whether each point is a start or has at most ten times the loss of the start, for paths that all diverge."""
    start = paths.loc[paths["step"] == 0, "loss"].max()
    return (paths["step"] == 0) | (paths["loss"].abs() <= 10 * max(abs(start), 1.0))


def _describe_flat_profiles(table: pd.DataFrame) -> list[str]:
    """Reasons why no line of a view has a step; one if all views share it."""
    reasons = {str(view): _explain_flat(rows) for view, rows in table.groupby("view", sort=False)}
    if len(set(reasons.values())) == 1:
        return [reason for reason in list(reasons.values())[:1] if reason]
    return [f"{view}: {reason}" for view, reason in reasons.items() if reason]


def _explain_flat(view: pd.DataFrame) -> str:
    """The reason why no line of a view has a step; empty if one has."""
    if view.groupby("optimizer").size().max() > 1:
        return ""
    if not view["share"].any():
        return f"{NOT_REACHED}: all lines lie at 0"
    if len(view) == 1:
        return f"{view['optimizer'].iloc[0]} is alone, so it is the best wherever it stays at its target"
    return "each optimizer is the best on every problem where it stays at its target, so no line has a step"


def _explain_missing(curve: pd.DataFrame, against: str) -> str:
    """The reason why a problem is not in the picture."""
    if curve.empty:
        return "nothing was recorded of its runs"
    if against != "step" and curve[against].isna().all():
        return "nothing was timed (timing=off)" if against == "seconds" else f"its {against} are unknown"
    if curve["gap"].isna().all() and (curve["loss"] <= 0).any():
        return "its losses are not positive, which a log axis beside gaps cannot show; draw its runs alone"
    return "it has no finite point after its start"


def _partly_drawn_problems(curves: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Problems in the picture whose losses are not all positive and share a log axis with gaps."""
    losses = curves[curves["gap"].isna() & (curves["loss"] <= 0) & curves["problem"].isin(table["problem"])]
    return [str(name) for name in losses["problem"].unique()] if (table["y"] == "gap").any() else []


def _compute_landscape(runs: pd.DataFrame, run: pd.Series, box: Any, objective: Any) -> Any:
    """The objective on a grid over the box, and its minimisers; None if the function is unknown."""
    from gdbench.engine.loss_landscape import compute_function_landscape, compute_landscape

    if objective is not None:
        return compute_function_landscape(objective, str(run["dtype"]), box)
    return compute_landscape(_sweep_folders(runs), run, box)


def _sweep_folders(runs: pd.DataFrame) -> list[Any]:
    from gdbench.results.load import find_origin_folders

    return find_origin_folders(runs.attrs["folder"]) if "folder" in runs.attrs else []


def _find_traces(runs: pd.DataFrame, given: pd.DataFrame | None) -> pd.DataFrame:
    """The given traces or those of the runs' folder; UsageError if none of them is of these runs."""
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


def _describe_unrecorded(runs: pd.DataFrame, traces: pd.DataFrame) -> list[str]:
    """A note on runs without a recorded path, such as the trials of a search."""
    ran = runs[~runs["status"].isin(WITHOUT_RESULT)]
    missing = int((~ran["run_id"].isin(traces["run_id"])).sum())
    return [f"{missing} of {len(ran)} runs recorded no path: the best of the others are drawn"] if missing else []


def _finish_chart(table: pd.DataFrame, spec: ChartSpec, notes: Sequence[str] = ()) -> Any:
    """The Altair chart with notes below its title."""
    if table.empty:
        raise UsageError("there are 0 finite points to draw.")
    chart, lines = spec.chart, [line for note in notes for line in textwrap.wrap(note, NOTE_WIDTH)]
    if lines and "title" in chart:
        chart = {**chart, "title": {"text": chart["title"], "subtitle": lines}}
    elif lines:
        chart = {**chart, "title": {"text": lines, "fontSize": 11, "fontWeight": "normal"}}
    return ChartSpec(chart, spec.datasets).to_altair().configure(**vega_theme(False))
