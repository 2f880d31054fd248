"""Outcome of a run: eligibility to win, settling at the target, shortfall, ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.results.statuses import SOUND
from gdbench.results.values import to_floats

__all__ = [
    *("compute_shortfalls", "describe_randomness", "find_grid_edge", "has_settled", "is_eligible"),
    *("is_tied_with_previous",),
]


def is_eligible(runs: pd.DataFrame) -> pd.Series:
    """Whether a run can be called best: sound, below its start loss, and without a shifted minimum."""
    moved = runs["shifted_minimum"].fillna(False).astype(bool)
    lower = (runs["final_loss"] < runs["start_loss"]).fillna(False).astype(bool)
    return runs["status"].isin(SOUND) & lower & ~moved


def has_settled(runs: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each run reached its target and ended at or below it."""
    hit = to_floats(runs, "steps_to_target").notna()
    absolute = to_floats(runs, "target_loss")
    ends_below = to_floats(runs, "final_gap") <= to_floats(runs, "target")
    ends_below = ends_below.where(absolute.isna(), to_floats(runs, "final_loss") <= absolute)
    return (hit & (ends_below | to_floats(runs, "steps_to_settle").notna())).to_numpy(bool)


def compute_shortfalls(runs: pd.DataFrame) -> pd.Series:
    """Final gap of each run, else its final loss; inf if ineligible.

    Gaps below gap_floor count as gap_floor, so that rounding decides nothing.
    """
    gap = to_floats(runs, "final_gap").clip(lower=to_floats(runs, "gap_floor").fillna(0.0))
    return gap.fillna(to_floats(runs, "final_loss")).where(is_eligible(runs), np.inf).fillna(np.inf)


def describe_randomness(runs: pd.DataFrame) -> list[str]:
    """Warning about runs whose first steps did not repeat; empty where all did."""
    count = int((runs["deterministic"] == False).sum()) if "deterministic" in runs else 0  # noqa: E712 (nullable)
    if not count:
        return []
    line = f"{count} of {len(runs)} runs did not repeat their first steps with the same seed (column deterministic)"
    return [f"{line}: the seed does not control their randomness, so that their seeds are not repeatable."]


def find_grid_edge(table: pd.DataFrame, best: pd.Series) -> str | None:
    """``larger`` or ``smaller`` where the best lr is the last of those tried with its optimizer, else None.

    Input: runs or ranking of one problem.
    """
    tried = np.unique(table.loc[table["optimizer"] == best["optimizer"], "lr"].dropna())
    if len(tried) < 2:
        return None
    return "larger" if best["lr"] == tried[-1] else "smaller" if best["lr"] == tried[0] else None


def is_tied_with_previous(runs: pd.DataFrame) -> pd.Series:
    """Whether a ranked run did the same work as the row above, in a time that does not differ.

    Times are compared by the intervals of their ratios to the reference, which are valid within one process.
    """
    above = runs.shift(1)
    same_work = (runs["objective"] == above["objective"]) & (
        runs["gradient_evals_to_target"] == above["gradient_evals_to_target"]
    ).fillna(False)
    overlap = (runs["step_time_ratio_lo"] <= above["step_time_ratio_hi"]) & (
        above["step_time_ratio_lo"] <= runs["step_time_ratio_hi"]
    )
    alike = [runs[name].eq(above[name]) for name in ("sweep", "process") if name in runs]
    for one_process in alike:
        same_work &= one_process.fillna(False)
    return (same_work & overlap).astype(bool)
