"""Outcome of a run: eligibility to win, settling at the target, what ranks it where it missed that, ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.results.statuses import SOUND
from gdbench.results.values import to_floats

__all__ = [
    *("FINAL_GAP", "FINAL_LOSS", "TARGET_SHORTFALL", "compute_shortfalls", "describe_randomness", "find_grid_edge"),
    *(
        "find_metric_signs",
        "find_shortfall_measures",
        "has_ratio",
        "has_settled",
        "is_eligible",
        "is_tied_with_previous",
    ),
]

FINAL_GAP, FINAL_LOSS, TARGET_SHORTFALL = "final gap", "final loss", "target shortfall"
"""Measures of runs that missed their target, beside metrics, as ``held_out.accuracy``."""


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
    """What ranks each run where it missed its target, lower is better: see ``find_shortfall_measures``.

    A metric of which the highest value is the best counts with a minus; ineligible runs have inf. Gaps below gap_floor
    count as gap_floor, so that rounding decides nothing.
    """
    gap = to_floats(runs, "final_gap").clip(lower=to_floats(runs, "gap_floor").fillna(0.0))
    values = gap.fillna(to_floats(runs, "final_loss"))
    if (by_metric := _has(runs, "selection_metric")).any():
        signed = to_floats(runs, "selection_value") * find_metric_signs(runs, runs["selection_metric"])
        values = values.where(~by_metric, signed)
    if (targeted := _has(runs, "target_metric")).any():
        values = values.where(~targeted, to_floats(runs, "target_shortfall"))
    return values.where(is_eligible(runs), np.inf).fillna(np.inf)


def find_shortfall_measures(runs: pd.DataFrame) -> pd.Series:
    """The name of what ``compute_shortfalls`` is of each run.

    Of a run with a target_metric it is how near it came to that; of other training runs without a target the metric
    that selects, such as ``held_out.accuracy``; of all others the final gap, or the final loss where it is unknown.
    """
    has_gap = to_floats(runs, "final_gap").notna().to_numpy()
    measures = pd.Series(np.where(has_gap, FINAL_GAP, FINAL_LOSS), runs.index, dtype=object)
    if (by_metric := _has(runs, "selection_metric")).any():
        measures = measures.where(~by_metric, runs["selection_metric"].astype(object))
    return measures.where(~_has(runs, "target_metric"), TARGET_SHORTFALL)


def has_ratio(measure: str) -> bool:
    """Whether the ratio of two values of a measure says how much better one is: of costs and gaps, not of losses."""
    return measure not in (FINAL_LOSS, TARGET_SHORTFALL) and "." not in measure


def find_metric_signs(runs: pd.DataFrame, metrics: pd.Series) -> pd.Series:
    """1 for each run of which the metric, as ``held_out.loss``, is best where lowest; -1 where highest."""
    if "lower_is_better" not in runs:
        return pd.Series(1.0, runs.index)
    pairs = pd.DataFrame({"metric": metrics.astype(object), "lower": runs["lower_is_better"].astype(object)})
    signs = {
        (metric, lower): 1.0 if pd.isna(lower) or metric.rpartition(".")[2] in lower.split(", ") else -1.0
        for metric, lower in pairs.dropna(subset="metric").drop_duplicates().itertuples(index=False)
    }
    found = [signs.get(pair, 1.0) for pair in zip(pairs["metric"], pairs["lower"], strict=True)]
    return pd.Series(found, runs.index, dtype=float)


def _has(runs: pd.DataFrame, name: str) -> pd.Series:
    """Whether each run has a value in a column, which may be missing."""
    return runs[name].notna() if name in runs else pd.Series(False, runs.index)


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
