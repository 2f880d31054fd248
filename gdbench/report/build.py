"""Build a report from runs and traces: its figures and tables, with captions that state their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from gdbench.analysis import convergence_curves, step_times
from gdbench.analysis.precision import PARTING_DIFFERENCE, compute_attained_gaps
from gdbench.analysis.training_results import exclude_training_runs
from gdbench.analysis.winners import find_winners
from gdbench.errors import format_count
from gdbench.report.across_section import make_across_figures, make_across_tables
from gdbench.report.charts import convergence, precision, steps_to_target, trajectory
from gdbench.report.charts.vega_lite import MAX_PANELS, Figure, name_figure
from gdbench.report.inputs import ReportInputs
from gdbench.report.lr_section import make_lr_figures, make_lr_tables
from gdbench.report.report_data import Landscape, ReportData, ReportTable, Section, describe_band, describe_panels
from gdbench.report.summary_text import verdict_sentences, verdict_table
from gdbench.report.time_section import make_time_figures, make_time_tables
from gdbench.report.training_section import make_training_figures
from gdbench.report.training_tables import make_training_tables

__all__ = ["Report", "build_report", "keep_sections", "make_sections"]

FigureReady = Callable[[Figure], None]


@dataclass
class Report:
    """The content of a report, independent of its output format."""

    inputs: ReportInputs
    data: ReportData
    sentences: list[str]
    """The verdict in sentences."""
    summary: ReportTable
    """The verdict as a table."""
    sections: list[Section]
    places: list[str]
    """The folders of its runs, as text."""
    title: str = "gdbench report"

    @property
    def figures(self) -> list[Figure]:
        """All figures with a chart."""
        return [figure for section in self.sections for figure in section.figures if figure.chart is not None]

    @property
    def tables(self) -> list[ReportTable]:
        """All tables of the sections."""
        return [table for section in self.sections for table in section.tables]


def build_report(
    inputs: ReportInputs, landscape: Landscape | None = None, on_figure: FigureReady | None = None
) -> Report:
    """The report of some runs; ``on_figure`` is called with each figure as soon as it is made."""
    data = ReportData(inputs)
    sections = keep_sections(data, make_sections(data, landscape), on_figure)
    table = find_winners(data.runs, data.compared)
    places = [str(folder) for folder in inputs.folders]
    return Report(inputs, data, verdict_sentences(table), verdict_table(table, data.problems), sections, places)


def keep_sections(data: ReportData, sections: Iterable[Section], on_figure: FigureReady | None) -> list[Section]:
    """The sections that are not empty, with complete captions; ``on_figure`` is called with each figure."""
    filled = []
    with alt.utils.schemapi.debug_mode(False):  # charts are checked by tests: as JSON schema it takes seconds
        for section in sections:
            for figure in section.figures:
                figure.rule += describe_panels(figure) + data.describe_grey(figure)
                if on_figure and figure.chart is not None:
                    on_figure(figure)
            if section.figures or section.tables:
                filled.append(section)
    return filled


def make_sections(data: ReportData, landscape: Landscape | None) -> Iterator[Section]:
    """All sections of a report, lazily."""
    targets = [*_steps_to_target_figures(data), *_precision_figures(data)]
    yield Section("training", "Training", make_training_figures(data), make_training_tables(data))
    yield Section("convergence", "Convergence", _convergence_figures(data))
    yield Section("sensitivity", "Learning rate", make_lr_figures(data), make_lr_tables(data))
    yield Section("targets", "Targets and precision", targets, _steps_to_target_tables(data))
    yield Section("time", "Time", make_time_figures(data), make_time_tables(data))
    yield Section("across", "Across problems", make_across_figures(data), make_across_tables(data))
    yield Section("trajectories", "Paths", _path_figures(data, landscape))


def _convergence_figures(data: ReportData) -> list[Figure]:
    runs = exclude_training_runs(data.best_runs)
    if runs.empty and len(data.best_runs):
        return []
    if data.traces.empty or runs.empty:
        rule = "No traces were recorded (trace=none)."
        return [Figure("convergence", "Gap against steps", rule, pd.DataFrame())]
    table = convergence_curves.compute_convergence_curves(runs, data.traces)
    axes = ["step"]
    if (table["gradients"] - 1).abs().max() > 1e-9:
        axes.append("gradients")
    if table["seconds"].notna().any() and step_times.count_processes(runs) == 1:
        axes.append("seconds")
    return [_convergence_figure(data, len(runs), table, against) for against in axes]


def _convergence_figure(data: ReportData, count: int, curves: pd.DataFrame, against: str) -> Figure:
    table = convergence.select_drawable(data.sort_by_problem(curves), against)
    measures = set(table["y"])
    name = {"step": "steps"}.get(against, against)
    title = f"{' or '.join(sorted(measures)).capitalize() or 'Gap'} against {name}"
    if table.empty:
        return Figure(f"convergence-{name}", title, "0 finite points: nothing can be drawn on log axes.", table)
    rule = (
        f"Each optimizer at its best configuration ({count} of {len(data.compared)} runs), at the"
        f" recorded steps from 1 on. Best:{' what tune chose, else' if data.is_tuned else ''} the fewest gradients"
        " among configurations that reach the target and stay there, else the first that reached it and left again,"
        " else the lowest final gap or loss."
    )
    if data.seed_count > 1:
        rule += f" Line: median over up to {data.seed_count} seeds{describe_band(table, 'quartiles')}."
    rule += " Gaps below what the dtype resolves are drawn at that limit." if "gap" in measures else ""
    rule += " The loss is drawn where the minimum is unknown." if "loss" in measures else ""
    if ended := int(curves.groupby(["problem", "solver"])["ended"].max().sum()):
        rule += f" {format_count(ended, 'run')} became nonfinite and count as infinite from then on."
    chart = convergence.draw_convergence(table, data.style, against)
    return Figure(f"convergence-{name}", title, rule, table, chart, name, "convergence")


def _steps_to_target_figures(data: ReportData) -> list[Figure]:
    table = data.steps_to_targets
    reached = table[np.isfinite(table["steps"])]
    title = "Steps to each target"
    if reached.empty and exclude_training_runs(data.compared).empty:
        return []
    if reached.empty:
        rule = "No target was reached." if len(table) else "No minimum is known, so there are no gaps."
        return [Figure("ladder", title, rule, table)]
    rule = (
        "First step at or below each relative gap, at the configuration that is best for the sweep's target; exact,"
        " median over seeds. If that configuration stays at the target, a seed that left it counts as not having"
        f" reached it. {len(reached)} of {len(table)} targets that the dtype resolves were reached."
    )
    chart = steps_to_target.draw_steps_to_target(reached, data.style)
    return [Figure("ladder", title, rule, reached, chart)]


def _steps_to_target_tables(data: ReportData) -> list[ReportTable]:
    table = data.steps_to_targets
    if table.empty:
        return []
    index = ["problem", "optimizer", "configuration"]
    wide = table.pivot_table(index=index, columns="target", values="steps", aggfunc="first", sort=False)
    wide = wide.sort_index(axis=1, ascending=False)
    wide.columns = [f"{target:.0e}".replace("e-0", "e-") for target in wide]
    rule = "Steps to each relative gap; empty: below what the dtype resolves."
    return [ReportTable("ladder", "Steps to each target", rule, wide.reset_index())]


def _precision_figures(data: ReportData) -> list[Figure]:
    pairs = compute_attained_gaps(data.compared, data.traces)
    if pairs.empty:
        return []
    key = ["objective", "optimizer", "dtype"]
    best = pairs.sort_values("wide_attained").drop_duplicates(key).sort_index()
    wide = best.assign(dtype=best["wide_dtype"], attained=best["wide_attained"], parted=np.nan)
    both = pd.concat([best, wide]).drop_duplicates(key).assign(problem=lambda table: table["objective"])
    positive = both[both["attained"] > 0]
    title = "Smallest gap per dtype"
    if positive.empty:
        return [Figure("floors", title, "All gaps are exactly 0.", both)]
    rule = (
        "The smallest gap that the same run attains in each dtype, at the configuration that gets lowest in the widest"
        f" dtype: {format_count(len(pairs), 'pair')} of runs. parted: the first recorded step at which the gaps differ"
        f" by more than {PARTING_DIFFERENCE:.0%}."
    )
    if zeros := len(both) - len(positive):
        rule += f" {zeros} gaps of exactly 0 are not on the log axis."
    return [Figure("floors", title, rule, both, precision.draw_precision(positive, data.style))]


def _path_figures(data: ReportData, landscape: Landscape | None) -> list[Figure]:
    if data.traces.empty:
        return []
    groups = trajectory.select_paths(data.best_runs, data.traces).groupby("problem", sort=False)
    return [_path_figure(data, str(name), paths, landscape) for name, paths in groups][:MAX_PANELS]


def _path_figure(data: ReportData, problem: str, paths: pd.DataFrame, landscape: Landscape | None) -> Figure:
    run = data.compared[data.compared["problem"] == problem].iloc[0]
    box = trajectory.bounding_box(paths)
    ground = landscape(run, box) if landscape else None
    rule = (
        "Each optimizer at its best configuration, first seed, at the recorded steps, cut off at the box (the middle"
        " 96% of all points and a margin). "
    )
    rule += (
        "Contours: at equal shares of the area; cross: minimiser."
        if ground
        else "Contours are drawn for gdbench's own objectives only."
    )
    chart = trajectory.draw_paths(paths, ground, data.style, box)
    return Figure(name_figure("path", problem), problem, rule, paths, chart, problem, "trajectories")
