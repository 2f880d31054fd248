"""The order of runs within an objective: who reached the target, with how much work, and who diverged last of all."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = [
    "SOUND",
    "best_per_problem",
    "describe_randomness",
    "edge_of_grid",
    "may_win",
    "ranked",
    "tied_with_previous",
]

STATUS_RANK = {"target": 0, "plateau": 1, "budget": 1, "diverged": 2, "nonfinite": 3, "unavailable": 4, "failed": 5}
SOUND = ("target", "plateau", "budget")
"""Statuses of runs that may win anything; hits of others are no solutions."""


def ranked(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs grouped by ``problem`` (else objective), the best first.

    The order is by status, gradients and evaluations to the target, time, and final gap. Gradients come before seconds
    because they are exact, and before steps because a step may cost several. Where the minimum is unknown the final
    loss stands for the gap.
    """
    key = pd.DataFrame(
        {
            "problem": pd.factorize(runs[_problem_column(runs)])[0],
            "status": runs["status"].map(STATUS_RANK).fillna(9),
            "gradients": _numbers(runs, "gradients_to_target"),
            "evaluations": _numbers(runs, "evaluations_to_target"),
            "time": _numbers(runs, "time_to_target_s"),
            "gap": _numbers(runs, "final_gap"),
            "loss": _numbers(runs, "final_loss"),
        },
        index=runs.index,
    )
    return runs.loc[key.sort_values([str(name) for name in key], kind="stable").index]


def may_win(runs: pd.DataFrame) -> pd.Series:
    """Whether a run may be called best: not one that diverged, failed, got nowhere or moved the minimum."""
    moved = runs["shifted_minimum"].fillna(False).astype(bool)
    lower = (runs["final_loss"] < runs["start_loss"]).fillna(False).astype(bool)
    return runs["status"].isin(SOUND) & lower & ~moved


def best_per_problem(runs: pd.DataFrame) -> pd.DataFrame:
    """The first row of each ``problem`` (else objective) that may win."""
    return ranked(runs[may_win(runs)]).groupby(_problem_column(runs), sort=False).head(1)


def describe_randomness(runs: pd.DataFrame) -> list[str]:
    """A warning, in one line, of runs whose first steps did not repeat; nothing where all did."""
    count = int((runs["deterministic"] == False).sum()) if "deterministic" in runs else 0  # noqa: E712 (nullable)
    if not count:
        return []
    line = f"{count} of {len(runs)} runs did not repeat their first steps from one seed (column deterministic)"
    return [f"{line}: their randomness lies outside of it, so their seeds are no repeats of anything."]


def edge_of_grid(runs: pd.DataFrame, best: pd.Series) -> str | None:
    """``larger`` or ``smaller`` where the best lr is the last of those tried with its solver; None where it is not."""
    same = runs[(runs["objective"] == best["objective"]) & (runs["optimizer"] == best["optimizer"])]
    tried = np.unique(same["lr"].dropna())
    if len(tried) < 2:
        return None
    return "larger" if best["lr"] == tried[-1] else "smaller" if best["lr"] == tried[0] else None


def tied_with_previous(runs: pd.DataFrame) -> pd.Series:
    """Whether a ranked run did the same work as the row above and their times cannot be told apart.

    Times are compared by the intervals of their ratios to the reference, which hold within one process.
    """
    above = runs.shift(1)
    same_work = (runs["objective"] == above["objective"]) & (
        runs["gradients_to_target"] == above["gradients_to_target"]
    ).fillna(False)
    overlap = (runs["step_vs_reference_lo"] <= above["step_vs_reference_hi"]) & (
        above["step_vs_reference_lo"] <= runs["step_vs_reference_hi"]
    )
    return (same_work & overlap).astype(bool)


def _problem_column(runs: pd.DataFrame) -> str:
    return "problem" if "problem" in runs else "objective"


def _numbers(runs: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats, what is missing last."""
    return runs[name].astype("Float64").astype(float).fillna(np.inf)
