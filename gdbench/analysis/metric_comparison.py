"""Comparison of the metrics of training runs on two sides, such as before and after a change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.best_configuration import select_best_configurations, select_best_impls
from gdbench.analysis.optimizer_comparison import decide_outcome
from gdbench.analysis.rank_tests import compute_differences
from gdbench.analysis.training_results import (
    KEYS,
    MEASURES,
    REPORTED,
    compute_medians,
    find_directions,
    list_metrics,
    select_training_runs,
)
from gdbench.results.values import to_floats

__all__ = ["compare_metrics"]


def compare_metrics(compared: pd.DataFrame) -> pd.DataFrame:
    """One row per problem, metric and optimizer that both sides have, at the best configuration of each side.

    Input: comparable runs with ``side`` a or b. Columns: problem, metric, optimizer, measure (the first of
    ``training_results.REPORTED`` that the problem has), sign (1 where the lowest value is the best, else -1), a and b
    (medians over seeds) with ``_lo`` and ``_hi``, configuration_a, configuration_b, seeds (number in common) and
    outcome (is b better?), as of ``optimizer_comparison.compare_optimizers``: equal values of all common seeds are the
    same, other differences are tested by Wilcoxon's signed-rank test. A missing value counts as the worst.
    """
    training = select_training_runs(compared)
    sides = {side: _select_best_runs(training[training["side"] == side]) for side in "ab"}
    best = pd.concat(sides.values())
    rows = []
    for metric in list_metrics(training):
        signs = find_directions(training, metric)
        for problem, group in best.groupby("problem", sort=False, observed=True):
            if (measure := _find_measure(group, metric)) is not None:
                key = {"problem": problem, "metric": metric, "measure": measure, "sign": signs[str(problem)]}
                rows += _compare_problem(group, key)
    return pd.DataFrame(rows)


def _select_best_runs(runs: pd.DataFrame) -> pd.DataFrame:
    if runs.empty:
        return runs
    pool = select_best_impls(runs)
    return pool.merge(select_best_configurations(pool)[KEYS], on=KEYS)


def _find_measure(group: pd.DataFrame, metric: str) -> str | None:
    """What is compared of a problem: test data if all there is, else held-out, else training data."""
    return next((name for name in REPORTED if to_floats(group, MEASURES[name] + metric).notna().any()), None)


def _compare_problem(group: pd.DataFrame, key: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one metric of a problem."""
    values = to_floats(group, MEASURES[key["measure"]] + key["metric"]) * key["sign"]
    table = group.assign(value=values.fillna(np.inf))
    return [
        {**key, "optimizer": optimizer, **_compare_sides(rows, key["sign"])}
        for optimizer, rows in table.groupby("optimizer", sort=False, observed=True)
        if rows["side"].nunique() == 2
    ]


def _compare_sides(rows: pd.DataFrame, sign: float) -> dict[str, Any]:
    medians = {side: compute_medians(rows[rows["side"] == side]).iloc[0] for side in "ab"}
    seeds = [rows[rows["side"] == side].set_index("seed")["value"] for side in "ab"]
    pairs = pd.concat(seeds, axis=1, join="inner").to_numpy(float)
    differences = compute_differences(pairs[:, 1], pairs[:, 0])
    middles = [float(medians[side]["median"]) for side in "ab"]
    facts: dict[str, Any] = {"outcome": decide_outcome(middles, differences, matters=True), "seeds": len(pairs)}
    for side, middle in medians.items():
        low, high = sorted(sign * middle[["lo", "hi"]])
        facts |= {side: sign * middle["median"], f"{side}_lo": low, f"{side}_hi": high}
        facts[f"configuration_{side}"] = rows.loc[rows["side"] == side, "configuration"].iloc[0]
    return facts
