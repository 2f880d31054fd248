"""What each optimizer pays on two sides, such as before and after a change, and whether that is a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gdbench.analysis.chosen import merged
from gdbench.analysis.pairs import log_ratios, signed_rank
from gdbench.analysis.problems import COSTS, costs, numbers, per_configuration
from gdbench.analysis.times import SPREAD
from gdbench.analysis.verdict import ALPHA, ENOUGH

__all__ = ["OUTCOMES", "sides"]

OUTCOMES = ("worse", "better", "not told apart", "same", "neither", "only a", "only b")
COLUMNS = [
    *("problem", "optimizer", "cost", "outcome", "a", "b", "ratio", "lo", "hi"),
    *("configuration_a", "configuration_b", "seeds"),
]
Interval = tuple[float, float]
NONE: Interval = (np.nan, np.nan)


def sides(told: pd.DataFrame) -> pd.DataFrame:
    """One row for each problem, optimizer and cost, of compared runs with ``side``, a or b.

    Columns: a and b (what the best configuration of that side paid to the target, the median over its seeds; inf where
    it was not reached), ratio (b over a), lo and hi (its 95% interval, where there is one), the configurations, seeds
    (how many both have), and outcome, one of OUTCOMES: is b better?

    Steps and gradients are exact: with fewer than ENOUGH common seeds any difference of the medians is one; with more,
    Wilcoxon's test of the seeds' ratios decides (5%), and the interval is the one that belongs to it, of Hodges and
    Lehmann. A ratio of seconds has the interval of both sides' step times over the reference loop, each within its
    process; as processes differ too, a factor below SPREAD is none, and without an interval nothing is told.
    """
    rows = []
    for cost in COSTS:
        pools = {side: _pool(told[told["side"] == side], cost) for side in "ab"}
        tables = {side: costs(pool, cost) for side, pool in pools.items()}
        best = {side: _best(table) for side, table in tables.items()}
        for problem, optimizer in best["a"].index.union(best["b"].index, sort=False):
            found = {side: _paid(best[side], tables[side], pools[side], (problem, optimizer)) for side in "ab"}
            rows.append({"problem": problem, "optimizer": optimizer, "cost": cost, **_told(found, cost)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _pool(told: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The runs of a side that can have such a cost, impls merged."""
    return merged(told[told["step_s"].notna()] if cost == "seconds" else told)


def _best(table: pd.DataFrame) -> pd.DataFrame:
    order = per_configuration(table).sort_values(["cost", "shortfall"], kind="stable")
    return order.drop_duplicates(["problem", "solver"]).sort_index().set_index(["problem", "solver"])


def _paid(best: pd.DataFrame, table: pd.DataFrame, pool: pd.DataFrame, key: tuple[str, str]) -> dict[str, Any] | None:
    """What the best configuration paid, by seed too, and how long its step took beside the reference loop."""
    if key not in best.index:
        return None
    row = best.loc[[key]].iloc[0]
    mine = (table["problem"] == key[0]) & (table["solver"] == key[1]) & (table["configuration"] == row["configuration"])
    beside = [float(numbers(pool[mine], f"step_vs_reference{end}").median()) for end in ("", "_lo", "_hi")]
    seeds = table[mine].set_index("seed")["cost"]
    return {"cost": row["cost"], "configuration": row["configuration"], "seeds": seeds, "beside": beside}


def _told(found: dict[str, dict[str, Any] | None], cost: str) -> dict[str, Any]:
    a, b = found["a"], found["b"]
    if a is None or b is None:
        there, side = (b, "b") if a is None else (a, "a")
        assert there is not None
        return {"outcome": f"only {side}", side: there["cost"], f"configuration_{side}": there["configuration"]}
    both = pd.concat([a["seeds"], b["seeds"]], axis=1, join="inner").to_numpy(float)
    ratios = log_ratios(both[:, 1], both[:, 0])
    solved = bool(np.isfinite([a["cost"], b["cost"]]).all())
    interval = NONE if not solved else _of_times(a, b) if cost == "seconds" else _of_seeds(ratios)
    return {
        "outcome": _outcome(a["cost"], b["cost"], cost, ratios, interval),
        **{side: each["cost"] for side, each in (("a", a), ("b", b))},
        "ratio": b["cost"] / a["cost"] if solved else np.nan,
        "lo": interval[0],
        "hi": interval[1],
        "configuration_a": a["configuration"],
        "configuration_b": b["configuration"],
        "seeds": len(both),
    }


def _outcome(a: float, b: float, cost: str, ratios: np.ndarray, interval: Interval) -> str:
    if not np.isfinite([a, b]).any():
        return "neither"
    if not np.isfinite([a, b]).all():
        return "better" if np.isfinite(b) else "worse"
    if a == b:
        return "same"
    if cost == "seconds":
        apart = max(b / a, a / b) > SPREAD and (interval[0] > 1 or interval[1] < 1)
    else:
        apart = len(ratios) < ENOUGH or signed_rank(ratios) < ALPHA
    return ("better" if b < a else "worse") if apart else "not told apart"


def _of_times(a: dict[str, Any], b: dict[str, Any]) -> Interval:
    """The ratio of the times to the target with the widest that both intervals of the step times allow."""
    (middle_a, low_a, high_a), (middle_b, low_b, high_b) = a["beside"], b["beside"]
    ratio = b["cost"] / a["cost"]
    return ratio * (low_b / middle_b) / (high_a / middle_a), ratio * (high_b / middle_b) / (low_a / middle_a)


def _of_seeds(ratios: np.ndarray) -> Interval:
    """Of Hodges and Lehmann: between which means of two ratios the signed-rank test does not reject."""
    count = len(ratios)
    if count < ENOUGH or not np.isfinite(ratios).all():
        return NONE
    means = np.sort(((ratios[:, None] + ratios) / 2)[np.triu_indices(count)])
    spread = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    out = max(int(np.floor(len(means) / 2 - stats.norm.ppf(1 - ALPHA / 2) * spread - 0.5)), 0)
    return float(np.exp(means[out])), float(np.exp(means[len(means) - 1 - out]))
