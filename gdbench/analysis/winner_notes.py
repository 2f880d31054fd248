"""Remarks on a problem's winner: tied configurations, lr at the edge of the grid, what ``tune`` passed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.step_times import is_within_noise
from gdbench.results.run_outcomes import find_grid_edge

COARSE_DECADES = 0.5
"""Distance in decades to the nearest lr beyond which the edge of the grid says nothing about better values."""
__all__ = ["NO_NOTES", "describe_impls", "describe_winner"]

NO_NOTES: dict[str, Any] = {
    "equals": [],
    "edge": None,
    "tuned_for": None,
    "passed": None,
    "passed_configuration": None,
    "passed_value": None,
}
"""Notes of a problem without an eligible configuration."""


def describe_winner(table: pd.DataFrame, first: pd.Series) -> dict[str, Any]:
    """Notes on the first row of a problem's ranking, as a dict.

    - equals: the other configurations of its optimizer with the same place (by time: within noise); empty where tune
      chose, as it takes the middle of these.
    - edge: ``larger`` or ``smaller`` where its lr, and that of all its equals, is the last one tried; else None.
    - tuned_for: the metric by which tune chose it; passed, passed_configuration, passed_value: the configuration of its
      solver that is ranked behind it for that reason alone (``tuned_choices``); None where there is none.
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
    """Implementations tied with the winner: same configuration and place, and a time within noise.

    impls: their names; timed: whether times were compared, which needs ``processes`` == 1.
    """
    mine = table[(table["optimizer"] == first["optimizer"]) & table["configuration"].eq(first["configuration"])]
    others = mine[mine["place"].eq(first["place"]) & mine["impl"].ne(first["impl"])]
    has_time = others["seconds"].notna() & np.isfinite(others["seconds"].astype(float)) & (processes == 1)
    apart = has_time & pd.notna(first["seconds"]) & ~is_within_noise(others, first)
    alike = others[~apart]
    return {"impls": list(alike["impl"]), "timed": bool(len(alike)) and bool(has_time[~apart].all())}


def _is_tied(rows: pd.DataFrame, first: pd.Series) -> pd.Series:
    """Whether each row shares the winner's place; by seconds: whether its time is within noise of the winner's."""
    if first["measure"] == "seconds":
        same = rows["outcome"].eq(first["outcome"]) & rows["solver"].eq(first["solver"])
        return same & is_within_noise(rows, first)
    return rows["place"].eq(first["place"])


def _is_coarse(lrs: pd.Series, best: float) -> bool:
    """Whether the nearest other lr is more than COARSE_DECADES away."""
    others = np.unique(lrs[lrs.notna() & (lrs > 0) & (lrs != best)].to_numpy(float))
    return not len(others) or bool(np.abs(np.log10(others / best)).min() > COARSE_DECADES)
