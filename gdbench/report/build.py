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
from gdbench.analysis.precision import PARTING_DIFFERENCE, compute_attained_gaps
from gdbench.analysis.winners import find_winners
from gdbench.errors import format_count
from gdbench.report import lr_section
from gdbench.report.across_section import draw_across, tabulate_across
from gdbench.report.charts import NO_LINES, NO_STARS, box, convergence, paths, steps_to_target, trajectory
from gdbench.report.charts import precision as floors_chart
from gdbench.report.charts.vega_lite import PANELS, Figure
from gdbench.report.inputs import Source
from gdbench.report.report_data import Facts, Shown
from gdbench.report.section import Landscape, Section, describe_band
from gdbench.report.summary_text import sentences, verdict_table
from gdbench.report.time_section import draw_times, tabulate_times

__all__ = ["Report", "assemble", "kept", "sections"]


@dataclass
class Report:
    """Everything that a report shows, not yet in any form."""

    source: Source
    facts: Facts
    told: list[str]
    """The verdict in sentences."""
    summary: Shown
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
    def tables(self) -> list[Shown]:
        """Every table."""
        return [each for section in self.sections for each in section.tables]


def assemble(
    source: Source, landscape: Landscape | None = None, ready: Callable[[Figure], None] | None = None
) -> Report:
    """All sections of the report of a source; ``ready`` is told of each figure that can be drawn, at once."""
    facts = Facts(source)
    made = kept(facts, sections(facts, landscape), ready)
    table = find_winners(facts.runs, facts.told)
    places = [str(each) for each in source.folders]
    return Report(source, facts, sentences(table), verdict_table(table, facts.problems), made, places)


def kept(facts: Facts, made: Iterable[Section], ready: Callable[[Figure], None] | None) -> list[Section]:
    """The sections that show anything; ``ready`` is told of each figure that can be drawn, at once."""
    told = []
    with alt.utils.schemapi.debug_mode(False):  # charts are checked by tests: as JSON schema it takes seconds
        for section in made:
            for figure in section.figures:
                figure.rule += facts.greyed(figure)
                if ready and figure.chart is not None:
                    ready(figure)
            if section.figures or section.tables:
                told.append(section)
    return told


def sections(facts: Facts, landscape: Landscape | None) -> Iterator[Section]:
    """The sections of all that a report shows, one after the other."""
    yield Section("convergence", "Convergence", _convergence(facts))
    yield Section("sensitivity", "Learning rate", lr_section.figures(facts), lr_section.tables(facts))
    yield Section("targets", "Targets and precision", [*_ladder(facts), *_floors(facts)], _ladder_table(facts))
    yield Section("time", "Time", draw_times(facts), tabulate_times(facts))
    yield Section("across", "Across problems", draw_across(facts), tabulate_across(facts))
    yield Section("trajectories", "Paths", _trajectories(facts, landscape))


def _convergence(facts: Facts) -> list[Figure]:
    runs = facts.best_runs
    if facts.traces.empty or runs.empty:
        rule = "No traces were kept (trace=none), so there is nothing to draw."
        return [Figure("convergence", "Gap against steps", rule, pd.DataFrame())]
    table = convergence_curves.compute_convergence_curves(runs, facts.traces)
    work = (table["gradients"] - 1).abs().max() > 1e-9
    wanted = {
        "step": True,
        "gradients": work,
        "seconds": table["seconds"].notna().any() and step_times.count_processes(runs) == 1,
    }
    return [_converging(facts, table, against) for against, there in wanted.items() if there]


def _converging(facts: Facts, table: pd.DataFrame, against: str) -> Figure:
    shown = convergence.drawn(facts.ordered(table), against)
    band = (
        f" Line: median over up to {facts.seeds} seeds{describe_band(shown, 'quartiles')}." if facts.seeds > 1 else ""
    )
    ended = int(table.groupby(["problem", "solver"])["ended"].max().sum())
    rule = (
        "Each optimizer at the configuration that the verdict goes by:"
        f"{' what tune chose, else' if facts.is_tuned else ''} of those that reach the target and stay there"
        " the one with the fewest gradients, else the soonest that left it again, else the lowest final gap or loss:"
        f" {len(facts.best_runs)} of {len(facts.told)} runs, at the recorded steps from 1 on.{band}"
    )
    measures = set(shown["y"])
    rule += " Gaps below what the dtype resolves are drawn at that floor." if "gap" in measures else ""
    rule += " Where the minimum is unknown the loss is drawn." if "loss" in measures else ""
    rule += f" {format_count(ended, 'run')} became nonfinite and counted as infinite from then on." if ended else ""
    name = {"step": "steps"}.get(against, against)
    title = f"{' or '.join(sorted(measures)).capitalize() or 'Gap'} against {name}"
    if shown.empty:
        return Figure(f"convergence-{name}", title, "0 finite points: nothing can be drawn on log axes.", shown)
    drawing = convergence.chart(shown, facts.look, against)
    return Figure(f"convergence-{name}", title, rule + facts.panels(shown), shown, drawing, name, "convergence")


def _ladder(facts: Facts) -> list[Figure]:
    table = facts.steps_to_rungs
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
    return [Figure("ladder", title, rule + facts.panels(shown), shown, steps_to_target.chart(shown, facts.look))]


def _ladder_table(facts: Facts) -> list[Shown]:
    table = facts.steps_to_rungs
    if table.empty:
        return []
    rows = ["problem", "optimizer", "configuration"]
    wide = table.pivot_table(index=rows, columns="target", values="steps", aggfunc="first", sort=False)
    wide = wide.sort_index(axis=1, ascending=False)
    wide.columns = [f"{target:.0e}".replace("e-0", "e-") for target in wide]
    rule = "Steps to each relative gap; empty: below what the dtype resolves."
    return [Shown("ladder", "Steps to each target", rule, wide.reset_index())]


def _floors(facts: Facts) -> list[Figure]:
    table = compute_attained_gaps(facts.told, facts.traces)
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
        f" {PARTING_DIFFERENCE:.0%}; the step is"
        f" in the tooltip and the data."
    )
    rule += f" {zeros} gaps of exactly 0 are not on the log axis." if zeros else ""
    if shown.empty:
        return [Figure("floors", "What each dtype attains", "All gaps are exactly 0.", both)]
    return [Figure("floors", "What each dtype attains", rule, both, floors_chart.chart(shown, facts.look))]


def _trajectories(facts: Facts, landscape: Landscape | None) -> list[Figure]:
    if facts.traces.empty:
        return []
    told = paths(facts.best_runs, facts.traces)
    each = [_trajectory(facts, str(name), table, landscape) for name, table in told.groupby("problem", sort=False)]
    return each[:PANELS]


def _trajectory(facts: Facts, problem: str, table: pd.DataFrame, landscape: Landscape | None) -> Figure:
    run = facts.told[facts.told["problem"] == problem].iloc[0]
    ground = landscape(run, box(table)) if landscape else None
    lines = trajectory.contours(ground[0]) if ground else NO_LINES
    stars = ground[1] if ground else NO_STARS
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
    chart = trajectory.chart(table, lines, facts.look, stars, box(table))
    name = "".join(each if each.isalnum() else "-" for each in problem)
    return Figure(f"path-{name}", problem, rule, table, chart, problem, "trajectories")
