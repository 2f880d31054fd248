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
    order = {side: table[f"status_{side}"].map(STATUS_RANK) for side in "ab"}
    sound = table["status_a"].isin(SOUND) & table["status_b"].isin(SOUND)
    work = [_sign(table, name) for name in ("gradients_to_target", "steps_to_target")]
    sign = np.sign(order["b"] - order["a"])
    for each in work:
        sign = sign.where((sign != 0) | ~sound, each)
    other = table["status_a"].ne(table["status_b"]) | (table["final_loss_a"] != table["final_loss_b"]) & sound
    cases = [table["status_b"].isna(), table["status_a"].isna(), sign < 0, sign > 0, other]
    found: np.ndarray = np.select(
        [each.to_numpy(bool) for each in cases], ["only a", "only b", "better", "worse", "changed"], "same"
    )
    return found


def _sign(table: pd.DataFrame, name: str) -> pd.Series:
    return np.sign(table[f"{name}_b"] - table[f"{name}_a"]).fillna(0.0)
