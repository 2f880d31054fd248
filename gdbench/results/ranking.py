"""What tells runs apart: sound statuses, what stays at its target, ties, and the edge of the grid of learning rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "SOUND",
    "describe_randomness",
    "edge_of_grid",
    "may_win",
    "numbers",
    "runs_that_stay",
    "shortfalls",
    "tied_with_previous",
]

STATUS_RANK = {"target": 0, "plateau": 1, "budget": 1, "diverged": 2, "nonfinite": 3, "unavailable": 4, "failed": 5}
SOUND = ("target", "plateau", "budget")
"""Statuses of runs that may win anything; hits of others are no solutions."""


def may_win(runs: pd.DataFrame) -> pd.Series:
    """Whether a run may be called best: not one that diverged, failed, got nowhere or moved the minimum."""
    moved = runs["shifted_minimum"].fillna(False).astype(bool)
    lower = (runs["final_loss"] < runs["start_loss"]).fillna(False).astype(bool)
    return runs["status"].isin(SOUND) & lower & ~moved


def runs_that_stay(runs: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each run reached its target and ended there: from some step on it is at or below it, to the last one."""
    hit = numbers(runs, "steps_to_target").notna()
    absolute = numbers(runs, "target_loss")
    ends_below = numbers(runs, "final_gap") <= numbers(runs, "target")
    ends_below = ends_below.where(absolute.isna(), numbers(runs, "final_loss") <= absolute)
    return (hit & (ends_below | numbers(runs, "steps_to_settle").notna())).to_numpy(bool)


def shortfalls(runs: pd.DataFrame) -> pd.Series:
    """The final gap of each run, else its final loss; inf where it may not win.

    A gap below what the dtype can tell counts as that floor, so that rounding decides nothing.
    """
    gap = numbers(runs, "final_gap").clip(lower=numbers(runs, "gap_floor").fillna(0.0))
    return gap.fillna(numbers(runs, "final_loss")).where(may_win(runs), np.inf).fillna(np.inf)


def numbers(runs: pd.DataFrame, name: str) -> pd.Series:
    """A column as plain floats, NaN where it is null or not there."""
    if name not in runs:
        return pd.Series(np.nan, index=runs.index)
    return runs[name].astype("Float64").astype(float)


def describe_randomness(runs: pd.DataFrame) -> list[str]:
    """A warning, in one line, of runs whose first steps did not repeat; nothing where all did."""
    count = int((runs["deterministic"] == False).sum()) if "deterministic" in runs else 0  # noqa: E712 (nullable)
    if not count:
        return []
    line = f"{count} of {len(runs)} runs did not repeat their first steps from one seed (column deterministic)"
    return [f"{line}: their randomness lies outside of it, so their seeds are no repeats of anything."]


def edge_of_grid(table: pd.DataFrame, best: pd.Series) -> str | None:
    """``larger`` or ``smaller`` where the best lr is the last of those tried with its method; None where it is not.

    Of runs or standings of one problem.
    """
    tried = np.unique(table.loc[table["optimizer"] == best["optimizer"], "lr"].dropna())
    if len(tried) < 2:
        return None
    return "larger" if best["lr"] == tried[-1] else "smaller" if best["lr"] == tried[0] else None


def tied_with_previous(runs: pd.DataFrame) -> pd.Series:
    """Whether a ranked run did the same work as the row above and their times cannot be told apart.

    Times are compared by the intervals of their ratios to the reference, which hold within one process.
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
