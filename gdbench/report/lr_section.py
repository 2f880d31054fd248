"""The report's section on learning rates: cost against lr, lr beside another axis, and what each method forgives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.lr_sensitivity import compute_dtype_sensitivity, compute_lr_sensitivity, measure_lr_width
from gdbench.analysis.step_times import count_processes
from gdbench.report.charts import final_losses
from gdbench.report.charts import lr_sensitivity as charts
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.report_data import Facts, Shown

__all__ = ["figures", "tables"]

CHOICES = ("gradients", "steps", "seconds")
"""What a reader may have against lr; the first is always there."""


def figures(facts: Facts) -> list[Figure]:
    """Each cost that says something of its own against lr, and heatmaps where lr and another number were varied."""
    first = _varied(facts, "gradients")
    by_loss = _against_loss(facts)
    if first.empty or (by_loss and not np.isfinite(first["cost"]).any()):
        return by_loss
    tables = {cost: first if cost == "gradients" else _varied(facts, cost) for cost in CHOICES}
    wanted = {
        "gradients": True,
        "steps": not first["cost"].equals(tables["steps"]["cost"]),
        "seconds": _timed(facts, tables),
    }
    shown = [_against(facts, tables[cost], cost) for cost in CHOICES if wanted[cost]]
    return [*shown, *by_loss, *_beside_numbers(facts, first), *_beside_dtypes(facts)]


def _varied(facts: Facts, cost: str) -> pd.DataFrame:
    """The costs on problems on which several lrs were tried."""
    table = facts.sensitivity if cost == "gradients" else compute_lr_sensitivity(facts.merged, cost)
    return facts.ordered(table[table.groupby("problem")["lr"].transform("nunique") > 1])


def _timed(facts: Facts, tables: dict[str, pd.DataFrame]) -> bool:
    """Whether one process timed all that reached the target, so that a missing point means a miss in seconds too."""
    if count_processes(facts.merged) > 1:
        return False
    seconds, gradients = (np.isfinite(tables[name]["cost"]) for name in ("seconds", "gradients"))
    return bool(seconds.any() and seconds.equals(gradients))


def _against(facts: Facts, table: pd.DataFrame, cost: str) -> Figure:
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
    rule += facts.impls
    rule += LIMIT if table["smoothness"].notna().any() else ""
    drawing = charts.chart(table, facts.look, cost)
    return Figure(name, title, rule + facts.panels(table), table, drawing, cost, "sensitivity")


def _against_loss(facts: Facts) -> list[Figure]:
    """The final loss at each lr, on the problems on which no configuration reaches a target."""
    table = facts.unsolved
    table = table[table.groupby("problem")["lr"].transform("nunique") > 1]
    shown = table[(table["outcome"] != "cannot win") & np.isfinite(table["final_loss"])]
    shown = facts.ordered(shown.drop_duplicates(["problem", "solver", "lr"])).sort_values("lr", kind="stable")
    if shown.empty:
        return []
    band = "; band: the lowest to the highest of them" if final_losses.banded(shown) else ""
    rule = (
        "Final loss at each learning rate on the problems on which no configuration reaches a target, the best over"
        f" other settings; median over seeds{band}. {len(table) - len(table[table['outcome'] != 'cannot win'])} of"
        f" {len(table)} configurations ended no lower than they began, and are not drawn."
    )
    title = "Final loss against learning rate"
    drawing = final_losses.chart(shown, facts.look)
    return [Figure("sensitivity-loss", title, rule + facts.panels(shown), shown, drawing, "loss", "sensitivity")]


LIMIT = " Dotted: 2/L, beyond which gradient descent diverges on a quadratic."


def _beside_numbers(facts: Facts, table: pd.DataFrame) -> list[Figure]:
    """A heatmap for each optimizer of which another number was varied too."""
    several = table.groupby(["problem", "solver"])["others"].transform("nunique") > 1
    return _grid(facts, "heatmap", "Learning rate and other settings together", "other numbers", table[several])


def _beside_dtypes(facts: Facts) -> list[Figure]:
    """A heatmap for each optimizer that was run in several dtypes."""
    if facts.merged["dtype"].nunique() < 2:
        return []
    table = compute_dtype_sensitivity(facts.merged)
    table = table[table.groupby(["problem", "solver"])["lr"].transform("nunique") > 1]
    places = {name: place for place, name in enumerate(facts.look.optimizers)}
    table = table.loc[table["solver"].map(places).sort_values(kind="stable").index]
    return _grid(facts, "heatmap-dtype", "Learning rate and dtype together", "dtypes", table)


def _grid(facts: Facts, name: str, title: str, others: str, table: pd.DataFrame) -> list[Figure]:
    if table.empty or not np.isfinite(table["cost"]).any():
        return []
    grid = table.assign(panel=table["solver"] + " · " + table["problem"], other=table["others"])
    grid = grid.assign(optimizer=grid["solver"])
    rule = (
        f"Median gradients to the target for each learning rate and the {others} that were varied; × where more than"
        " half of the runs broke, empty where the target was not reached, or left again."
        f" {int(grid['solved'].sum())} of {int(grid['runs'].sum())} runs reached it and stayed."
    )
    rule += facts.impls + Facts.panels(grid, "panel")
    return [Figure(name, title, rule, grid, charts.grid_chart(grid), coloured=False)]


def tables(facts: Facts) -> list[Shown]:
    """How many decades of lr each method forgives; and where it ends on problems on which nobody reaches a target."""
    return [*_forgiveness(facts), *_final_losses(facts)]


def _final_losses(facts: Facts) -> list[Shown]:
    best = facts.ordered(facts.unsolved.drop_duplicates(["problem", "solver"]))
    if best.empty:
        return []
    names = ["final_gap", "final_loss", "final_loss_lo", "final_loss_hi", "best_loss", "n"]
    shown = best[["problem", "solver", "configuration", *names]].rename(columns={"solver": "optimizer", "n": "seeds"})
    shown = shown.dropna(axis="columns", how="all")
    rule = (
        "Each method at its best configuration on the problems on which none reaches a target, the lowest first: the"
        " median over all seeds, with the lowest and the highest. best loss: the lowest of the whole run."
    )
    return [Shown("losses", "Final loss of each method", rule, shown)]


def _forgiveness(facts: Facts) -> list[Shown]:
    table = measure_lr_width(facts.sensitivity)
    best = table.sort_values(["chosen", "cost"], ascending=[False, True], kind="stable")
    best = best.drop(columns="chosen").drop_duplicates(["problem", "solver"]).sort_values("solver")
    if best.empty or not (best["low"] < best["high"]).any():
        return []
    rule = "Decades of lr around the best, as tried and in one stretch, that cost at most twice as many gradients."
    shown = facts.ordered(best).rename(columns={"solver": "optimizer", "others": "with", "cost": "gradients"})
    shown = shown if (shown["with"] != "").any() else shown.drop(columns="with")
    return [Shown("forgiveness", "How much each method forgives", rule, shown)]
