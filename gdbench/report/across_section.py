"""The report's section that compares methods across problems."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis import (
    best_configuration,
    best_of_k,
    profiles,
    rank_tests,
    runtime_ecdf,
)
from gdbench.errors import format_count, format_range
from gdbench.report import charts
from gdbench.report.charts import profiles as profile
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.report.section import describe_band
from gdbench.results.standings import standings

__all__ = ["make_across_figures", "make_across_tables"]


def make_across_figures(data: ReportData) -> list[Figure]:
    """The figures of methods across problems."""
    figures = []
    solvers = data.best["solver"].nunique()
    if len(data.problems) > 1 and solvers > 1:
        figures += [_profile_figure(data, "ratio"), _profile_figure(data, "cost"), _rank_figure(data)]
    if len(data.target_costs) and solvers > 1:
        figures.append(_ecdf_figure(data))
    return [*figures, *_best_of_k_figures(data)]


def _profile_figure(data: ReportData, across: str) -> Figure:
    maker = profiles.performance_profile if across == "ratio" else profiles.data_profile
    table = charts.stack_views(data.best, data.one_lr, maker)
    views = (data.best, data.one_lr)
    unsolved = [int((~np.isfinite(profiles.cost_matrix(view))).all(axis=1).sum()) for view in views]
    counts = data.best.groupby("solver")["trials"].max()
    equal = "" if counts.nunique() == 1 else " The numbers of trials differ, which favours who had more."
    rule = (
        f"{len(data.problems)} problems; cost: gradients to the target; {unsolved[0]} (lr tuned) and {unsolved[1]}"
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
    return Figure(name, title, rule, table, profile.draw_profiles(table, data.style, across))


def _rank_figure(data: ReportData) -> Figure:
    table = rank_tests.average_ranks(data.best)
    difference = rank_tests.critical_difference(len(table), len(data.problems))
    groups = rank_tests.alike(table["rank"].tolist(), difference)
    names = table["solver"].tolist()
    words = "; ".join(", ".join(names[first : last + 1]) for first, last in groups)
    p = table["p"].iloc[0]
    rule = (
        f"Average rank over {len(data.problems)} problems, lr tuned per problem, ties shared; what missed its target,"
        " or left it again, shares the last rank. Bars are"
        " half of Nemenyi's"
        f" critical difference of {difference:.2f} to each side (5%): solvers whose bars overlap are not told apart"
        + (f" ({words})." if words else ".") + ("" if pd.isna(p) else f" Friedman's test: p = {p:.2g}.")
    )  # fmt: skip
    return Figure("ranks", "Critical difference", rule, table, profile.draw_ranks(table, data.style, difference))


def _ecdf_figure(data: ReportData) -> Figure:
    table = runtime_ecdf.runtime_ecdf(data.target_costs)
    title = "Share of targets reached within a budget"
    if table.empty:
        return Figure("ecdf", title, "No target was reached by any run.", table)
    table = table.assign(optimizer=table["solver"])
    count, runs = len(data.problems), data.best_runs["run_id"].nunique()
    band = "problems drawn anew" if count > 1 else "runs drawn anew"
    band = f"95% of {runtime_ecdf.DRAWS} bootstrap samples, {band}"
    band = f" Line: the mean{describe_band(table, band)}." if table["lo"].notna().any() else ""
    missed = int((~np.isfinite(data.target_costs["cost"])).sum())
    rule = (
        "Runtime ECDF over targets 1e-1 … 1e-12 that the dtype can tell,"
        f" {format_count(count, 'problem')} weighing the"
        f" same, {runs} of {len(data.compared)} runs at their best configuration; {missed} of"
        f" {len(data.target_costs)} pairs of run"
        f" and target never arrive. First hits count, also of runs that left again. No restarts are simulated.{band}"
    )
    return Figure("ecdf", title, rule, table, profile.draw_ecdf(table, data.style))


def _best_of_k_figures(data: ReportData) -> list[Figure]:
    table = best_of_k.expected_best(best_configuration.solved_costs(standings(data.merged_runs))).assign(
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
        Figure(
            "trials",
            "Best of k trials",
            rule + data.describe_panels(table),
            table,
            profile.draw_best_of_k(table, data.style),
        )
    ]


def make_across_tables(data: ReportData) -> list[ReportTable]:
    """Their tables."""
    tables = []
    if data.best["solver"].nunique() < 2:
        return []
    if len(data.problems) > 1:
        told = rank_tests.pairwise(data.best).sort_values(["p", "solver"], kind="stable")
        rule = (
            f"Over {len(data.problems)} problems, lr tuned per problem. ratio: geometric mean of the costs where both"
            " solve, that is, end at the target; p: Wilcoxon's signed-rank test, a lone solution ranking above all"
            " ratios; Holm's"
            " correction over all pairs."
        )
        tables.append(ReportTable("pairs", "Pairwise", rule, told))
    if len(data.target_costs):
        area = runtime_ecdf.area_over_curve(data.target_costs)
        scores = [
            profiles.profile_score(view).rename(name)
            for name, view in (("score_tuned", data.best), ("score_one_lr", data.one_lr))
        ]
        wide = area.merge(pd.concat(scores, axis=1).rename_axis("solver").reset_index(), on="solver", how="outer")
        rule = (
            f"aocc: mean over problems and targets of 1 - cost/budget, budget {area['budget'].iloc[0]:.0f}"
            " gradients; score:"
            " mean height of the performance profile from 1 to 4. Higher is better in both."
        )
        tables.append(ReportTable("scores", "Areas and scores", rule, wide.sort_values("aocc", ascending=False)))
    return [*tables, *_expected_running_time_tables(data)]


def _expected_running_time_tables(data: ReportData) -> list[ReportTable]:
    """What restarting would cost, of methods of which a seed did not solve: of the others the median says it all."""
    paid = data.costs.merge(data.best[["problem", "solver", "configuration"]])
    table = runtime_ecdf.expected_running_time(paid)
    table = table[(table["runs"] > 1) & (table["solved"] > 0) & (table["solved"] < table["runs"])]
    if table.empty:
        return []
    rule = (
        "Of methods of which some seeds did not end at the target: (gradients to it of the runs that did + all"
        " gradients of the others) / runs that did: what restarting until one does would cost on average. Runs differ"
        " by their start or their samples."
    )
    return [ReportTable("ert", "Expected running time", rule, table)]
