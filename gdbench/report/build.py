"""From tables to a report: which figures there are, what each is drawn from, and the rule beneath it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from gdbench.analysis import (
    convergence_curves,
    step_times,
)
from gdbench.analysis.precision import PARTED, floors
from gdbench.analysis.winners import verdict
from gdbench.errors import format_count
from gdbench.report import lr_section
from gdbench.report.across_section import make_across_figures, make_across_tables
from gdbench.report.charts import (
    NO_CONTOURS,
    NO_MINIMISERS,
    bounding_box,
    convergence,
    select_paths,
    steps_to_target,
    trajectory,
)
from gdbench.report.charts import precision as floors_chart
from gdbench.report.charts.vega_lite import MAX_PANELS, Figure
from gdbench.report.inputs import ReportInputs
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.report.section import Landscape, Section, describe_band
from gdbench.report.summary_text import verdict_sentences, verdict_table
from gdbench.report.time_section import make_time_figures, make_time_tables

__all__ = ["Report", "build_report", "keep_sections", "make_sections"]


@dataclass
class Report:
    """Everything that a report shows, not yet in any form."""

    inputs: ReportInputs
    data: ReportData
    sentences: list[str]
    """The verdict in sentences."""
    summary: ReportTable
    """The verdict's table."""
    sections: list[Section]
    places: list[str]
    """Where its runs lie, in words."""
    title: str = "gdbench report"

    @property
    def figures(self) -> list[Figure]:
        """Every figure that has something to show."""
        return [each for section in self.sections for each in section.figures if each.chart is not None]

    @property
    def tables(self) -> list[ReportTable]:
        """Every table."""
        return [each for section in self.sections for each in section.tables]


def build_report(
    inputs: ReportInputs, landscape: Landscape | None = None, ready: Callable[[Figure], None] | None = None
) -> Report:
    """All sections of the report of a inputs; ``ready`` is told of each figure that can be drawn, at once."""
    data = ReportData(inputs)
    made = keep_sections(data, make_sections(data, landscape), ready)
    table = verdict(data.runs, data.compared)
    places = [str(each) for each in inputs.folders]
    return Report(inputs, data, verdict_sentences(table), verdict_table(table, data.problems), made, places)


def keep_sections(data: ReportData, made: Iterable[Section], ready: Callable[[Figure], None] | None) -> list[Section]:
    """The sections that show anything; ``ready`` is told of each figure that can be drawn, at once."""
    told = []
    with alt.utils.schemapi.debug_mode(False):  # charts are checked by tests: as JSON schema it takes seconds
        for section in made:
            for figure in section.figures:
                figure.rule += data.describe_grey(figure)
                if ready and figure.chart is not None:
                    ready(figure)
            if section.figures or section.tables:
                told.append(section)
    return told


def make_sections(data: ReportData, landscape: Landscape | None) -> Iterator[Section]:
    """The sections of all that a report shows, one after the other."""
    yield Section("convergence", "Convergence", _convergence_figures(data))
    yield Section("sensitivity", "Learning rate", lr_section.make_lr_figures(data), lr_section.make_lr_tables(data))
    yield Section(
        "targets",
        "Targets and precision",
        [*_steps_to_target_figures(data), *_precision_figures(data)],
        _steps_to_target_tables(data),
    )
    yield Section("time", "Time", make_time_figures(data), make_time_tables(data))
    yield Section("across", "Across problems", make_across_figures(data), make_across_tables(data))
    yield Section("trajectories", "Paths", _path_figures(data, landscape))


def _convergence_figures(data: ReportData) -> list[Figure]:
    runs = data.best_runs
    if data.traces.empty or runs.empty:
        rule = "No traces were kept (trace=none), so there is nothing to draw."
        return [Figure("convergence", "Gap against steps", rule, pd.DataFrame())]
    table = convergence_curves.convergence(runs, data.traces)
    work = (table["gradients"] - 1).abs().max() > 1e-9
    wanted = {
        "step": True,
        "gradients": work,
        "seconds": table["seconds"].notna().any() and step_times.count_processes(runs) == 1,
    }
    return [_convergence_figure(data, table, against) for against, there in wanted.items() if there]


def _convergence_figure(data: ReportData, table: pd.DataFrame, against: str) -> Figure:
    shown = convergence.select_drawable(data.sort_by_problem(table), against)
    band = (
        f" Line: median over up to {data.seed_count} seeds{describe_band(shown, 'quartiles')}."
        if data.seed_count > 1
        else ""
    )
    ended = int(table.groupby(["problem", "solver"])["ended"].max().sum())
    rule = (
        "Each optimizer at the configuration that the verdict goes by:"
        f"{' what tune chose, else' if data.is_tuned else ''} of those that reach the target and stay there"
        " the one with the fewest gradients, else the soonest that left it again, else the lowest final gap or loss:"
        f" {len(data.best_runs)} of {len(data.compared)} runs, at the recorded steps from 1 on.{band}"
    )
    measures = set(shown["y"])
    rule += " Gaps below what the dtype resolves are drawn at that floor." if "gap" in measures else ""
    rule += " Where the minimum is unknown the loss is drawn." if "loss" in measures else ""
    rule += f" {format_count(ended, 'run')} became nonfinite and counted as infinite from then on." if ended else ""
    name = {"step": "steps"}.get(against, against)
    title = f"{' or '.join(sorted(measures)).capitalize() or 'Gap'} against {name}"
    if shown.empty:
        return Figure(f"convergence-{name}", title, "0 finite points: nothing can be drawn on log axes.", shown)
    drawing = convergence.draw_convergence(shown, data.style, against)
    return Figure(f"convergence-{name}", title, rule + data.describe_panels(shown), shown, drawing, name, "convergence")


def _steps_to_target_figures(data: ReportData) -> list[Figure]:
    table = data.steps_to_targets
    shown = table[np.isfinite(table["steps"])]
    rule = (
        "First step at or below each relative gap, at the configuration that is best for the target; exact, median over"
        " seeds, of which one that left the target of a configuration that stays has not reached it."
        f" {len(shown)} of {len(table)} rungs that the dtype can tell were reached."
    )
    title = "Steps to each target"
    if shown.empty:
        why = "No rung of the ladder was reached." if len(table) else "The minima are unknown, so there are no gaps."
        return [Figure("ladder", title, why, table)]
    return [
        Figure(
            "ladder",
            title,
            rule + data.describe_panels(shown),
            shown,
            steps_to_target.draw_steps_to_target(shown, data.style),
        )
    ]


def _steps_to_target_tables(data: ReportData) -> list[ReportTable]:
    table = data.steps_to_targets
    if table.empty:
        return []
    rows = ["problem", "optimizer", "configuration"]
    wide = table.pivot_table(index=rows, columns="target", values="steps", aggfunc="first", sort=False)
    wide = wide.sort_index(axis=1, ascending=False)
    wide.columns = [f"{target:.0e}".replace("e-0", "e-") for target in wide]
    rule = "Steps to each relative gap; empty: below what the dtype resolves."
    return [ReportTable("ladder", "Steps to each target", rule, wide.reset_index())]


def _precision_figures(data: ReportData) -> list[Figure]:
    table = floors(data.compared, data.traces)
    if table.empty:
        return []
    best = table.sort_values("wide_attained").drop_duplicates(["objective", "optimizer", "dtype"]).sort_index()
    wide = best.assign(dtype=best["wide_dtype"], attained=best["wide_attained"], parted=np.nan)
    both = pd.concat([best, wide]).drop_duplicates(["objective", "optimizer", "dtype"])
    both = both.assign(problem=both["objective"])
    shown = both[both["attained"] > 0]
    zeros = len(both) - len(shown)
    rule = (
        f"The smallest gap of the same run in each dtype, at the configuration that gets lowest in the widest:"
        f" {format_count(len(table), 'pair')} of runs. The paths have parted where the gaps differ by more than"
        f" {PARTED:.0%}; the step is"
        f" in the tooltip and the data."
    )
    rule += f" {zeros} gaps of exactly 0 are not on the log axis." if zeros else ""
    if shown.empty:
        return [Figure("floors", "What each dtype attains", "All gaps are exactly 0.", both)]
    return [Figure("floors", "What each dtype attains", rule, both, floors_chart.draw_precision(shown, data.style))]


def _path_figures(data: ReportData, landscape: Landscape | None) -> list[Figure]:
    if data.traces.empty:
        return []
    told = select_paths(data.best_runs, data.traces)
    each = [_path_figure(data, str(name), table, landscape) for name, table in told.groupby("problem", sort=False)]
    return each[:MAX_PANELS]


def _path_figure(data: ReportData, problem: str, table: pd.DataFrame, landscape: Landscape | None) -> Figure:
    run = data.compared[data.compared["problem"] == problem].iloc[0]
    ground = landscape(run, bounding_box(table)) if landscape else None
    lines = trajectory.contour_lines(ground[0]) if ground else NO_CONTOURS
    stars = ground[1] if ground else NO_MINIMISERS
    rule = (
        "Each optimizer at its best configuration, first seed, at the recorded steps; what leaves the"
        " box, the middle 96% of"
        " all points and a margin, is cut off. "
        + (
            "Contours at equal shares of the area; cross: minimiser."
            if ground
            else "Only gdbench's own objectives have contours."
        )
    )  # fmt: skip
    chart = trajectory.draw_paths(table, lines, data.style, stars, bounding_box(table))
    name = "".join(each if each.isalnum() else "-" for each in problem)
    return Figure(f"path-{name}", problem, rule, table, chart, problem, "trajectories")
