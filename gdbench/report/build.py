"""From tables to a report: which figures there are, what each is drawn from, and the rule beneath it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import altair as alt
import numpy as np
import pandas as pd

from gdbench.analysis import (
    best_configuration,
    best_of_k,
    convergence_curves,
    profiles,
    rank_tests,
    runtime_ecdf,
    step_times,
)
from gdbench.analysis.precision import PARTED, floors
from gdbench.analysis.winners import verdict
from gdbench.errors import format_count, format_range
from gdbench.report import charts, lr_section
from gdbench.report.charts import NO_LINES, NO_STARS, box, convergence, paths, steps_to_target, trajectory
from gdbench.report.charts import precision as floors_chart
from gdbench.report.charts import profiles as profile
from gdbench.report.charts import step_times as times_chart
from gdbench.report.charts.vega_lite import BANDS, PANELS, Figure
from gdbench.report.inputs import Source
from gdbench.report.report_data import Facts, Shown
from gdbench.report.summary_text import sentences, verdict_table
from gdbench.results import costs
from gdbench.results.standings import standings

__all__ = ["Landscape", "Report", "Section", "assemble", "kept", "sections"]

Landscape = Callable[[pd.Series, dict[str, tuple[float, float]]], "tuple[pd.DataFrame, pd.DataFrame] | None"]
"""The values of a run's objective on a grid of the box, and its minimisers; None where they cannot be had."""


@dataclass
class Section:
    """A part of the page."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Shown] = field(default_factory=list)


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
    table = verdict(facts.runs, facts.told)
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
    yield Section("time", "Time", _times(facts), _time_table(facts))
    yield Section("across", "Across problems", _across(facts), _across_tables(facts))
    yield Section("trajectories", "Paths", _trajectories(facts, landscape))


# ---------------------------------------------------------------------------------------------------- convergence


def _convergence(facts: Facts) -> list[Figure]:
    runs = facts.best_runs
    if facts.traces.empty or runs.empty:
        rule = "No traces were kept (record=none), so there is nothing to draw."
        return [Figure("convergence", "Gap against steps", rule, pd.DataFrame())]
    table = convergence_curves.convergence(runs, facts.traces)
    work = (table["gradients"] - 1).abs().max() > 1e-9
    wanted = {
        "step": True,
        "gradients": work,
        "seconds": table["seconds"].notna().any() and step_times.count_processes(runs) == 1,
    }
    return [_converging(facts, table, against) for against, there in wanted.items() if there]


def _converging(facts: Facts, table: pd.DataFrame, against: str) -> Figure:
    shown = convergence.drawn(facts.ordered(table), against)
    band = f" Line: median over up to {facts.seeds} seeds{_band(shown, 'quartiles')}." if facts.seeds > 1 else ""
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


def _band(table: pd.DataFrame, what: str) -> str:
    """What a band says, or where to find it."""
    return (
        f"; band: {what}" if table["optimizer"].nunique() <= BANDS else f"; without bands, which the data have ({what})"
    )


# -------------------------------------------------------------------------------------------- targets and precision


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
    table = floors(facts.told, facts.traces)
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
    return [Figure("floors", "What each dtype attains", rule, both, floors_chart.chart(shown, facts.look))]


# ------------------------------------------------------------------------------------------------------------ time


def _times(facts: Facts) -> list[Figure]:
    table = facts.step_times
    if table.empty:
        return []
    noisy = int((table["noise"] > step_times.NOISY).sum())
    rule = (
        "Median time of a step over blocks that record nothing, with the blocks' quartiles;"
        f" {format_count(int(table['runs'].sum()), 'run was', 'runs were')} timed."
        f" {noisy} of {len(table)} have quartiles more than {step_times.NOISY:.0%} apart: the"
        " machine was not quiet."
    )
    figures = [
        Figure(
            "step-time", "Time of a step", rule + facts.panels(table), table, times_chart.step_chart(table, facts.look)
        )
    ]
    if step_times.count_processes(facts.told) > 1:
        return figures
    best = best_configuration.tuned(facts.told, "seconds")
    keys = ["problem", "solver", "configuration"]
    runs = facts.told.merge(best.loc[np.isfinite(best["cost"]), keys], on=keys)
    split = runs.assign(steps=costs.numbers(runs, "steps_to_target"), step_us=costs.numbers(runs, "step_s") * 1e6)
    split = split.assign(time=[times_chart.spoken(value * 1e6) for value in costs.numbers(runs, "time_to_target_s")])
    split = split.groupby([*keys, "optimizer", "impl"], sort=False, observed=True).first().reset_index()
    split = split.loc[
        (split["steps"] > 0) & (split["step_us"] > 0), [*keys, "optimizer", "impl", "steps", "step_us", "time"]
    ]
    rule = (
        f"Time to target is steps times the time of a step: on a dotted line it is equal, to the lower left it is less."
        f" Each solver at its fastest configuration; {len(split)} of {len(best)} reached the target."
    )
    if len(split):
        chart = times_chart.split_chart(split, facts.look)
        figures.append(Figure("time-split", "Few steps, or cheap ones", rule + facts.panels(split), split, chart))
    return figures


def _time_table(facts: Facts) -> list[Shown]:
    table = facts.step_times
    if table.empty:
        return []
    rule = (
        "vs reference: over the notebook's loop, timed in turn, with its 95% interval within this process; it compares"
        " where steps are bound by overhead. vs manual: over impl=manual. First step: making the state, after warm-up."
        " Times of one process that differ by less than 10% are not called different."
    )
    names = ["problem", "optimizer", "impl", "step_s", "vs_manual", "step_vs_reference", "step_vs_reference_lo"]
    names += ["step_vs_reference_hi", "update_s", "first_step_s", "cold_s", "noise", "overhead_bound", "runs"]
    return [Shown("time", "Time of a step", rule, table[names])]


# -------------------------------------------------------------------------------------------------- across problems


def _across(facts: Facts) -> list[Figure]:
    figures = []
    solvers = facts.best["solver"].nunique()
    if len(facts.problems) > 1 and solvers > 1:
        figures += [_profile(facts, "ratio"), _profile(facts, "cost"), _ranks(facts)]
    if len(facts.rungs) and solvers > 1:
        figures.append(_ecdf(facts))
    return [*figures, *_trials(facts)]


def _profile(facts: Facts, across: str) -> Figure:
    maker = profiles.performance_profile if across == "ratio" else profiles.data_profile
    table = charts.both_views(facts.best, facts.one_lr, maker)
    views = (facts.best, facts.one_lr)
    unsolved = [int((~np.isfinite(profiles.cost_matrix(view))).all(axis=1).sum()) for view in views]
    counts = facts.best.groupby("solver")["trials"].max()
    equal = "" if counts.nunique() == 1 else " The numbers of trials differ, which favours who had more."
    rule = (
        f"{len(facts.problems)} problems; cost: gradients to the target; {unsolved[0]} (lr tuned) and {unsolved[1]}"
        " (one lr) problems were solved by nobody and stay in the count. "
        + ("Dolan and Moré: the share solved within a factor of the best solver's cost; relative to those shown."
           if across == "ratio" else "Moré and Wild: the share solved within a budget, not divided by dimension.")
        + f" Tuned over {format_range(counts, 'trial')}"
        + ", chosen and compared by the same seeds; a configuration that left its target again did not solve."
        + equal
    )  # fmt: skip
    name, title = (
        ("performance-profile", "Performance profile") if across == "ratio" else ("data-profile", "Data profile")
    )
    return Figure(name, title, rule, table, profile.chart(table, facts.look, across))


def _ranks(facts: Facts) -> Figure:
    table = rank_tests.average_ranks(facts.best)
    difference = rank_tests.critical_difference(len(table), len(facts.problems))
    groups = rank_tests.alike(table["rank"].tolist(), difference)
    names = table["solver"].tolist()
    words = "; ".join(", ".join(names[first : last + 1]) for first, last in groups)
    p = table["p"].iloc[0]
    rule = (
        f"Average rank over {len(facts.problems)} problems, lr tuned per problem, ties shared; what missed its target,"
        " or left it again, shares the last rank. Bars are"
        " half of Nemenyi's"
        f" critical difference of {difference:.2f} to each side (5%): solvers whose bars overlap are not told apart"
        + (f" ({words})." if words else ".") + ("" if pd.isna(p) else f" Friedman's test: p = {p:.2g}.")
    )  # fmt: skip
    return Figure("ranks", "Critical difference", rule, table, profile.rank_chart(table, facts.look, difference))


def _ecdf(facts: Facts) -> Figure:
    table = runtime_ecdf.runtime_ecdf(facts.rungs)
    title = "Share of targets reached within a budget"
    if table.empty:
        return Figure("ecdf", title, "No target was reached by any run.", table)
    table = table.assign(optimizer=table["solver"])
    count, runs = len(facts.problems), facts.best_runs["run"].nunique()
    band = "problems drawn anew" if count > 1 else "runs drawn anew"
    band = f"95% of {runtime_ecdf.DRAWS} bootstrap samples, {band}"
    band = f" Line: the mean{_band(table, band)}." if table["lo"].notna().any() else ""
    missed = int((~np.isfinite(facts.rungs["cost"])).sum())
    rule = (
        "Runtime ECDF over targets 1e-1 … 1e-12 that the dtype can tell,"
        f" {format_count(count, 'problem')} weighing the"
        f" same, {runs} of {len(facts.told)} runs at their best configuration; {missed} of"
        f" {len(facts.rungs)} pairs of run"
        f" and target never arrive. First hits count, also of runs that left again. No restarts are simulated.{band}"
    )
    return Figure("ecdf", title, rule, table, profile.ecdf_chart(table, facts.look))


def _trials(facts: Facts) -> list[Figure]:
    table = best_of_k.expected_best(best_configuration.solved_costs(standings(facts.merged))).assign(
        optimizer=lambda each: each["solver"]
    )
    if table.empty or table["k"].max() < 3 or not np.isfinite(table["median"]).any():
        return []
    rule = (
        "What tuning costs: the median lowest cost of k of the tried configurations, drawn at random"
        " without replacement."
        " A line begins where at least half of the draws hold one that reaches the target and stays there."
    )
    return [
        Figure("trials", "Best of k trials", rule + facts.panels(table), table, profile.trials_chart(table, facts.look))
    ]


def _across_tables(facts: Facts) -> list[Shown]:
    tables = []
    if facts.best["solver"].nunique() < 2:
        return []
    if len(facts.problems) > 1:
        told = rank_tests.pairwise(facts.best).sort_values(["p", "solver"], kind="stable")
        rule = (
            f"Over {len(facts.problems)} problems, lr tuned per problem. ratio: geometric mean of the costs where both"
            " solve, that is, end at the target; p: Wilcoxon's signed-rank test, a lone solution ranking above all"
            " ratios; Holm's"
            " correction over all pairs."
        )
        tables.append(Shown("pairs", "Pairwise", rule, told))
    if len(facts.rungs):
        area = runtime_ecdf.area_over_curve(facts.rungs)
        scores = [
            profiles.profile_score(view).rename(name)
            for name, view in (("score_tuned", facts.best), ("score_one_lr", facts.one_lr))
        ]
        wide = area.merge(pd.concat(scores, axis=1).rename_axis("solver").reset_index(), on="solver", how="outer")
        rule = (
            f"aocc: mean over problems and targets of 1 - cost/budget, budget {area['budget'].iloc[0]:.0f}"
            " gradients; score:"
            " mean height of the performance profile from 1 to 4. Higher is better in both."
        )
        tables.append(Shown("scores", "Areas and scores", rule, wide.sort_values("aocc", ascending=False)))
    return [*tables, *_restarts(facts)]


def _restarts(facts: Facts) -> list[Shown]:
    """What restarting would cost, of methods of which a seed did not solve: of the others the median says it all."""
    paid = facts.costs.merge(facts.best[["problem", "solver", "configuration"]])
    table = runtime_ecdf.expected_running_time(paid)
    table = table[(table["runs"] > 1) & (table["solved"] > 0) & (table["solved"] < table["runs"])]
    if table.empty:
        return []
    rule = (
        "Of methods of which some seeds did not end at the target: (gradients to it of the runs that did + all"
        " gradients of the others) / runs that did: what restarting until one does would cost on average. Runs differ"
        " by their start or their samples."
    )
    return [Shown("ert", "Expected running time", rule, table)]


# ----------------------------------------------------------------------------------------------------------- paths


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
