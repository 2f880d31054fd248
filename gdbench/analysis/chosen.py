"""Which configuration stands for a solver: the best on each problem, or one for all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.problems import per_configuration

__all__ = ["leading", "one_for_all", "tuned"]


def tuned(table: pd.DataFrame) -> pd.DataFrame:
    """The best configuration of each solver on each problem, one row each, for ``costs`` of runs.

    Where a solver has several seeds on a problem, half of them (the first, third ...) select and the others are
    compared, so that luck does not count twice: ``held_out``. A configuration whose seed changes nothing is
    selected and compared by its one run. Columns: problem, solver, configuration, lr, cost (the
    median of the compared seeds), solved of runs, and trials, how many configurations were tried.
    """
    place = table.groupby(["problem", "solver"], observed=True)["seed"].rank(method="dense")
    several = place.groupby([table["problem"], table["solver"]], observed=True).transform("max") > 1
    steady = ~table["seed_matters"]  # beside noisy ones it has one run, which no luck has chosen
    selects = ~several | steady | (place % 2 == 1)
    compares = ~several | steady | (place % 2 == 0)
    order = ["cost", "shortfall"]
    keys = ["problem", "solver"]
    tried = per_configuration(table[selects]).sort_values(order, kind="stable")
    chosen = tried.drop_duplicates(keys)[[*keys, "configuration", "lr"]]
    judged = per_configuration(table[compares]).drop(columns="lr")
    trials = table.groupby(keys, sort=False, observed=True)["configuration"].nunique().rename("trials").reset_index()
    held = several.groupby([table["problem"], table["solver"]]).first().rename("held_out").reset_index()
    best = chosen.merge(judged, how="left", on=[*keys, "configuration"]).merge(trials, on=keys).merge(held, on=keys)
    best["cost"] = best["cost"].fillna(np.inf)  # its seeds that compare did not come
    return best.sort_values(keys, kind="stable", ignore_index=True)


def leading(best: pd.DataFrame) -> list[str]:
    """The solvers of ``tuned`` by their mean place over the problems, the best first; equals by name.

    Those that did not solve are placed behind those that did, by their shortfall.
    """
    order = best.sort_values(["cost", "shortfall", "solver"], kind="stable")
    places = order.assign(place=order.groupby("problem", observed=True).cumcount())
    told: list[str] = places.groupby("solver")["place"].mean().sort_values(kind="stable").index.tolist()
    return told


def one_for_all(table: pd.DataFrame) -> pd.DataFrame:
    """The same configuration of a solver on all problems: that which solves most of them, then the cheapest.

    Cheapest is the lowest sum of log costs over what it solves. A problem that a configuration was not run on counts
    as unsolved. Columns as of ``tuned``, without ``held_out``: with one choice for all problems there is little to
    select by luck.
    """
    each = per_configuration(table)
    finite = np.isfinite(each["cost"])
    keys = ["solver", "configuration"]
    scored = each.assign(solves=finite, logs=np.log(each["cost"].where(finite, 1.0)))
    total = scored.groupby(keys, sort=False, observed=True)[["solves", "logs"]].sum().reset_index()
    total = total.sort_values(["solves", "logs"], ascending=[False, True], kind="stable")
    chosen = total.drop_duplicates("solver")[keys]
    trials = each.groupby("solver", sort=False, observed=True)["configuration"].nunique().rename("trials").reset_index()
    grid = pd.merge(each[["problem"]].drop_duplicates(), chosen, how="cross")
    best = grid.merge(each, how="left", on=["problem", *keys]).merge(trials, on="solver")
    best["cost"] = best["cost"].fillna(np.inf)
    counts = {"runs": 0, "solved": 0}
    return best.fillna(counts).astype(dict.fromkeys(counts, int)).sort_values(["problem", "solver"], ignore_index=True)
