"""Effect of ``tune`` on the ranking: a solver is ranked at the configuration that tune chose.

``tune`` prefers the middle of a good plateau to a lower, isolated cost, and uses its own metric. It records its choices
in the columns ``tuned_place`` and ``tuned_for``; the ranking follows them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["PASSED_OVER", "SPIKE", "is_single_search", "label_passed_over", "promote_choices"]

Flags = npt.NDArray[np.bool_]
RANKING_MEDIANS = ["stay", "hit", "missed"]
"""Medians that order configurations before any tie-breaking."""
CHOSEN, OTHER, PASSED = 0, 1, 2
SPIKE, PASSED_OVER = "spike", "passed over"
PLATEAU_METRICS = ("steps_to_target", "gradient_evals_to_target")
"""Metrics for which tune prefers plateaus and that the ranking has as a cost."""


def is_single_search(runs: pd.DataFrame) -> pd.Series:
    """Whether all runs of each run's problem come from one tuned sweep: its places then order the methods."""
    problem = runs["problem"] if "problem" in runs else pd.Series(0, runs.index)
    chosen = runs["tuned_place"].notna().groupby(problem).transform("any").astype(bool)
    if "sweep" not in runs or not chosen.any():
        return chosen
    return chosen & runs["sweep"].groupby(problem).transform("nunique").le(1)


def promote_choices(order: pd.DataFrame, place: pd.Series, solver: pd.Series, leads: Flags) -> pd.DataFrame:
    """Sort keys of configurations with tune's choices moved before what they were preferred to.

    ``order`` has ``problem`` and RANKING_MEDIANS, one row per configuration. ``place`` is tune's place of it, null if
    not chosen; ``leads``: whether such places order the methods too. Configurations of a solver that are better by
    their medians than its choice get the choice's medians and rank directly behind; ``behind`` is the row of that
    choice, else null.
    """
    if not place.notna().any():
        return order.assign(lead=0.0, beside=OTHER, behind=np.nan)
    order = order.assign(lead=np.where(leads, place.fillna(np.inf), 0.0), solver=solver.to_numpy(), row=order.index)
    chosen = place.notna().to_numpy()
    first = order[chosen].sort_values(["problem", "lead", *RANKING_MEDIANS], kind="stable")
    first = first.drop_duplicates(["problem", "solver"])[["problem", "solver", *RANKING_MEDIANS, "row"]]
    beside = order.merge(first, on=["problem", "solver"], how="left", suffixes=("", "_chosen")).set_index("row")
    passed = ~chosen & _is_better_than_choice(beside)
    for name in RANKING_MEDIANS:
        order[name] = order[name].where(~passed, beside[f"{name}_chosen"])
    order["beside"] = np.select([chosen, passed], [CHOSEN, PASSED], OTHER)
    return order.drop(columns=["solver", "row"]).assign(behind=beside["row_chosen"].where(passed))


def label_passed_over(table: pd.DataFrame, behind: pd.Series) -> pd.Series:
    """SPIKE or PASSED_OVER for configurations that cost less than their solver's choice, at row ``behind``.

    A spike costs less by the search's own metric and was not chosen because its neighbours cost much more.
    """
    rows = behind.notna().to_numpy()
    choices = table.iloc[behind[rows].to_numpy(int)]
    work, least = (frame[["steps", "gradients"]].to_numpy(float) for frame in (table[rows], choices))
    less = (work < least).all(axis=1)
    words = pd.Series(None, index=table.index, dtype=object)
    words[rows] = np.where(less & choices["tuned_for"].isin(PLATEAU_METRICS).to_numpy(bool), SPIKE, PASSED_OVER)
    return words


def _is_better_than_choice(rows: pd.DataFrame) -> Flags:
    """Whether each row is lexicographically better by RANKING_MEDIANS than its solver's choice."""
    before, equal = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    for name in RANKING_MEDIANS:
        own, choice = rows[name].to_numpy(float), rows[f"{name}_chosen"].to_numpy(float)
        before |= equal & (own < choice)
        equal &= own == choice
    return before
