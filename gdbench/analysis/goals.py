"""What a run is worth to a search: the number asked for by ``goal=``, lower is better, and where a miss stands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.ranking import may_win

__all__ = ["MISS", "best", "gained", "per_configuration", "scores", "values"]

COLUMN = {
    "steps_to_target": "steps_to_target",
    "gradients_to_target": "gradients_to_target",
    "time_to_target": "time_to_target_s",
    "final_gap": "final_gap",
    "final_loss": "final_loss",
}
MISS = 2.0**40
"""Beyond every number of steps, gradients and seconds: the scores of sound runs that missed the target begin here."""


def values(runs: pd.DataFrame, goal: str) -> pd.Series:
    """The goal of each run as a float; inf where it may not win, missed the target or was not timed.

    Gaps below what the dtype can tell count as that floor: rounding noise decides nothing.
    """
    value = _numbers(runs, COLUMN[goal])
    if goal == "final_gap":
        value = value.clip(lower=_numbers(runs, "gap_floor").fillna(0.0))
    return value.where(may_win(runs) & value.notna(), np.inf)


def scores(runs: pd.DataFrame, goal: str) -> pd.Series:
    """A float that orders runs for a search: the goal, then the misses by how near they came, then inf.

    A miss scores ``MISS`` and more, so that none ranks above a hit, however the steps or methods differ; among
    themselves misses are ordered by the logarithm of the final gap, else of the loss above ``target_loss``, else by the
    final loss. Only what may not win is inf.
    """
    value = values(runs, goal)
    if not goal.endswith("_to_target"):
        return value
    return value.where(np.isfinite(value), MISS + _shortfall(runs)).where(may_win(runs), np.inf)


def gained(before: float, after: float) -> bool:
    """Whether a score improved enough to search on: by 0.1%, or, among misses, by 1% of the distance left."""
    return after < before - (0.0043 if before >= MISS else 0.001 * abs(before))


def best(runs: pd.DataFrame, goal: str) -> float:
    """The goal of the best run; inf where there is none."""
    return float(values(runs, goal).min()) if len(runs) else np.inf


def per_configuration(runs: pd.DataFrame, goal: str, axes: list[str]) -> pd.DataFrame:
    """One row a configuration: that of its median seed, with its ``score``, in the order of the runs.

    Of an even number of seeds the median is the worse of the two in the middle: a number that a run really had.
    """
    told = runs.assign(score=scores(runs, goal)).sort_values("score", kind="stable")
    alike = told.groupby(axes, sort=False, dropna=False)["score"]
    return told[alike.cumcount() == alike.transform("size") // 2].sort_index()


def _shortfall(runs: pd.DataFrame) -> pd.Series:
    """How far from the target a run ended: a number from 0 to 2000 that grows with the distance."""
    above = _numbers(runs, "final_loss") - _numbers(runs, "target_loss")
    distance = _numbers(runs, "final_gap").where(runs["target_loss"].isna(), above)
    known = pd.Series(np.log10(distance.clip(lower=1e-300)), index=runs.index)
    return 1000.0 + known.fillna(np.arcsinh(_numbers(runs, "final_loss"))).fillna(1000.0)


def _numbers(runs: pd.DataFrame, name: str) -> pd.Series:
    return runs[name].astype("Float64").astype(float)
