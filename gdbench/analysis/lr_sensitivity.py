"""Sensitivity to the learning rate: cost at each lr, and the width of the range of good ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.convergence_curves import QUARTILES
from gdbench.results.costs import compute_costs
from gdbench.results.statuses import DIVERGING
from gdbench.results.values import to_floats

__all__ = ["compute_dtype_sensitivity", "compute_lr_sensitivity", "measure_lr_width", "select_final_losses"]


def compute_lr_sensitivity(compared: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """Cost to the target at each lr: one row per problem, solver, lr and set of other hyper-parameters.

    Input: comparable runs. Columns: problem, solver, lr, others (the other hyper-parameters as text), cost (median over
    seeds; inf where more than half did not solve), lo and hi (quartiles), runs, solved, diverged (or nonfinite
    runs), smoothness (L of the objective; null if not stated), chosen (whether tune chose it).
    """
    table = compute_costs(compared, cost).assign(
        hit=lambda rows: np.isfinite(rows["cost"]),
        diverged=compared["status"].isin(DIVERGING),
        smoothness=to_floats(compared, "smoothness"),
        chosen=to_floats(compared, "tuned_place").notna(),
        others=compared["configuration"].str.replace(
            r"^(lr \S+( lr_scale \S+)?( lr_scale_of \S+)?|no lr)\s*", "", regex=True
        ),
    )
    keys = ["problem", "solver", "others", "lr"]
    groups = table[table["lr"].notna()].groupby(keys, sort=False, observed=True)
    cost_of = {
        "cost" if name == "middle" else name: groups["cost"].quantile(q, interpolation=side)
        for name, (q, side) in QUARTILES.items()
    }
    counted = groups.agg(
        runs=("cost", "size"),
        solved=("hit", "sum"),
        diverged=("diverged", "sum"),
        smoothness=("smoothness", "first"),
        chosen=("chosen", "any"),
    )
    return pd.DataFrame(cost_of).join(counted).reset_index().sort_values(keys, kind="stable", ignore_index=True)


def select_final_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Final loss of each solver at each lr: the best-ranked row per problem, solver and lr.

    Input: a ranking; ineligible rows and those without an lr are left out.
    """
    shown = table[(table["outcome"] != "cannot win") & np.isfinite(table["final_loss"]) & table["lr"].notna()]
    best: pd.DataFrame = shown.drop_duplicates(["problem", "solver", "lr"]).sort_values("lr", kind="stable")
    return best


def compute_dtype_sensitivity(compared: pd.DataFrame) -> pd.DataFrame:
    """``compute_lr_sensitivity`` of problems run in several dtypes; ``others`` is the dtype.

    ``problem`` has no dtype in its name. At each lr the best of the other hyper-parameters counts. ``objective`` and
    ``dtype`` say what a row is of.
    """
    table = (
        compute_lr_sensitivity(compared).sort_values("cost", kind="stable").drop_duplicates(["problem", "solver", "lr"])
    )
    posed = compared.drop_duplicates("problem").set_index("problem")[["objective", "dtype"]].astype(str)
    table = table.assign(**{name: table["problem"].map(posed[name]) for name in ("objective", "dtype")})
    names = [name.replace(f" {dtype}", "", 1) for name, dtype in zip(table["problem"], table["dtype"], strict=True)]
    table = table.assign(problem=names, others=table["dtype"]).sort_index()
    several: pd.DataFrame = table[table.groupby(["problem", "solver"])["others"].transform("nunique") > 1]
    return several


def measure_lr_width(table: pd.DataFrame, factor: float = 2.0) -> pd.DataFrame:
    """Width in decades of the contiguous range of tried lrs that cost at most ``factor`` times the best.

    Input: ``compute_lr_sensitivity``. Columns: problem, solver, others, lr (tune's choice, else the best; of ties the
    middle one), cost, low, high, decades and chosen. Solvers that never solved have no row.
    """
    keys = ["problem", "solver", "others"]
    groups = table.sort_values("lr").groupby(keys, sort=False, observed=True)
    rows = [[*names, *_measure_width(group, factor)] for names, group in groups if np.isfinite(group["cost"]).any()]
    return pd.DataFrame(rows, columns=[*keys, "lr", "cost", "low", "high", "decades", "chosen"])


def _measure_width(group: pd.DataFrame, factor: float) -> list[float]:
    """Values of one row of ``measure_lr_width``, from lr on, from rows sorted by lr."""
    cost, lr = group["cost"].to_numpy(), group["lr"].to_numpy()
    chosen = group["chosen"].to_numpy(bool) & np.isfinite(cost)
    equals = np.flatnonzero(chosen if chosen.any() else cost == cost.min())
    best = int(equals[len(equals) // 2])
    beyond = np.flatnonzero(cost > factor * cost[best])
    first = beyond[beyond < best].max(initial=-1) + 1
    last = beyond[beyond > best].min(initial=len(cost)) - 1
    return [lr[best], cost[best], lr[first], lr[last], float(np.log10(lr[last] / lr[first])), chosen.any()]
