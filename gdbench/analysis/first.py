"""What is to be said of the first configuration of a problem beside its number: the same wherever it is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.ranking import edge_of_grid

APART = 0.5
"""Decades between an lr and the next one, beyond which an end of the grid is no sign of where better ones are."""
__all__ = ["NOTHING_SAID", "describe_first"]

NOTHING_SAID: dict[str, Any] = {
    "equals": [],
    "edge": None,
    "tuned_for": None,
    "passed": None,
    "passed_configuration": None,
    "passed_value": None,
}
"""Of a problem on which nothing may win."""


def describe_first(table: pd.DataFrame, first: pd.Series) -> dict[str, Any]:
    """Of the standings of a problem: what is equal to the first, whether its lr is an edge, and what tune said of it.

    equals: the other configurations of its optimizer in the same place; none where tune chose, for it takes the middle
    of those. edge: ``larger`` or ``smaller`` where its lr, and that of all that are equal to it, is the last that was
    tried. tuned_for: the metric by which tune chose it; passed, passed_configuration, passed_value: what of its solver
    stands behind it for that alone (``choices``); null where nothing does.
    """
    mine = table[table["optimizer"] == first["optimizer"]]
    alike = mine[mine["place"].eq(first["place"]) & mine["configuration"].ne(first["configuration"])]
    equals = [] if pd.notna(first["tuned_for"]) else list(dict.fromkeys(alike["configuration"]))
    edges = {edge_of_grid(table, row) for _, row in alike[alike["configuration"].isin(equals)].iterrows()}
    edge = None if pd.notna(first["tuned_for"]) and _is_coarse(mine["lr"], first["lr"]) else edge_of_grid(table, first)
    said = {**NOTHING_SAID, "equals": equals, "edge": edge if edges <= {edge} else None}
    said["tuned_for"] = first["tuned_for"]
    passed = mine[mine["passed"].notna() & mine["solver"].eq(first["solver"])]
    if pd.notna(first["tuned_for"]) and len(passed):
        row = passed.iloc[0]
        said |= {"passed": row["passed"], "passed_configuration": row["configuration"], "passed_value": row["value"]}
    return said


def _is_coarse(lrs: pd.Series, best: float) -> bool:
    """Whether the nearest lr that was tried is so far off that the best of a search tells nothing of what is beyond."""
    others = np.unique(lrs[lrs.notna() & (lrs > 0) & (lrs != best)].to_numpy(float))
    return not len(others) or bool(np.abs(np.log10(others / best)).min() > APART)
