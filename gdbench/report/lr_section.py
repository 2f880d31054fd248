"""The report's section on learning rates: cost against lr, lr beside another axis, and what each method forgives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.lr_sensitivity import decades_within, over_dtypes, sensitivity
from gdbench.analysis.step_times import count_processes
from gdbench.report.charts import final_losses
from gdbench.report.charts import lr_sensitivity as charts
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import ReportData, ReportTable

__all__ = ["make_lr_figures", "make_lr_tables"]

COSTS = ("gradients", "steps", "seconds")
"""What a reader may have against lr; the first is always there."""


def make_lr_figures(data: ReportData) -> list[Figure]:
    """Each cost that says something of its own against lr, and heatmaps where lr and another number were varied."""
    first = _varied_costs(data, "gradients")
    by_loss = _final_loss_figures(data)
    if first.empty or (by_loss and not np.isfinite(first["cost"]).any()):
        return by_loss
    tables = {cost: first if cost == "gradients" else _varied_costs(data, cost) for cost in COSTS}
    wanted = {
        "gradients": True,
        "steps": not first["cost"].equals(tables["steps"]["cost"]),
        "seconds": _has_comparable_times(data, tables),
    }
    shown = [_sensitivity_figure(data, tables[cost], cost) for cost in COSTS if wanted[cost]]
    return [*shown, *by_loss, *_number_heatmaps(data, first), *_dtype_heatmaps(data)]


def _varied_costs(data: ReportData, cost: str) -> pd.DataFrame:
    """The costs on problems on which several lrs were tried."""
    table = data.sensitivity if cost == "gradients" else sensitivity(data.merged_runs, cost)
    return data.sort_by_problem(table[table.groupby("problem")["lr"].transform("nunique") > 1])


def _has_comparable_times(data: ReportData, tables: dict[str, pd.DataFrame]) -> bool:
    """Whether one process timed all that reached the target, so that a missing point means a miss in seconds too."""
    if count_processes(data.merged_runs) > 1:
        return False
    seconds, gradients = (np.isfinite(tables[name]["cost"]) for name in ("seconds", "gradients"))
    return bool(seconds.any() and seconds.equals(gradients))


def _sensitivity_figure(data: ReportData, table: pd.DataFrame, cost: str) -> Figure:
    name = "sensitivity" if cost == "gradients" else f"sensitivity-{cost}"
    title = f"{cost.capitalize()} to target against learning rate"
    runs, solved, broke = (int(table[each].sum()) for each in ("runs", "solved", "broke"))
    if not np.isfinite(table["cost"]).any():
        none = f"None of {runs} runs reached the target: there is no point to draw."
        return Figure(name, title, none, table, tab=cost, group="sensitivity")
    rule = (
        f"{cost.capitalize()} to the target at each learning rate, the best over other settings; median over seeds; one"
        f" that missed it, or left it again, is not drawn: {solved} of {runs} runs reached it and stayed. Grey: share"
        f" of runs that diverged or became nonfinite ({broke})."
    )
    rule += data.impl_note
    rule += LIMIT_RULE if table["smoothness"].notna().any() else ""
    drawing = charts.draw_sensitivity(table, data.style, cost)
    return Figure(name, title, rule + data.describe_panels(table), table, drawing, cost, "sensitivity")


def _final_loss_figures(data: ReportData) -> list[Figure]:
    """The final loss at each lr, on the problems on which no configuration reaches a target."""
    table = data.unsolved_standings
    table = table[table.groupby("problem")["lr"].transform("nunique") > 1]
    shown = table[(table["outcome"] != "cannot win") & np.isfinite(table["final_loss"])]
    shown = data.sort_by_problem(shown.drop_duplicates(["problem", "solver", "lr"])).sort_values("lr", kind="stable")
    if shown.empty:
        return []
    band = "; band: the lowest to the highest of them" if final_losses.has_bands(shown) else ""
    rule = (
        "Final loss at each learning rate on the problems on which no configuration reaches a target, the best over"
        f" other settings; median over seeds{band}. {len(table) - len(table[table['outcome'] != 'cannot win'])} of"
        f" {len(table)} configurations ended no lower than they began, and are not drawn."
    )
    title = "Final loss against learning rate"
    drawing = final_losses.draw_final_losses(shown, data.style)
    return [
        Figure("sensitivity-loss", title, rule + data.describe_panels(shown), shown, drawing, "loss", "sensitivity")
    ]


LIMIT_RULE = " Dotted: 2/L, beyond which gradient descent diverges on a quadratic."


def _number_heatmaps(data: ReportData, table: pd.DataFrame) -> list[Figure]:
    """A heatmap for each optimizer of which another number was varied too."""
    several = table.groupby(["problem", "solver"])["others"].transform("nunique") > 1
    return _heatmap_figures(
        data, "heatmap", "Learning rate and other settings together", "other numbers", table[several]
    )


def _dtype_heatmaps(data: ReportData) -> list[Figure]:
    """A heatmap for each optimizer that was run in several dtypes."""
    if data.merged_runs["dtype"].nunique() < 2:
        return []
    table = over_dtypes(data.merged_runs)
    table = table[table.groupby(["problem", "solver"])["lr"].transform("nunique") > 1]
    places = {name: place for place, name in enumerate(data.style.optimizers)}
    table = table.loc[table["solver"].map(places).sort_values(kind="stable").index]
    return _heatmap_figures(data, "heatmap-dtype", "Learning rate and dtype together", "dtypes", table)


def _heatmap_figures(data: ReportData, name: str, title: str, others: str, table: pd.DataFrame) -> list[Figure]:
    if table.empty or not np.isfinite(table["cost"]).any():
        return []
    grid = table.assign(panel=table["solver"] + " · " + table["problem"], other=table["others"])
    grid = grid.assign(optimizer=grid["solver"])
    rule = (
        f"Median gradients to the target for each learning rate and the {others} that were varied; × where more than"
        " half of the runs broke, empty where the target was not reached, or left again."
        f" {int(grid['solved'].sum())} of {int(grid['runs'].sum())} runs reached it and stayed."
    )
    rule += data.impl_note + ReportData.describe_panels(grid, "panel")
    return [Figure(name, title, rule, grid, charts.draw_heatmap(grid), coloured=False)]


def make_lr_tables(data: ReportData) -> list[ReportTable]:
    """How many decades of lr each method forgives; and where it ends on problems on which nobody reaches a target."""
    return [*_robustness_tables(data), *_final_loss_tables(data)]


def _final_loss_tables(data: ReportData) -> list[ReportTable]:
    best = data.sort_by_problem(data.unsolved_standings.drop_duplicates(["problem", "solver"]))
    if best.empty:
        return []
    names = ["final_gap", "final_loss", "final_loss_lo", "final_loss_hi", "best_loss", "n"]
    shown = best[["problem", "solver", "configuration", *names]].rename(columns={"solver": "optimizer", "n": "seeds"})
    shown = shown.dropna(axis="columns", how="all")
    rule = (
        "Each method at its best configuration on the problems on which none reaches a target, the lowest first: the"
        " median over all seeds, with the lowest and the highest. best loss: the lowest of the whole run."
    )
    return [ReportTable("losses", "Final loss of each method", rule, shown)]


def _robustness_tables(data: ReportData) -> list[ReportTable]:
    table = decades_within(data.sensitivity)
    best = table.sort_values(["chosen", "cost"], ascending=[False, True], kind="stable")
    best = best.drop(columns="chosen").drop_duplicates(["problem", "solver"]).sort_values("solver")
    if best.empty or not (best["low"] < best["high"]).any():
        return []
    rule = "Decades of lr around the best, as tried and in one stretch, that cost at most twice as many gradients."
    shown = data.sort_by_problem(best).rename(columns={"solver": "optimizer", "others": "with", "cost": "gradients"})
    shown = shown if (shown["with"] != "").any() else shown.drop(columns="with")
    return [ReportTable("forgiveness", "How much each method forgives", rule, shown)]
