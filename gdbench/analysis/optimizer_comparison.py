"""Comparison of two sides, such as before and after a change: cost of each optimizer, and whether they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from gdbench.analysis.best_configuration import select_best_impls
from gdbench.analysis.rank_tests import compute_log_ratios, compute_signed_rank_p
from gdbench.analysis.winners import ALPHA, MIN_SEEDS
from gdbench.results.ranking import KEYS, OUTCOMES, rank_configurations
from gdbench.results.run_outcomes import has_ratio
from gdbench.results.values import to_floats

__all__ = ["NOT_COMPARABLE", "TOO_FEW", "VERDICTS", "compare_optimizers", "decide_outcome"]

TOO_FEW = "not enough to tell"
NOT_COMPARABLE = "not comparable across processes: use gate"
"""Outcome of every comparison of times: two processes differ by more than most changes do."""
VERDICTS = ("worse", "better", "statistically tied", TOO_FEW, "same", "neither", "only a", "only b", NOT_COMPARABLE)
COLUMNS = [
    *("problem", "optimizer", "cost", "measure", "outcome", "a", "b", "ratio", "lo", "hi"),
    *("standing_a", "standing_b", "configuration_a", "configuration_b", "seeds"),
]
Array = npt.NDArray[np.float64]
Interval = tuple[float, float]
NONE: Interval = (np.nan, np.nan)


def compare_optimizers(compared: pd.DataFrame) -> pd.DataFrame:
    """One row per problem, optimizer and cost (steps, gradients, seconds).

    Input: comparable runs with ``side`` a or b. Columns: a and b (median cost over seeds to the target of that side's
    best configuration; inf where it never reached it; where neither side did, what ranks it then: see ``measure``),
    ratio (b over a), lo and hi (its 95% interval, if any), standing_a, standing_b (outcomes of ``rank_configurations``,
    which also selects the best), the configurations, seeds (number in common), and outcome, one of VERDICTS: is b
    better?

    Costs without randomness are compared exactly. Where a seed matters, Wilcoxon's signed-rank test of the seeds' log
    ratios decides (5%), which needs MIN_SEEDS common seeds; the interval is that of Hodges and Lehmann. Seconds are
    only reported, with their ratio after division by the reference loop of each side's own process.
    """
    pools = {side: select_best_impls(compared[compared["side"] == side]) for side in "ab"}
    rows = [*_compare_counts(pools, "steps"), *_compare_counts(pools, "gradients"), *_compare_times(compared)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _compare_counts(pools: dict[str, pd.DataFrame], cost: str) -> list[dict[str, Any]]:
    best = {side: _find_best(pool, cost) for side, pool in pools.items()}
    by_seed = {side: rank_configurations(pool, cost, [*KEYS, "seed"]) for side, pool in pools.items()}
    rows = []
    for problem, optimizer in best["a"].index.union(best["b"].index, sort=False):
        key = {"problem": problem, "optimizer": optimizer, "cost": cost}
        there = {
            side: table.loc[[(problem, optimizer)]].iloc[0]
            for side, table in best.items()
            if (problem, optimizer) in table.index
        }
        if len(there) == 1:
            rows += [{**key, "outcome": f"only {side}", **_describe_side(row, side)} for side, row in there.items()]
        else:
            rows.append(
                {**key, **_compare(there, {side: _select_seeds(by_seed[side], row) for side, row in there.items()})}
            )
    return rows


def _find_best(pool: pd.DataFrame, cost: str) -> pd.DataFrame:
    """First-ranked row of each problem and solver, also where none is eligible."""
    first = rank_configurations(pool, cost).drop_duplicates(["problem", "solver"])
    return first.set_index(["problem", "solver"], drop=False)


def _select_seeds(by_seed: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    return by_seed[_is_same_configuration(by_seed, row)].set_index("seed")


def _describe_side(row: pd.Series, side: str) -> dict[str, Any]:
    reached = row["outcome"] in OUTCOMES[:2]
    return {
        side: row["value"] if reached else np.inf,
        f"standing_{side}": row["outcome"],
        f"configuration_{side}": row["configuration"],
    }


def _compare(rows: dict[str, pd.Series], seeds: dict[str, pd.DataFrame]) -> dict[str, Any]:
    a, b = rows["a"], rows["b"]
    facts = {**_describe_side(a, "a"), **_describe_side(b, "b")}
    better = min(OUTCOMES.index(row["outcome"]) for row in rows.values())
    if OUTCOMES[better] == OUTCOMES[-1]:
        return {**facts, "outcome": "neither", "measure": a["measure"], "seeds": 0}
    if OUTCOMES[better] == "missed":
        facts |= {side: row["value"] for side, row in rows.items()}
    matters = bool(a["seed_matters"] or b["seed_matters"])
    pairs = pd.concat([_select_deciding_values(seeds[side], better) for side in "ab"], axis=1, join="inner").to_numpy(
        float
    )
    medians = [float(_select_deciding_values(row.to_frame().T, better).iloc[0]) for row in (a, b)]
    measure = (a if OUTCOMES.index(a["outcome"]) == better else b)["measure"]
    pairs = pairs if matters else np.array([medians])
    ratios = has_ratio(measure)
    differences = compute_log_ratios(pairs[:, 1], pairs[:, 0]) if ratios else pairs[:, 1] - pairs[:, 0]
    both = a["outcome"] == b["outcome"] and ratios
    lo, hi = _compute_interval(differences) if both and matters else NONE
    return {
        **facts,
        "measure": measure,
        "outcome": decide_outcome(medians, np.nan_to_num(differences, posinf=np.inf, neginf=-np.inf), matters),
        "ratio": facts["b"] / facts["a"] if both else np.nan,
        "lo": lo,
        "hi": hi,
        "seeds": len(pairs),
    }


def _select_deciding_values(rows: pd.DataFrame, better: int) -> pd.Series:
    """Values that decide between sides, given the better side's outcome; inf for worse outcomes."""
    if OUTCOMES[better] == "missed":
        return rows["shortfall"].where(rows["outcome"] != OUTCOMES[-1], np.inf).astype(float)
    as_good = rows["outcome"].isin(OUTCOMES[: better + 1])
    return rows["value"].where(as_good, np.inf).astype(float)


def decide_outcome(medians: list[float], differences: Array, matters: bool) -> str:
    """One of VERDICTS, from the medians of a and b and the per-seed differences."""
    if matters and len(differences) < MIN_SEEDS and not (len(differences) and (differences == 0).all()):
        return TOO_FEW
    if (differences == 0).all():
        return "same"
    if matters and compute_signed_rank_p(differences) >= ALPHA:
        return "statistically tied"
    a, b = medians
    return "better" if b < a or (a == b and np.median(differences) < 0) else "worse"


def _compute_interval(ratios: Array) -> Interval:
    """95% interval of the ratio by Hodges and Lehmann: Walsh averages that the signed-rank test does not reject."""
    count = len(ratios)
    if count < MIN_SEEDS or not np.isfinite(ratios).all():
        return NONE
    means = np.sort(((ratios[:, None] + ratios) / 2)[np.triu_indices(count)])
    spread = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    out = max(int(np.floor(len(means) / 2 - stats.norm.ppf(1 - ALPHA / 2) * spread - 0.5)), 0)
    return float(np.exp(means[out])), float(np.exp(means[len(means) - 1 - out]))


def _compare_times(compared: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of seconds per implementation, of the configurations that are best by gradients."""
    name = "solver" if compared["impl"].nunique() > 1 else "optimizer"
    pools = {side: compared[compared["side"] == side] for side in "ab"}
    best = {side: _find_best(pool, "gradients") for side, pool in pools.items()}
    rows = []
    for key in best["a"].index.intersection(best["b"].index, sort=False):
        a, b = (best[side].loc[[key]].iloc[0] for side in "ab")
        if np.isfinite([a["seconds"], b["seconds"]]).all():
            there = key[1] if name == "solver" else a["optimizer"]
            per_reference = [
                row["seconds"] / _compute_reference_time(pools[side], row) for side, row in (("a", a), ("b", b))
            ]
            rows.append(
                {
                    **dict(zip(COLUMNS, (key[0], there, "seconds", "seconds", NOT_COMPARABLE), strict=False)),
                    **_describe_side(a, "a"),
                    **_describe_side(b, "b"),
                    "a": a["seconds"],
                    "b": b["seconds"],
                    "ratio": per_reference[1] / per_reference[0],
                    "seeds": min(a["n"], b["n"]),
                }
            )
    return rows


def _compute_reference_time(pool: pd.DataFrame, row: pd.Series) -> float:
    """Median step time of the reference loop beside the runs of a configuration, in seconds."""
    mine = pool[_is_same_configuration(pool, row)]
    return float((to_floats(mine, "step_s") / to_floats(mine, "step_time_ratio")).median())


def _is_same_configuration(table: pd.DataFrame, row: pd.Series) -> pd.Series:
    return (table[list(KEYS)] == row[list(KEYS)]).all(axis=1)
