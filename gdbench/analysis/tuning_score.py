"""Score that a search minimises: the metric of ``metric=``, mapped to one float in ranking order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.config.search_metric import find_metric_column, is_training_metric
from gdbench.results.costs import MIN_COSTS
from gdbench.results.ranking import OUTCOMES, rank_configurations
from gdbench.results.run_outcomes import (
    FINAL_GAP,
    TARGET_SHORTFALL,
    compute_shortfalls,
    find_metric_signs,
    has_settled,
    is_eligible,
)
from gdbench.results.values import to_floats

__all__ = [
    *("LEFT", "MISS", "find_cost_class", "is_cost_metric", "is_improvement", "list_swept_axes"),
    *("score_cell", "score_configurations"),
]

COST_METRICS = {
    "steps_to_target": ("steps", "steps_to_target"),
    "gradient_evals_to_target": ("gradients", "gradient_evals_to_target"),
    "time_to_target": ("seconds", "time_to_target_s"),
    "steps_to_settle": ("steps", "steps_to_target"),
}
"""Metrics that are costs to the target: the cost's name in the ranking, and its column."""
LEFT, MISS = 2.0**40, 2.0**41
"""Above every number of steps, gradients and microseconds: scores from LEFT on are of configurations that reached the
target and left it again, from MISS on of those that missed it."""
Array = npt.NDArray[np.float64]


def score_configurations(runs: pd.DataFrame, metric: str, axes: Sequence[str]) -> pd.DataFrame:
    """One row per configuration (the run of the median seed, in input order) with score, value and outcome.

    ``value``: the metric, median over seeds (upper median); inf where the target was missed or the configuration is
    ineligible. ``outcome``: as in the ranking. ``score``: one float in ranking order: the cost of what stays at the
    target; LEFT + cost (seconds in microseconds) of what left it; MISS + a distance of what missed it; inf of
    ineligible ones.
    """
    if not is_cost_metric(metric):
        return _score_by_column(runs, metric, axes)
    cost, column = COST_METRICS[metric]
    if metric == "steps_to_settle":
        runs = runs.assign(steps_to_target=runs["steps_to_settle"].fillna(runs["steps_to_target"]))
    table = rank_configurations(runs, cost, list(axes))
    outcome = np.array([OUTCOMES.index(name) for name in table["outcome"]], dtype=np.int64)
    hit = outcome < 2
    table = table.assign(
        value=table["value"].where(hit, np.inf), decides=table["value"], score=_compute_scores(table, runs, outcome)
    )
    rows = runs.reset_index(drop=True).reset_index(names="position")
    rows = rows.merge(table[[*axes, "outcome", "value", "decides", "score"]], on=list(axes), how="left")
    near = _select_deciding_values(rows, column) != rows["decides"].to_numpy()
    other = (rows["outcome"] == OUTCOMES[0]).to_numpy() & ~has_settled(rows)
    rows = rows.assign(other=near | other).sort_values(["other", "position"], kind="stable")
    return rows.drop_duplicates(list(axes)).sort_values("position").drop(columns=["position", "decides", "other"])


def is_cost_metric(metric: str) -> bool:
    """Whether a metric is the cost of reaching the target."""
    return metric in COST_METRICS


def find_cost_class(score: float) -> tuple[float, float] | None:
    """First and last score of the class in which ``score`` is a cost (stays, or left); None elsewhere."""
    if score >= MISS:
        return None
    return (0.0, LEFT) if score < LEFT else (LEFT, np.nextafter(MISS, 0.0))


def is_improvement(before: float, after: float) -> bool:
    """Whether a score improved enough to continue: by 0.1%, or, of misses, by 1% of the distance left."""
    if before >= MISS:
        return after < before - 0.0043
    first = LEFT if before >= LEFT else 0.0
    return after < before - 0.001 * abs(before - first)


def score_cell(runs: pd.DataFrame, metric: str) -> float:
    """Score of the best configuration of a cell; inf where none reached the target or is eligible."""
    if not len(runs):
        return np.inf
    lowest = float(score_configurations(runs, metric, list_swept_axes(runs))["score"].min())
    return np.inf if is_cost_metric(metric) and lowest >= MISS else lowest


def list_swept_axes(runs: pd.DataFrame) -> list[str]:
    """Columns in which the runs of one cell may differ, other than the seed."""
    return [str(name) for name in runs if name == "lr" or str(name).startswith("optimizer.")]


def _score_by_column(runs: pd.DataFrame, metric: str, axes: Sequence[str]) -> pd.DataFrame:
    """``score_configurations`` by a value; gaps below gap_floor count as gap_floor.

    A metric of training of which the highest value is the best has a score with a minus.
    """
    sign = pd.Series(1.0, runs.index)
    value = to_floats(runs, find_metric_column(metric) if is_training_metric(metric) else metric)
    if is_training_metric(metric):
        sign = find_metric_signs(runs, pd.Series(metric, runs.index))
    elif metric.endswith("_gap"):
        value = value.clip(lower=to_floats(runs, "gap_floor").fillna(0.0))
    able = is_eligible(runs) & value.notna()
    rows = runs.assign(score=(sign * value).where(able, np.inf), value=value.where(able, np.inf))
    rows = rows.sort_values("score", kind="stable")
    alike = rows.groupby(list(axes), sort=False, dropna=False)["score"]
    rows = rows[alike.cumcount() == alike.transform("size") // 2].sort_index()
    outcomes = pd.Series(OUTCOMES[-1], index=rows.index, dtype=object).where(np.isinf(rows["score"]), None)
    return rows.assign(outcome=outcomes)


def _compute_scores(table: pd.DataFrame, runs: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> Array:
    """Score of each ranking row from its outcome and deciding value."""
    value = table["value"].to_numpy(float)
    fine = 1e6 if (table["measure"] == "seconds").any() else 1.0  # where scores are 2^40, a second has no decimals
    apart = table["measure"].isin([FINAL_GAP, TARGET_SHORTFALL]).to_numpy()
    targets = to_floats(runs, "target_loss").dropna()
    above = table["final_loss"].to_numpy(float) - (targets.iloc[0] if len(targets) else np.nan)
    known = np.where(len(targets) > 0, above, np.where(apart, value, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.log10(np.clip(known, 1e-300, 1e300))
    short = np.where(np.isnan(distance), np.arcsinh(value), distance)
    short = np.where(np.isfinite(short), short, 1000.0)
    left = np.minimum(LEFT + fine * value, np.nextafter(MISS, 0.0))  # from 12 days on, seconds would be misses
    return np.select([outcome == 0, outcome == 1, outcome == 2], [value, left, MISS + 1000 + short], np.inf)


def _select_deciding_values(rows: pd.DataFrame, column: str) -> Array:
    """Value by which each run's configuration is ranked: its cost, or its shortfall where it missed."""
    least = MIN_COSTS["seconds" if column.endswith("_s") else "steps"]
    reached = rows["outcome"].isin(OUTCOMES[:2])
    return to_floats(rows, column).clip(lower=least).where(reached, compute_shortfalls(rows)).to_numpy()
