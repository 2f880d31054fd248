"""Run-by-run comparison of two tables: better, worse, changed, same, or present in one table only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.optimizer_comparison import NOT_COMPARABLE
from gdbench.results.costs import select_comparable
from gdbench.results.run_outcomes import has_settled
from gdbench.results.statuses import SOUND, STATUS_RANK
from gdbench.results.values import to_floats

__all__ = ["RUN_VERDICTS", "compare_runs"]

RUN_VERDICTS = ("better", "worse", "changed", "same", "only a", "only b")
EXACT_COLUMNS = ("status", "steps_to_target", "gradient_evals_to_target", "final_gap", "final_loss")
KEYS = ["problem", "solver", "configuration", "seed"]


def compare_runs(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Runs of two sweeps, matched by problem, solver, configuration and seed; names are made over both tables.

    Columns: those keys; verdict (one of RUN_VERDICTS); status, steps_to_target, gradient_evals_to_target, final_gap and
    final_loss of each (``_a``, ``_b``); steps_ratio and gradients_ratio (b over a); for information, time_to_target_s
    of each and step_ratio (of the step times, each divided by the reference loop of its own process), and time_verdict,
    which is NOT_COMPARABLE wherever both were timed.

    A run is better if its status is; or, where both reached the target, if it alone stays there, or if it took fewer
    gradients, then fewer steps. Equal counts with another final loss are ``changed``; so are different statuses of
    equal rank. Times decide nothing.
    """
    both = select_comparable(pd.concat([a.assign(side="a"), b.assign(side="b")], ignore_index=True), ["side"])
    shown = both[[*KEYS, "side"]].assign(
        **{name: both[name] if name == "status" else to_floats(both, name) for name in EXACT_COLUMNS},
        left=~has_settled(both),
        **{name: to_floats(both, name) for name in ("time_to_target_s", "step_time_ratio")},
    )
    sides = [shown[shown["side"] == side].drop(columns="side").drop_duplicates(KEYS) for side in "ab"]
    table = sides[0].merge(sides[1], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    table = table.assign(
        verdict=_decide_verdicts(table),
        steps_ratio=table["steps_to_target_b"] / table["steps_to_target_a"],
        gradients_ratio=table["gradient_evals_to_target_b"] / table["gradient_evals_to_target_a"],
        step_ratio=table["step_time_ratio_b"] / table["step_time_ratio_a"],
    )
    timed = table["step_ratio"].notna()
    table = table.assign(time_verdict=pd.Series(NOT_COMPARABLE, index=table.index, dtype=object).where(timed, None))
    exact = [f"{name}_{side}" for name in EXACT_COLUMNS for side in "ab"]
    times = ["time_to_target_s_a", "time_to_target_s_b", "step_ratio", "time_verdict"]
    return table[[*KEYS, "verdict", *exact, "steps_ratio", "gradients_ratio", *times]]


def _decide_verdicts(table: pd.DataFrame) -> np.ndarray:
    """Verdict of each row: the first case that applies."""
    order = {side: table[f"status_{side}"].map(STATUS_RANK).astype(float) for side in "ab"}
    sound = table["status_a"].isin(SOUND) & table["status_b"].isin(SOUND)
    sign = _compute_sign(order["a"], order["b"])
    table = table.assign(**{f"left_{side}": table[f"left_{side}"].astype("boolean").astype(float) for side in "ab"})
    for name in ("left", "gradient_evals_to_target", "steps_to_target"):
        sign = sign.where((sign != 0) | ~sound, _compute_sign(table[f"{name}_a"], table[f"{name}_b"]))
    moved = (table["final_loss_a"] != table["final_loss_b"]) & sound
    other = table["status_a"].ne(table["status_b"]) | moved
    cases: list[pd.Series] = [table["status_b"].isna(), table["status_a"].isna(), sign < 0, sign > 0, other]
    names = ["only a", "only b", "better", "worse", "changed"]
    found: np.ndarray = np.select([case.to_numpy(bool) for case in cases], names, "same")
    return found


def _compute_sign(a: pd.Series, b: pd.Series) -> pd.Series:
    """-1 where b is lower, 1 where it is higher, 0 where they are equal or one is missing."""
    difference = (b - a).fillna(0.0)
    return (difference > 0).astype(float) - (difference < 0).astype(float)
