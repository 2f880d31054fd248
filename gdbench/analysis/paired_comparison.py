"""What each optimizer pays on two sides, such as before and after a change, and whether that is a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from gdbench.analysis.best_configuration import merged
from gdbench.analysis.rank_tests import log_ratios, signed_rank
from gdbench.analysis.winners import ALPHA, ENOUGH
from gdbench.results.ranking import numbers
from gdbench.results.standings import KEYS, OUTCOMES, standings

__all__ = ["NOT_COMPARABLE", "TOO_FEW", "VERDICTS", "sides"]

TOO_FEW = "not enough to tell"
NOT_COMPARABLE = "not comparable across processes: use gate"
"""What is said of any two times, as two processes differ by more than most changes do."""
VERDICTS = ("worse", "better", "not told apart", TOO_FEW, "same", "neither", "only a", "only b", NOT_COMPARABLE)
COLUMNS = [
    *("problem", "optimizer", "cost", "measure", "outcome", "a", "b", "ratio", "lo", "hi"),
    *("standing_a", "standing_b", "configuration_a", "configuration_b", "seeds"),
]
Array = npt.NDArray[np.float64]
Interval = tuple[float, float]
NONE: Interval = (np.nan, np.nan)


def sides(compared: pd.DataFrame) -> pd.DataFrame:
    """One row for each problem, optimizer and cost (gradients, steps, seconds), of compared runs with ``side``, a or b.

    Columns: a and b (what the best configuration of that side paid to the target, the median over its seeds; inf where
    it never came there; where neither side did, its final gap or loss: see ``measure``), ratio (b over a), lo and hi
    (its 95% interval, where there is one), standing (of each side, as in ``standings``, by which the best configuration
    is chosen too), the configurations, seeds (how many both have), and outcome, one of VERDICTS: is b better?

    Costs without randomness are exact and compared as they are; where a seed matters, Wilcoxon's test of the seeds'
    ratios decides (5%), which needs ENOUGH common seeds, and the interval is its own, of Hodges and Lehmann.
    Of seconds nothing is said but what they were, and their ratio, each over the reference loop of its own process.
    """
    pools = {side: merged(compared[compared["side"] == side]) for side in "ab"}
    rows = [*_counted(pools, "steps"), *_counted(pools, "gradients"), *_timed(compared)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _counted(pools: dict[str, pd.DataFrame], cost: str) -> list[dict[str, Any]]:
    """The rows of a cost that is counted."""
    best = {side: _best(pool, cost) for side, pool in pools.items()}
    by_seed = {side: standings(pool, cost, [*KEYS, "seed"]) for side, pool in pools.items()}
    rows = []
    for problem, optimizer in best["a"].index.union(best["b"].index, sort=False):
        key = {"problem": problem, "optimizer": optimizer, "cost": cost}
        there = {
            side: table.loc[[(problem, optimizer)]].iloc[0]
            for side, table in best.items()
            if (problem, optimizer) in table.index
        }
        if len(there) == 1:
            rows += [{**key, "outcome": f"only {side}", **_of_side(row, side)} for side, row in there.items()]
        else:
            rows.append(
                {**key, **_compare(there, {side: _seeds_of(by_seed[side], row) for side, row in there.items()})}
            )
    return rows


def _best(pool: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The first of the standings for each problem and solver, also where nothing may win."""
    first = standings(pool, cost).drop_duplicates(["problem", "solver"])
    return first.set_index(["problem", "solver"], drop=False)


def _seeds_of(by_seed: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """The standing of each seed of one configuration."""
    return by_seed[_is_of(by_seed, row)].set_index("seed")


def _of_side(row: pd.Series, side: str) -> dict[str, Any]:
    """What a row tells of one side alone."""
    reached = row["outcome"] in OUTCOMES[:2]
    return {
        side: row["value"] if reached else np.inf,
        f"standing_{side}": row["outcome"],
        f"configuration_{side}": row["configuration"],
    }


def _compare(rows: dict[str, pd.Series], seeds: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """What a problem's optimizer is on b, beside a."""
    a, b = rows["a"], rows["b"]
    facts = {**_of_side(a, "a"), **_of_side(b, "b")}
    better = min(OUTCOMES.index(row["outcome"]) for row in rows.values())
    if OUTCOMES[better] == OUTCOMES[-1]:
        return {**facts, "outcome": "neither", "measure": a["measure"], "seeds": 0}
    if OUTCOMES[better] == "missed":
        facts |= {side: row["value"] for side, row in rows.items()}
    matters = bool(a["seed_matters"] or b["seed_matters"])
    pairs = pd.concat([_deciding(seeds[side], better) for side in "ab"], axis=1, join="inner").to_numpy(float)
    medians = [float(_deciding(row.to_frame().T, better).iloc[0]) for row in (a, b)]
    measure = (a if OUTCOMES.index(a["outcome"]) == better else b)["measure"]
    pairs = pairs if matters else np.array([medians])
    differences = pairs[:, 1] - pairs[:, 0] if measure == "final loss" else log_ratios(pairs[:, 1], pairs[:, 0])
    both = a["outcome"] == b["outcome"] and measure != "final loss"
    lo, hi = _of_seeds(differences) if both and matters else NONE
    return {
        **facts,
        "measure": measure,
        "outcome": _outcome(medians, np.nan_to_num(differences, posinf=np.inf, neginf=-np.inf), matters),
        "ratio": facts["b"] / facts["a"] if both else np.nan,
        "lo": lo,
        "hi": hi,
        "seeds": len(pairs),
    }


def _deciding(rows: pd.DataFrame, better: int) -> pd.Series:
    """The number that decides between sides of which the better has this outcome; inf for those that are worse."""
    if OUTCOMES[better] == "missed":
        short = rows["final_gap"].where(rows["final_gap"].notna(), rows["final_loss"])
        return short.where(rows["outcome"] != OUTCOMES[-1], np.inf).astype(float)
    as_good = rows["outcome"].isin(OUTCOMES[: better + 1])
    return rows["value"].where(as_good, np.inf).astype(float)


def _outcome(medians: list[float], differences: Array, matters: bool) -> str:
    if matters and len(differences) < ENOUGH and not (len(differences) and (differences == 0).all()):
        return TOO_FEW
    if (differences == 0).all():
        return "same"
    if matters and signed_rank(differences) >= ALPHA:
        return "not told apart"
    a, b = medians
    return "better" if b < a or (a == b and np.median(differences) < 0) else "worse"


def _of_seeds(ratios: Array) -> Interval:
    """Of Hodges and Lehmann: between which means of two ratios the signed-rank test does not reject."""
    count = len(ratios)
    if count < ENOUGH or not np.isfinite(ratios).all():
        return NONE
    means = np.sort(((ratios[:, None] + ratios) / 2)[np.triu_indices(count)])
    spread = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    out = max(int(np.floor(len(means) / 2 - stats.norm.ppf(1 - ALPHA / 2) * spread - 0.5)), 0)
    return float(np.exp(means[out])), float(np.exp(means[len(means) - 1 - out]))


def _timed(compared: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of seconds, of each impl: of the configurations that are best by gradients, so that no clock chooses."""
    name = "solver" if compared["impl"].nunique() > 1 else "optimizer"
    pools = {side: compared[compared["side"] == side] for side in "ab"}
    best = {side: _best(pool, "gradients") for side, pool in pools.items()}
    rows = []
    for key in best["a"].index.intersection(best["b"].index, sort=False):
        a, b = (best[side].loc[[key]].iloc[0] for side in "ab")
        if np.isfinite([a["seconds"], b["seconds"]]).all():
            there = key[1] if name == "solver" else a["optimizer"]
            per_reference = [row["seconds"] / _reference(pools[side], row) for side, row in (("a", a), ("b", b))]
            rows.append(
                {
                    **dict(zip(COLUMNS, (key[0], there, "seconds", "seconds", NOT_COMPARABLE), strict=False)),
                    **_of_side(a, "a"),
                    **_of_side(b, "b"),
                    "a": a["seconds"],
                    "b": b["seconds"],
                    "ratio": per_reference[1] / per_reference[0],
                    "seeds": min(a["n"], b["n"]),
                }
            )
    return rows


def _reference(pool: pd.DataFrame, row: pd.Series) -> float:
    """The median step of the reference loop beside the runs of a configuration."""
    mine = pool[_is_of(pool, row)]
    return float((numbers(mine, "step_s") / numbers(mine, "step_time_ratio")).median())


def _is_of(table: pd.DataFrame, row: pd.Series) -> pd.Series:
    """Whether rows of a table are of the problem, solver and configuration of another row."""
    return (table[list(KEYS)] == row[list(KEYS)]).all(axis=1)
