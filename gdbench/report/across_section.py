"""The report's section that compares methods across problems."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis import (
    best_configuration,
    best_of_k,
    performance_profiles,
    rank_tests,
    runtime_ecdf,
)
from gdbench.errors import format_count, format_range
from gdbench.report import charts
from gdbench.report.charts import profiles as profile
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import Facts, Shown
from gdbench.report.section import describe_band
from gdbench.results.ranking import rank_configurations

__all__ = ["draw_across", "tabulate_across"]


def draw_across(facts: Facts) -> list[Figure]:
    """The figures of methods across problems."""
    figures = []
    solvers = facts.best["solver"].nunique()
    if len(facts.problems) > 1 and solvers > 1:
        figures += [_profile(facts, "ratio"), _profile(facts, "cost"), _ranks(facts)]
    if len(facts.rungs) and solvers > 1:
        figures.append(_ecdf(facts))
    return [*figures, *_trials(facts)]


def _profile(facts: Facts, across: str) -> Figure:
    maker = (
        performance_profiles.compute_performance_profile
        if across == "ratio"
        else performance_profiles.compute_data_profile
    )
    table = charts.both_views(facts.best, facts.one_lr, maker)
    views = (facts.best, facts.one_lr)
    unsolved = [int((~np.isfinite(performance_profiles.build_cost_matrix(view))).all(axis=1).sum()) for view in views]
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
    table = rank_tests.compute_average_ranks(facts.best)
    difference = rank_tests.compute_critical_difference(len(table), len(facts.problems))
    groups = rank_tests.find_tied_ranges(table["rank"].tolist(), difference)
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
    table = runtime_ecdf.compute_runtime_ecdf(facts.rungs)
    title = "Share of targets reached within a budget"
    if table.empty:
        return Figure("ecdf", title, "No target was reached by any run.", table)
    table = table.assign(optimizer=table["solver"])
    count, runs = len(facts.problems), facts.best_runs["run_id"].nunique()
    band = "problems drawn anew" if count > 1 else "runs drawn anew"
    band = f"95% of {runtime_ecdf.DRAWS} bootstrap samples, {band}"
    band = f" Line: the mean{describe_band(table, band)}." if table["lo"].notna().any() else ""
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
    table = best_of_k.compute_expected_best(
        best_configuration.add_solution_costs(rank_configurations(facts.merged))
    ).assign(optimizer=lambda each: each["solver"])
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


def tabulate_across(facts: Facts) -> list[Shown]:
    """Their tables."""
    tables = []
    if facts.best["solver"].nunique() < 2:
        return []
    if len(facts.problems) > 1:
        told = rank_tests.compare_pairwise(facts.best).sort_values(["p", "solver"], kind="stable")
        rule = (
            f"Over {len(facts.problems)} problems, lr tuned per problem. ratio: geometric mean of the costs where both"
            " solve, that is, end at the target; p: Wilcoxon's signed-rank test, a lone solution ranking above all"
            " ratios; Holm's"
            " correction over all pairs."
        )
        tables.append(Shown("pairs", "Pairwise", rule, told))
    if len(facts.rungs):
        area = runtime_ecdf.compute_area_over_curve(facts.rungs)
        scores = [
            performance_profiles.compute_profile_score(view).rename(name)
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
    table = runtime_ecdf.compute_expected_running_time(paid)
    table = table[(table["runs"] > 1) & (table["solved"] > 0) & (table["solved"] < table["runs"])]
    if table.empty:
        return []
    rule = (
        "Of methods of which some seeds did not end at the target: (gradients to it of the runs that did + all"
        " gradients of the others) / runs that did: what restarting until one does would cost on average. Runs differ"
        " by their start or their samples."
    )
    return [Shown("ert", "Expected running time", rule, table)]
