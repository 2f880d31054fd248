"""Two tables of runs side by side: what became better, what worse, and what is in one of them alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.problems import compared, numbers
from gdbench.analysis.ranking import SOUND, STATUS_RANK

__all__ = ["VERDICTS", "comparison"]

VERDICTS = ("better", "worse", "changed", "same", "only a", "only b")
EXACT = ("status", "steps_to_target", "gradients_to_target", "final_gap", "final_loss")
KEYS = ["problem", "solver", "configuration", "seed"]


def comparison(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The runs of two sweeps, matched by problem, solver, configuration and seed; names are made over both together.

    Columns: those keys; verdict (one of VERDICTS); status, steps_to_target, gradients_to_target, final_gap and
    final_loss of each (``_a``, ``_b``); steps_ratio, gradients_ratio and step_ratio (b over a; the last of the step
    times over their reference loops, which compares across processes as well as anything of one process each does).

    A run is better if its status is, or, where both reached the target, if it took fewer gradients, then steps. Equal
    counts with another final loss are ``changed``; so are statuses that are neither better nor worse.
    """
    both = compared(pd.concat([a.assign(side="a"), b.assign(side="b")], ignore_index=True), ["side"])
    shown = both[[*KEYS, "side"]].assign(
        **{name: both[name] if name == "status" else numbers(both, name) for name in EXACT},
        relative=numbers(both, "step_vs_reference"),
    )
    sides = [shown[shown["side"] == side].drop(columns="side").drop_duplicates(KEYS) for side in "ab"]
    table = sides[0].merge(sides[1], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    table = table.assign(
        verdict=_verdicts(table),
        steps_ratio=table["steps_to_target_b"] / table["steps_to_target_a"],
        gradients_ratio=table["gradients_to_target_b"] / table["gradients_to_target_a"],
        step_ratio=table["relative_b"] / table["relative_a"],
    )
    told = [f"{name}_{side}" for name in EXACT for side in "ab"]
    return table[[*KEYS, "verdict", *told, "steps_ratio", "gradients_ratio", "step_ratio"]]


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """The first that applies."""
    order = {side: table[f"status_{side}"].map(STATUS_RANK).astype(float) for side in "ab"}
    sound = table["status_a"].isin(SOUND) & table["status_b"].isin(SOUND)
    sign = _sign(order["a"], order["b"])
    for name in ("gradients_to_target", "steps_to_target"):
        sign = sign.where((sign != 0) | ~sound, _sign(table[f"{name}_a"], table[f"{name}_b"]))
    moved = (table["final_loss_a"] != table["final_loss_b"]) & sound
    other = table["status_a"].ne(table["status_b"]) | moved
    cases: list[pd.Series] = [table["status_b"].isna(), table["status_a"].isna(), sign < 0, sign > 0, other]
    names = ["only a", "only b", "better", "worse", "changed"]
    found: np.ndarray = np.select([each.to_numpy(bool) for each in cases], names, "same")
    return found


def _sign(a: pd.Series, b: pd.Series) -> pd.Series:
    """-1 where b is lower, 1 where it is higher, 0 where they are equal or one is missing."""
    difference = (b - a).fillna(0.0)
    return (difference > 0).astype(float) - (difference < 0).astype(float)
