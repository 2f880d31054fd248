"""What is to be said of the first configuration of a problem beside its number: the same wherever it is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.step_times import is_within_noise
from gdbench.results.run_outcomes import find_grid_edge

COARSE_DECADES = 0.5
"""Decades between an lr and the next one, beyond which an end of the grid is no sign of where better ones are."""
__all__ = ["NO_NOTES", "describe_impls", "describe_winner"]

NO_NOTES: dict[str, Any] = {
    "equals": [],
    "edge": None,
    "tuned_for": None,
    "passed": None,
    "passed_configuration": None,
    "passed_value": None,
}
"""Of a problem on which nothing may win."""


def describe_winner(table: pd.DataFrame, first: pd.Series) -> dict[str, Any]:
    """Of the standings of a problem: what is equal to the first, whether its lr is an edge, and what tune said of it.

    equals: the other configurations of its optimizer in the same place (by time: not told apart); none where tune
    chose, for it takes the middle of those. edge: ``larger`` or ``smaller`` where its lr, and that of all that are
    equal to it, is the last that was
    tried. tuned_for: the metric by which tune chose it; passed, passed_configuration, passed_value: what of its solver
    stands behind it for that alone (``choices``); null where nothing does.
    """
    mine = table[table["optimizer"] == first["optimizer"]]
    alike = mine[_is_tied(mine, first) & mine["configuration"].ne(first["configuration"])]
    equals = [] if pd.notna(first["tuned_for"]) else list(dict.fromkeys(alike["configuration"]))
    edges = {find_grid_edge(table, row) for _, row in alike[alike["configuration"].isin(equals)].iterrows()}
    edge = (
        None if pd.notna(first["tuned_for"]) and _is_coarse(mine["lr"], first["lr"]) else find_grid_edge(table, first)
    )
    said = {**NO_NOTES, "equals": equals, "edge": edge if edges <= {edge} else None}
    said["tuned_for"] = first["tuned_for"]
    passed = mine[mine["passed"].notna() & mine["solver"].eq(first["solver"])]
    if pd.notna(first["tuned_for"]) and len(passed):
        row = passed.iloc[0]
        said |= {"passed": row["passed"], "passed_configuration": row["configuration"], "passed_value": row["value"]}
    return said


def describe_impls(table: pd.DataFrame, first: pd.Series, processes: int) -> dict[str, Any]:
    """The impls that do what the first of the standings does, and that no clock tells apart from it.

    impls: their names; timed: whether their times were compared, and are within the clock's noise. Times are compared
    where one process took them all, of ``processes``; elsewhere the first was not named for its time.
    """
    mine = table[(table["optimizer"] == first["optimizer"]) & table["configuration"].eq(first["configuration"])]
    others = mine[mine["place"].eq(first["place"]) & mine["impl"].ne(first["impl"])]
    has_time = others["seconds"].notna() & np.isfinite(others["seconds"].astype(float)) & (processes == 1)
    apart = has_time & pd.notna(first["seconds"]) & ~is_within_noise(others, first)
    alike = others[~apart]
    return {"impls": list(alike["impl"]), "timed": bool(len(alike)) and bool(has_time[~apart].all())}


def _is_tied(rows: pd.DataFrame, first: pd.Series) -> pd.Series:
    """Which rows share the place of the first; by time, which its clock does not tell apart from it."""
    if first["measure"] == "seconds":
        same = rows["outcome"].eq(first["outcome"]) & rows["solver"].eq(first["solver"])
        return same & is_within_noise(rows, first)
    return rows["place"].eq(first["place"])


def _is_coarse(lrs: pd.Series, best: float) -> bool:
    """Whether the nearest lr that was tried is so far off that the best of a search tells nothing of what is beyond."""
    others = np.unique(lrs[lrs.notna() & (lrs > 0) & (lrs != best)].to_numpy(float))
    return not len(others) or bool(np.abs(np.log10(others / best)).min() > COARSE_DECADES)
