"""Report section on learning rates: cost against lr, heatmaps of lr and a second setting, width of the optimum."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.lr_sensitivity import (
    compute_dtype_sensitivity,
    compute_lr_sensitivity,
    measure_lr_width,
    select_final_losses,
)
from gdbench.analysis.step_times import count_processes
from gdbench.analysis.training_results import exclude_training_runs
from gdbench.report.charts import final_losses
from gdbench.report.charts import lr_sensitivity as charts
from gdbench.report.charts.vega_lite import Figure, has_bands
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.report.training_section import make_metric_lr_figures

__all__ = ["make_lr_figures", "make_lr_tables"]

COSTS = ("gradients", "steps", "seconds")
"""Costs drawn against lr, the first always."""
LIMIT_RULE = " Dotted: 2/L, beyond which gradient descent diverges on a quadratic."


def make_lr_figures(data: ReportData) -> list[Figure]:
    """Metrics, and each cost that differs from the others, against lr; heatmaps if another setting was varied too."""
    first = _varied_costs(data, "gradients")
    by_metric, by_loss = make_metric_lr_figures(data), _final_loss_figures(data)
    if first.empty or ((by_metric or by_loss) and not np.isfinite(first["cost"]).any()):
        return [*by_metric, *by_loss]
    tables = {cost: first if cost == "gradients" else _varied_costs(data, cost) for cost in COSTS}
    costs = ["gradients"]
    if not first["cost"].equals(tables["steps"]["cost"]):
        costs.append("steps")
    if _has_comparable_times(data, tables):
        costs.append("seconds")
    figures = [_sensitivity_figure(data, tables[cost], cost) for cost in costs]
    return [*by_metric, *figures, *by_loss, *_number_heatmaps(data, first), *_dtype_heatmaps(data)]


def _varied_costs(data: ReportData, cost: str) -> pd.DataFrame:
    """The costs on problems on which several lrs were tried."""
    table = data.sensitivity if cost == "gradients" else compute_lr_sensitivity(data.merged_runs, cost)
    return data.sort_by_problem(table[table.groupby("problem")["lr"].transform("nunique") > 1])


def _has_comparable_times(data: ReportData, tables: dict[str, pd.DataFrame]) -> bool:
    """Whether one process timed all runs that reached the target, so that a missing point is a miss in seconds too."""
    if count_processes(data.merged_runs) > 1:
        return False
    seconds, gradients = (np.isfinite(tables[name]["cost"]) for name in ("seconds", "gradients"))
    return bool(seconds.any() and seconds.equals(gradients))


def _sensitivity_figure(data: ReportData, table: pd.DataFrame, cost: str) -> Figure:
    name = "sensitivity" if cost == "gradients" else f"sensitivity-{cost}"
    title = f"{cost.capitalize()} to target against learning rate"
    runs, solved, diverged = (int(table[column].sum()) for column in ("runs", "solved", "diverged"))
    if not np.isfinite(table["cost"]).any():
        rule = f"None of {runs} runs reached the target."
        return Figure(name, title, rule, table, tab=cost, group="sensitivity")
    rule = (
        f"{cost.capitalize()} to the target at each learning rate, minimum over other settings, median over seeds;"
        f" {solved} of {runs} runs reached the target and stayed, the others are not drawn. Grey: share of runs that"
        f" diverged or became nonfinite ({diverged})."
    )
    rule += data.impl_note
    rule += LIMIT_RULE if len(charts.select_limits(table)) else ""
    chart = charts.draw_sensitivity(table, data.style, cost)
    return Figure(name, title, rule, table, chart, cost, "sensitivity")


def _final_loss_figures(data: ReportData) -> list[Figure]:
    """The final loss at each lr, on problems on which no configuration reaches a target."""
    table = data.unsolved_standings
    table = table[table.groupby("problem")["lr"].transform("nunique") > 1]
    losses = select_final_losses(table)
    if losses.empty:
        return []
    band = "; band: lowest to highest seed" if has_bands(losses["solver"], losses["n"] > 1) else ""
    rule = (
        "Final loss at each learning rate on problems on which no configuration reaches a target, minimum over other"
        f" settings, median over seeds{band}. {(table['outcome'] == 'cannot win').sum()} of {len(table)} configurations"
        " did not end below their start and are not drawn."
    )
    title = "Final loss against learning rate"
    chart = final_losses.draw_final_losses(losses, data.style)
    return [Figure("sensitivity-loss", title, rule, losses, chart, "final loss", "sensitivity")]


def _number_heatmaps(data: ReportData, table: pd.DataFrame) -> list[Figure]:
    """A heatmap per optimizer of which another setting was varied too."""
    several = table.groupby(["problem", "solver"])["others"].transform("nunique") > 1
    return _heatmap_figures(data, "heatmap", "Learning rate and other settings", "each other setting", table[several])


def _dtype_heatmaps(data: ReportData) -> list[Figure]:
    """A heatmap per optimizer that was run in several dtypes."""
    if data.merged_runs["dtype"].nunique() < 2:
        return []
    table = compute_dtype_sensitivity(data.merged_runs)
    table = table[table.groupby(["problem", "solver"])["lr"].transform("nunique") > 1]
    places = {name: place for place, name in enumerate(data.style.optimizers)}
    table = table.loc[table["solver"].map(places).sort_values(kind="stable").index]
    return _heatmap_figures(data, "heatmap-dtype", "Learning rate and dtype", "dtype", table)


def _heatmap_figures(data: ReportData, name: str, title: str, other: str, table: pd.DataFrame) -> list[Figure]:
    if table.empty or not np.isfinite(table["cost"]).any():
        return []
    panel = table["solver"] + " · " + table["problem"]
    grid = table.assign(panel=panel, other=table["others"], optimizer=table["solver"])
    rule = (
        f"Median gradients to the target for each learning rate and {other}; ×: more than half of the runs diverged;"
        f" empty: target not reached, or left again. {int(grid['solved'].sum())} of {int(grid['runs'].sum())} runs"
        " reached it and stayed."
    )
    rule += data.impl_note
    return [Figure(name, title, rule, grid, charts.draw_heatmap(grid), coloured=False)]


def make_lr_tables(data: ReportData) -> list[ReportTable]:
    """The width of each method's lr optimum; and final losses on problems on which no target is reached."""
    return [*_width_tables(data), *_final_loss_tables(data)]


def _final_loss_tables(data: ReportData) -> list[ReportTable]:
    best = data.sort_by_problem(data.unsolved_standings.drop_duplicates(["problem", "solver"]))
    best = best[best["problem"].isin(exclude_training_runs(data.compared)["problem"])]
    if best.empty:
        return []
    names = ["final_gap", "final_loss", "final_loss_lo", "final_loss_hi", "best_loss", "n"]
    table = best[["problem", "solver", "configuration", *names]].rename(columns={"solver": "optimizer", "n": "seeds"})
    rule = (
        "Each method at its best configuration on problems on which no method reaches a target, lowest first: median,"
        " lowest and highest over all seeds. best loss: lowest of the whole run."
    )
    return [ReportTable("losses", "Final loss of each method", rule, table.dropna(axis="columns", how="all"))]


def _width_tables(data: ReportData) -> list[ReportTable]:
    table = measure_lr_width(data.sensitivity)
    best = table.sort_values(["chosen", "cost"], ascending=[False, True], kind="stable")
    best = best.drop(columns="chosen").drop_duplicates(["problem", "solver"]).sort_values("solver")
    if best.empty or not (best["low"] < best["high"]).any():
        return []
    rule = "Decades of contiguous tried lrs around the best that need at most twice as many gradients."
    names = {"solver": "optimizer", "others": "other settings", "cost": "gradients"}
    table = data.sort_by_problem(best).rename(columns=names)
    table = table if (table["other settings"] != "").any() else table.drop(columns="other settings")
    return [ReportTable("forgiveness", "Width of the optimal learning rate range", rule, table)]
