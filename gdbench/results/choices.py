"""What tune chose, in the order of configurations: a method stands at its choice, which no lucky hit of it outranks.

``tune`` prefers the middle of a good plateau to a lower cost that its neighbours do not come near, and goes by the
metric that it was given. It records its choices in the runs (columns ``tuned_place`` and ``tuned_for``), and the
standings keep to them: there is no second choice among the trials of a search.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["PASSED_OVER", "SPIKE", "found_by_one_search", "name_passed", "rank_choices"]

Flags = npt.NDArray[np.bool_]
DECIDING = ["stay", "hit", "missed"]
"""By what configurations are ordered before anything breaks ties: the medians of the standings."""
CHOSEN, OTHER, PASSED = 0, 1, 2
SPIKE, PASSED_OVER = "spike", "passed over"
PLATEAUS = ("steps_to_target", "gradient_evals_to_target")
"""Metrics of which tune prefers plateaus, and which the standings know."""


def found_by_one_search(runs: pd.DataFrame) -> pd.Series:
    """Whether all runs of a run's problem are of one sweep, in which tune chose: its places order the methods then."""
    problem = runs["problem"] if "problem" in runs else pd.Series(0, runs.index)
    chosen = runs["tuned_place"].notna().groupby(problem).transform("any").astype(bool)
    if "sweep" not in runs or not chosen.any():
        return chosen
    return chosen & runs["sweep"].groupby(problem).transform("nunique").le(1)


def rank_choices(order: pd.DataFrame, place: pd.Series, solver: pd.Series, leads: Flags) -> pd.DataFrame:
    """The order of configurations with the choices of tune in their places, before what they were preferred to.

    Of ``problem`` and DECIDING, one row a configuration. ``place`` is that which tune gave it, null where it chose
    another or none; ``leads`` says where such places order the methods too, and not the medians alone. What is better
    by its medians than the choice of its solver is listed behind whatever equals that; ``behind`` is the row of that
    choice, null of all others.
    """
    if not place.notna().any():
        return order.assign(lead=0.0, beside=OTHER, behind=np.nan)
    order = order.assign(lead=np.where(leads, place.fillna(np.inf), 0.0), solver=solver.to_numpy(), row=order.index)
    chosen = place.notna().to_numpy()
    first = order[chosen].sort_values(["problem", "lead", *DECIDING], kind="stable")
    first = first.drop_duplicates(["problem", "solver"])[["problem", "solver", *DECIDING, "row"]]
    beside = order.merge(first, on=["problem", "solver"], how="left", suffixes=("", "_chosen")).set_index("row")
    passed = ~chosen & _is_before(beside)
    for name in DECIDING:
        order[name] = order[name].where(~passed, beside[f"{name}_chosen"])
    order["beside"] = np.select([chosen, passed], [CHOSEN, PASSED], OTHER)
    return order.drop(columns=["solver", "row"]).assign(behind=beside["row_chosen"].where(passed))


def name_passed(table: pd.DataFrame, behind: pd.Series) -> pd.Series:
    """What a configuration is that costs less than the choice of its solver, at row ``behind``: SPIKE or PASSED_OVER.

    It is a spike by the metric of the search alone: less by that, and not chosen, as its neighbours do not come near.
    """
    rows = behind.notna().to_numpy()
    choices = table.iloc[behind[rows].to_numpy(int)]
    work, least = (frame[["steps", "gradients"]].to_numpy(float) for frame in (table[rows], choices))
    less = (work < least).all(axis=1)
    words = pd.Series(None, index=table.index, dtype=object)
    words[rows] = np.where(less & choices["tuned_for"].isin(PLATEAUS).to_numpy(bool), SPIKE, PASSED_OVER)
    return words


def _is_before(rows: pd.DataFrame) -> Flags:
    """Whether a row is better, by what decides, than the choice of its solver."""
    before, equal = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    for name in DECIDING:
        own, choice = rows[name].to_numpy(float), rows[f"{name}_chosen"].to_numpy(float)
        before |= equal & (own < choice)
        equal &= own == choice
    return before
