"""Which configuration stands for a solver: the best on each problem, or one for all; and which impl for a method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.ranking import KEYS, rank_configurations

__all__ = [
    "add_solution_costs",
    "rank_solvers",
    "select_best_configurations",
    "select_best_impls",
    "select_common_configurations",
]


def select_best_impls(compared: pd.DataFrame) -> pd.DataFrame:
    """Compared runs with one impl of each configuration, that which stands first; ``solver`` is the optimizer.

    Configurations keep the order in which they came, whichever of their impls is kept: it decides what is else equal.
    """
    one = compared.assign(solver=compared["optimizer"].astype(object))
    if compared["impl"].nunique() < 2:
        return one
    alike = ["problem", "optimizer", "configuration"]
    first = rank_configurations(compared).drop_duplicates(alike)
    kept = pd.MultiIndex.from_frame(compared[list(KEYS)]).isin(pd.MultiIndex.from_frame(first[list(KEYS)]))
    came = np.argsort(compared.groupby(alike, sort=False, observed=True).ngroup(), kind="stable")
    return one.iloc[came[kept[came]]]


def add_solution_costs(table: pd.DataFrame) -> pd.DataFrame:
    """Standings with ``cost``: what a configuration pays to its target by its median; inf unless it stays there."""
    return table.assign(cost=table["value"].where(table["outcome"] == "stays", np.inf))


def select_best_configurations(compared: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """The best configuration of each solver on each problem: the first of its rows in the standings, in their order.

    Of compared runs. Columns beside those of ``rank_configurations``: cost (see ``add_solution_costs``) and trials, how many
    configurations were tried. All seeds count in all numbers, and the same ones have chosen: a configuration that is
    best of many owes something to luck. The verdict's test alone holds seeds out.
    """
    table = rank_configurations(compared, cost)
    keys = ["problem", "solver"]
    trials = table.groupby(keys, sort=False, observed=True)["configuration"].transform("size")
    return add_solution_costs(table.assign(trials=trials).drop_duplicates(keys)).reset_index(drop=True)


def rank_solvers(best: pd.DataFrame) -> list[str]:
    """The solvers of ``select_best_configurations`` by their mean place over the problems, the best first; equals by name."""
    places = best.assign(row=best.groupby("problem", sort=False, observed=True).cumcount()).sort_values("solver")
    means = places.groupby("solver", observed=True)["row"].mean().sort_values(kind="stable")
    return [str(name) for name in means.index]


def select_common_configurations(compared: pd.DataFrame) -> pd.DataFrame:
    """The same configuration of a solver on all problems: that which solves most of them, then the cheapest.

    Of compared runs. Cheapest is the lowest sum of log costs over what it solves. A problem that a configuration was
    not run on counts as unsolved. Columns: problem, solver, configuration, lr, cost and trials.
    """
    table = add_solution_costs(rank_configurations(compared))
    finite = np.isfinite(table["cost"])
    keys = ["solver", "configuration"]
    scored = table.assign(solves=finite, logs=np.log(table["cost"].where(finite, 1.0)))
    total = scored.groupby(keys, sort=False, observed=True)[["solves", "logs"]].sum().reset_index()
    total = total.sort_values(["solves", "logs"], ascending=[False, True], kind="stable")
    chosen = total.drop_duplicates("solver")[keys]
    trials = table.groupby("solver", sort=False, observed=True)["configuration"].nunique().rename("trials")
    grid = pd.merge(table[["problem"]].drop_duplicates(), chosen, how="cross")
    best = grid.merge(table[["problem", *keys, "lr", "cost"]], how="left", on=["problem", *keys])
    best = best.merge(trials.reset_index(), on="solver").fillna({"cost": np.inf})
    return best.sort_values(["problem", "solver"], ignore_index=True)
