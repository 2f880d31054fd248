"""Two tables of runs side by side: what became better, what worse, and what is in one of them alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.paired_comparison import NOT_COMPARABLE
from gdbench.results.costs import compared
from gdbench.results.ranking import SOUND, STATUS_RANK, numbers, runs_that_stay

__all__ = ["VERDICTS", "comparison"]

VERDICTS = ("better", "worse", "changed", "same", "only a", "only b")
EXACT = ("status", "steps_to_target", "gradient_evals_to_target", "final_gap", "final_loss")
KEYS = ["problem", "solver", "configuration", "seed"]


def comparison(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The runs of two sweeps, matched by problem, solver, configuration and seed; names are made over both together.

    Columns: those keys; verdict (one of VERDICTS); status, steps_to_target, gradient_evals_to_target, final_gap and
    final_loss of each (``_a``, ``_b``); steps_ratio and gradients_ratio (b over a); for information, time_to_target_s
    of each and step_ratio (of the step times, each over the reference loop of its own process), and time_verdict, which
    is NOT_COMPARABLE wherever both were timed.

    A run is better if its status is, or, where both reached the target, if it alone stays there, or if it took fewer
    gradients, then steps. Equal counts with another final loss are ``changed``; so are statuses that are neither better
    nor worse. No clock decides anything.
    """
    both = compared(pd.concat([a.assign(side="a"), b.assign(side="b")], ignore_index=True), ["side"])
    shown = both[[*KEYS, "side"]].assign(
        **{name: both[name] if name == "status" else numbers(both, name) for name in EXACT},
        left=~runs_that_stay(both),
        **{name: numbers(both, name) for name in ("time_to_target_s", "step_time_ratio")},
    )
    sides = [shown[shown["side"] == side].drop(columns="side").drop_duplicates(KEYS) for side in "ab"]
    table = sides[0].merge(sides[1], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    table = table.assign(
        verdict=_verdicts(table),
        steps_ratio=table["steps_to_target_b"] / table["steps_to_target_a"],
        gradients_ratio=table["gradient_evals_to_target_b"] / table["gradient_evals_to_target_a"],
        step_ratio=table["step_time_ratio_b"] / table["step_time_ratio_a"],
    )
    timed = table["step_ratio"].notna()
    table = table.assign(time_verdict=pd.Series(NOT_COMPARABLE, index=table.index, dtype=object).where(timed, None))
    exact = [f"{name}_{side}" for name in EXACT for side in "ab"]
    times = ["time_to_target_s_a", "time_to_target_s_b", "step_ratio", "time_verdict"]
    return table[[*KEYS, "verdict", *exact, "steps_ratio", "gradients_ratio", *times]]


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """The first that applies."""
    order = {side: table[f"status_{side}"].map(STATUS_RANK).astype(float) for side in "ab"}
    sound = table["status_a"].isin(SOUND) & table["status_b"].isin(SOUND)
    sign = _sign(order["a"], order["b"])
    table = table.assign(**{f"left_{side}": table[f"left_{side}"].astype("boolean").astype(float) for side in "ab"})
    for name in ("left", "gradient_evals_to_target", "steps_to_target"):
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
