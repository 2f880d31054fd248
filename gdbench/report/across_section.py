"""Report section that compares methods across problems."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis import best_configuration, best_of_k, rank_tests, runtime_ecdf
from gdbench.analysis import performance_profiles as profiles
from gdbench.errors import format_count, format_range
from gdbench.report.charts import profiles as charts
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import ReportData, ReportTable, describe_band
from gdbench.results.ranking import rank_configurations

__all__ = ["make_across_figures", "make_across_tables"]


def make_across_figures(data: ReportData) -> list[Figure]:
    """Profiles and ranks over several problems, the runtime ECDF, and best of k trials."""
    figures = []
    solvers = data.best["solver"].nunique()
    if len(data.problems) > 1 and solvers > 1 and _is_any_solved(data):
        figures += [_profile_figure(data, "ratio"), _profile_figure(data, "cost"), _rank_figure(data)]
    if len(data.target_costs) and solvers > 1:
        figures.append(_ecdf_figure(data))
    return [*figures, *_best_of_k_figures(data)]


def _is_any_solved(data: ReportData) -> bool:
    """Whether any method ends at a target, so that costs can be compared across problems."""
    return bool(np.isfinite(data.best["cost"]).any())


def _profile_figure(data: ReportData, across: str) -> Figure:
    compute = profiles.compute_performance_profile if across == "ratio" else profiles.compute_data_profile
    table = charts.stack_views(data.best, data.one_lr, compute)
    views = (data.best, data.one_lr)
    unsolved = [int((~np.isfinite(profiles.build_cost_matrix(view))).all(axis=1).sum()) for view in views]
    trials = data.best.groupby("solver")["trials"].max()
    definition = (
        "Dolan and Moré: share of problems solved within a factor of the cost of the best solver shown."
        if across == "ratio"
        else "Moré and Wild: share of problems solved within a budget (not divided by the dimension)."
    )
    rule = (
        f"{definition} {len(data.problems)} problems; cost: gradients to the target; a configuration that left its"
        f" target again did not solve. {unsolved[0]} (lr tuned) and {unsolved[1]} (one lr) problems were solved by no"
        f" method and count. Tuned over {format_range(trials, 'trial')}, chosen and compared on the same seeds."
    )
    rule += "" if trials.nunique() == 1 else " The numbers of trials differ, which favours methods with more."
    name = "performance" if across == "ratio" else "data"
    chart = charts.draw_profiles(table, data.style, across)
    return Figure(f"{name}-profile", f"{name.capitalize()} profile", rule, table, chart)


def _rank_figure(data: ReportData) -> Figure:
    table = rank_tests.compute_average_ranks(data.best)
    difference = rank_tests.compute_critical_difference(len(table), len(data.problems))
    names = table["solver"].tolist()
    groups = rank_tests.find_tied_ranges(table["rank"].tolist(), difference)
    ties = "; ".join(", ".join(names[first : last + 1]) for first, last in groups)
    p = table["p"].iloc[0]
    rule = (
        f"Average rank over {len(data.problems)} problems, lr tuned per problem, ties share a rank; methods that missed"
        " the target or left it again share the last rank. Bars: half of Nemenyi's critical difference of"
        f" {difference:.2f} to each side (5%); solvers with overlapping bars are statistically tied"
    )
    rule += (f" ({ties})." if ties else ".") + ("" if pd.isna(p) else f" Friedman's test: p = {p:.2g}.")
    return Figure("ranks", "Critical difference", rule, table, charts.draw_ranks(table, data.style, difference))


def _ecdf_figure(data: ReportData) -> Figure:
    table = runtime_ecdf.compute_runtime_ecdf(data.target_costs)
    title = "Share of targets reached within a budget"
    if table.empty:
        return Figure("ecdf", title, "No target was reached by any run.", table)
    table = table.assign(optimizer=table["solver"])
    count, runs = len(data.problems), data.best_runs["run_id"].nunique()
    missed = int((~np.isfinite(data.target_costs["cost"])).sum())
    rule = (
        f"Runtime ECDF over the targets 1e-1 to 1e-12 that the dtype resolves; {format_count(count, 'problem')} with"
        f" equal weight, {runs} of {len(data.compared)} runs at their best configuration. {missed} of"
        f" {len(data.target_costs)} pairs of run and target are never reached. First hits count, also of runs that left"
        " again; restarts are not simulated."
    )
    if table["lo"].notna().any():
        units = "problems" if count > 1 else "runs"
        meaning = f"95% of {runtime_ecdf.DRAWS} bootstrap samples of {units}"
        rule += f" Line: mean{describe_band(table, meaning)}."
    return Figure("ecdf", title, rule, table, charts.draw_ecdf(table, data.style))


def _best_of_k_figures(data: ReportData) -> list[Figure]:
    ranked = best_configuration.add_solution_costs(rank_configurations(data.merged_runs))
    table = best_of_k.compute_expected_best(ranked)
    table = table.assign(optimizer=table["solver"])
    if table.empty or table["k"].max() < 3 or not np.isfinite(table["median"]).any():
        return []
    rule = (
        "Cost of tuning: median lowest cost of k tried configurations, drawn at random without replacement. A line"
        " begins where at least half of the draws include one that reaches the target and stays there."
    )
    return [Figure("trials", "Best of k trials", rule, table, charts.draw_best_of_k(table, data.style))]


def make_across_tables(data: ReportData) -> list[ReportTable]:
    """Pairwise tests, scores and expected running times of at least two methods."""
    if data.best["solver"].nunique() < 2:
        return []
    tables = []
    if len(data.problems) > 1 and _is_any_solved(data):
        pairs = rank_tests.compare_pairwise(data.best).sort_values(["p", "solver"], kind="stable")
        rule = (
            f"Over {len(data.problems)} problems, lr tuned per problem. ratio: geometric mean of the cost ratios where"
            " both solve, that is, end at the target. p: Wilcoxon's signed-rank test, in which a problem solved by one"
            " method only ranks above all ratios; Holm's correction over all pairs."
        )
        tables.append(ReportTable("pairs", "Pairwise", rule, pairs))
    if len(data.target_costs):
        tables.append(_score_table(data))
    return [*tables, *_expected_running_time_tables(data)]


def _score_table(data: ReportData) -> ReportTable:
    area = runtime_ecdf.compute_area_over_curve(data.target_costs)
    views = {"score_tuned": data.best, "score_one_lr": data.one_lr}
    scores = [profiles.compute_profile_score(view).rename(name) for name, view in views.items()]
    table = area.merge(pd.concat(scores, axis=1).rename_axis("solver").reset_index(), on="solver", how="outer")
    rule = (
        f"aocc: mean over problems and targets of 1 - cost/budget, budget {area['budget'].iloc[0]:.0f} gradients."
        " score: mean height of the performance profile from 1 to 4. Higher is better in both."
    )
    return ReportTable("scores", "Areas and scores", rule, table.sort_values("aocc", ascending=False))


def _expected_running_time_tables(data: ReportData) -> list[ReportTable]:
    """The expected running time of methods that failed on some seeds; for the others the median says it all."""
    paid = data.costs.merge(data.best[["problem", "solver", "configuration"]])
    table = runtime_ecdf.compute_expected_running_time(paid)
    table = table[(table["runs"] > 1) & (table["solved"] > 0) & (table["solved"] < table["runs"])]
    if table.empty:
        return []
    rule = (
        "Methods of which some seeds did not end at the target: (gradients of the runs that did, up to the target + all"
        " gradients of the others) / number of runs that did, the mean cost of restarting until one does. Runs differ"
        " by their start or their samples."
    )
    return [ReportTable("ert", "Expected running time", rule, table)]
