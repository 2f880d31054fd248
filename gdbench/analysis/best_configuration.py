"""Selection of the configuration that represents a solver: the best on each problem, or one for all problems."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.ranking import KEYS, rank_configurations, renumber_places

__all__ = [
    *("add_solution_costs", "rank_solvers", "select_best_configurations"),
    *("select_best_impls", "select_common_configurations"),
]


def select_best_impls(compared: pd.DataFrame) -> pd.DataFrame:
    """Comparable runs with the best-ranked implementation of each configuration only; ``solver`` is the optimizer.

    Configurations keep their order of appearance, whichever implementation is kept: that order breaks ties.
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
    """Ranking table with ``cost``: the median cost to the target; inf unless the configuration stays at the target."""
    return table.assign(cost=table["value"].where(table["outcome"] == "stays", np.inf))


def select_best_configurations(compared: pd.DataFrame, cost: str = "gradients") -> pd.DataFrame:
    """The first-ranked configuration of each solver on each problem, in ranking order.

    Input: comparable runs. Columns: those of ``rank_configurations`` (place: among these rows), cost (see
    ``add_solution_costs``) and trials (number of configurations tried). All seeds are used both to select and to
    report, so that the best of many configurations is optimistically biased; only the test in ``winners`` holds seeds
    out.
    """
    table = rank_configurations(compared, cost)
    keys = ["problem", "solver"]
    trials = table.groupby(keys, sort=False, observed=True)["configuration"].transform("size")
    best = renumber_places(table.assign(trials=trials).drop_duplicates(keys))
    return add_solution_costs(best).reset_index(drop=True)


def rank_solvers(best: pd.DataFrame) -> list[str]:
    """Solver names by mean rank over the problems, best first; ties by name. Input: ``select_best_configurations``."""
    places = best.assign(row=best.groupby("problem", sort=False, observed=True).cumcount()).sort_values("solver")
    means = places.groupby("solver", observed=True)["row"].mean().sort_values(kind="stable")
    return [str(name) for name in means.index]


def select_common_configurations(compared: pd.DataFrame) -> pd.DataFrame:
    """The one configuration of each solver that solves most problems; ties by the lowest sum of log costs.

    Input: comparable runs. The sum is over the solved problems; a problem without runs of a configuration counts as
    unsolved. Columns: problem, solver, configuration, lr, cost and trials.
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
