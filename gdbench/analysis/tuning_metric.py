"""The number by which a search ranks: what ``metric=`` asks for, lower is better, in the order of the standings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.results.costs import LEAST
from gdbench.results.ranking import may_win, numbers, runs_that_stay, shortfalls
from gdbench.results.standings import OUTCOMES, standings

__all__ = ["LEFT", "MISS", "best_of_cell", "cost_class", "gained", "is_cost", "per_configuration", "swept_axes"]

COSTS = {
    "steps_to_target": ("steps", "steps_to_target"),
    "gradient_evals_to_target": ("gradients", "gradient_evals_to_target"),
    "time_to_target": ("seconds", "time_to_target_s"),
    "steps_to_settle": ("steps", "steps_to_target"),
}
"""Metrics that are costs of a target: what the standings call the cost, and its column."""
LEFT, MISS = 2.0**40, 2.0**41
"""Beyond every number of steps, gradients and microseconds: from LEFT on score the configurations that reached the
target and left it again, from MISS on those that missed it."""
Array = npt.NDArray[np.float64]


def per_configuration(runs: pd.DataFrame, metric: str, axes: Sequence[str]) -> pd.DataFrame:
    """One row a configuration, a run of the median seed, in the order of the runs; with score, value and outcome.

    ``value`` is the metric, the median over the configuration's seeds (of an even number the worse of the two in the
    middle), inf where the target was missed or nothing may win; ``outcome`` is that of the standings. ``score`` is one
    float that orders as the standings do: the cost of what stays at the target; LEFT and the cost (a time in
    microseconds) of what left it; MISS and more of what missed it, by how near it came; inf of what may not win.
    """
    if not is_cost(metric):
        return _by_column(runs, metric, axes)
    cost, column = COSTS[metric]
    if metric == "steps_to_settle":
        runs = runs.assign(steps_to_target=runs["steps_to_settle"].fillna(runs["steps_to_target"]))
    table = standings(runs, cost, list(axes))
    outcome = np.array([OUTCOMES.index(name) for name in table["outcome"]], dtype=np.int64)
    hit = outcome < 2
    table = table.assign(
        value=table["value"].where(hit, np.inf), decides=table["value"], score=_score(table, runs, outcome)
    )
    rows = runs.reset_index(drop=True).reset_index(names="position")
    rows = rows.merge(table[[*axes, "outcome", "value", "decides", "score"]], on=list(axes), how="left")
    near = _deciding(rows, column) != rows["decides"].to_numpy()
    other = (rows["outcome"] == OUTCOMES[0]).to_numpy() & ~runs_that_stay(rows)
    rows = rows.assign(other=near | other).sort_values(["other", "position"], kind="stable")
    return rows.drop_duplicates(list(axes)).sort_values("position").drop(columns=["position", "decides", "other"])


def is_cost(metric: str) -> bool:
    """Whether a metric is the cost of reaching the target, and not what a run ends with."""
    return metric in COSTS


def cost_class(score: float) -> tuple[float, float] | None:
    """The first and last score of the class in which a score is a cost: of what stays, or what left; None elsewhere."""
    if score >= MISS:
        return None
    return (0.0, LEFT) if score < LEFT else (LEFT, np.nextafter(MISS, 0.0))


def gained(before: float, after: float) -> bool:
    """Whether a score improved enough to search on: by 0.1%, or, among misses, by 1% of the distance left."""
    if before >= MISS:
        return after < before - 0.0043
    first = LEFT if before >= LEFT else 0.0
    return after < before - 0.001 * abs(before - first)


def best_of_cell(runs: pd.DataFrame, metric: str) -> float:
    """The score of the best configuration of a cell; inf where none reached the target or may win."""
    if not len(runs):
        return np.inf
    lowest = float(per_configuration(runs, metric, swept_axes(runs))["score"].min())
    return np.inf if is_cost(metric) and lowest >= MISS else lowest


def swept_axes(runs: pd.DataFrame) -> list[str]:
    """The columns in which the runs of one cell may differ, but for their seed."""
    return [str(name) for name in runs if name == "lr" or str(name).startswith("optimizer.")]


def _by_column(runs: pd.DataFrame, metric: str, axes: Sequence[str]) -> pd.DataFrame:
    """``per_configuration`` by what runs end with: gaps that the dtype cannot tell count as its floor."""
    value = numbers(runs, metric)
    if metric.endswith("_gap"):
        value = value.clip(lower=numbers(runs, "gap_floor").fillna(0.0))
    able = may_win(runs) & value.notna()
    rows = runs.assign(score=value.where(able, np.inf)).sort_values("score", kind="stable")
    alike = rows.groupby(list(axes), sort=False, dropna=False)["score"]
    rows = rows[alike.cumcount() == alike.transform("size") // 2].sort_index()
    outcomes = pd.Series(OUTCOMES[-1], index=rows.index, dtype=object).where(np.isinf(rows["score"]), None)
    return rows.assign(value=rows["score"], outcome=outcomes)


def _score(table: pd.DataFrame, runs: pd.DataFrame, outcome: npt.NDArray[np.int64]) -> Array:
    """A float for each row of the standings, by its outcome and what decided it."""
    value = table["value"].to_numpy(float)
    fine = 1e6 if (table["measure"] == "seconds").any() else 1.0  # where scores are 2^40, a second has no decimals
    gap = table["measure"].eq("final gap").to_numpy()
    targets = numbers(runs, "target_loss").dropna()
    above = table["final_loss"].to_numpy(float) - (targets.iloc[0] if len(targets) else np.nan)
    known = np.where(len(targets) > 0, above, np.where(gap, value, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.log10(np.clip(known, 1e-300, 1e300))
    short = np.where(np.isnan(distance), np.arcsinh(value), distance)
    short = np.where(np.isfinite(short), short, 1000.0)
    return np.select(
        [outcome == 0, outcome == 1, outcome == 2], [value, LEFT + fine * value, MISS + 1000 + short], np.inf
    )


def _deciding(rows: pd.DataFrame, column: str) -> Array:
    """Of each run the number by which its configuration is ranked: its cost, or where that missed its gap or loss."""
    least = LEAST["seconds" if column.endswith("_s") else "steps"]
    reached = rows["outcome"].isin(OUTCOMES[:2])
    return numbers(rows, column).clip(lower=least).where(reached, shortfalls(rows)).to_numpy()
