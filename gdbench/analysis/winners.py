"""Who wins on each problem, by how much, and who cannot be told apart from the winner."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.analysis.best_configuration import merged
from gdbench.analysis.first import NOTHING_SAID, describe_first
from gdbench.analysis.rank_tests import holm, log_ratios, signed_rank
from gdbench.analysis.step_times import count_processes, within_noise
from gdbench.results.costs import COSTS
from gdbench.results.ranking import SOUND, may_win, numbers, runs_that_stay, shortfalls
from gdbench.results.standings import OUTCOMES, standings

__all__ = ["ALPHA", "ENOUGH", "seeds_needed", "verdict"]

ALPHA = 0.05
COLUMNS = [
    *("problem", "cost", "outcome", "measure", "winner", "configuration", "lr", "value", "value_lo", "value_hi", "n"),
    *("final_gap", "final_loss", "best_loss", "runner_up", "ratio", "runner_up_value", "runner_up_outcome", "tied"),
    *("seeds", "needed", "held_out", "edge", "sooner", "solvers", "solved", "targeted", "runs", "reached", "left"),
    *(
        "broke",
        "failed",
        "processes",
        "shifted",
        "tuned_for",
        "passed",
        "passed_configuration",
        "passed_value",
        "equals",
    ),
]
Array = npt.NDArray[np.float64]


@cache
def seeds_needed(comparisons: int = 1) -> int:
    """From how many seeds on the test can tell any of so many rivals apart, Holm's correction included."""
    return next(n for n in itertools.count(2) if comparisons * signed_rank(np.arange(1.0, n + 1)) < ALPHA)


ENOUGH = seeds_needed()
"""Seeds from which on a test can tell two solvers apart at all: five equal signs have p = 0.06."""


def verdict(runs: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """One row for each problem and cost (steps, gradients, seconds where timed), of all runs and the compared ones.

    Seconds are compared where one process timed all of a problem's runs; ``processes`` counts them.

    Each solver stands for its best configuration (``standings``), with the median over all of its seeds. Columns:
    winner, its configuration and lr; outcome, measure, value, value_lo, value_hi, n, final_gap, final_loss and
    best_loss of its row (winner is null where nobody may win); runner_up (the first that is not tied), its value and
    outcome, and ratio (how many times more that costs or ends at; inf where its outcome is worse, null between losses);
    tied (solvers that cannot be told apart from the winner, comma-separated); seeds (that all share) and needed, how
    many a test needs (null where it has them, or no seed matters); held_out (whether a test on seeds that chose nothing
    was made); edge (``larger`` or ``smaller`` where its lr is the last that was tried); sooner (who reached the target
    with less, and left it again); solvers and solved (how many there are, and how many stay at the target at their
    best); equals (the winner's other configurations that are as good), tuned_for, passed, passed_configuration and
    passed_value (of ``describe_first``); targeted (whether the problem has a target at all); and the problem's runs:
    reached, left (of those), broke (diverged or nonfinite), failed; shifted counts the runs that are left out of
    all of these.

    Solvers whose seed changes nothing are compared exactly: equal numbers are a tie; of seconds, those within the
    noise of the clock (``times.within_noise``). Others are told apart by Wilcoxon's test of their paired numbers (Holm
    over the problem's solvers, 5%), from ``seeds_needed`` on; where a solver has several configurations, half of the
    seeds choose one and the others are tested, which needs twice as many. With fewer seeds nothing is called told apart
    or tied, but for equal numbers.
    """
    rows = []
    one_impl = merged(told)
    # a problem that nobody timed has no seconds to speak of
    timed = told[told["problem"].isin(told.loc[told["step_s"].notna(), "problem"])]
    for cost, pool in {"steps": one_impl, "gradients": one_impl, "seconds": timed}.items():
        if pool.empty:
            continue
        table = standings(pool, cost)
        for problem, group in pool.groupby("problem", sort=False, observed=True):
            if cost == "seconds" and count_processes(group) > 1:
                continue
            won = _won(group, table[table["problem"] == problem], cost)
            mine = told[told["problem"] == problem]  # all impls: one number of runs, whatever is compared
            counts = {**_counted(mine), "processes": count_processes(mine)}
            rows.append({"problem": problem, "cost": cost, **won, **counts})
    shifted = int(runs["shifted_minimum"].fillna(False).sum())
    return pd.DataFrame(rows).reindex(columns=COLUMNS).assign(shifted=shifted)


def _won(pool: pd.DataFrame, table: pd.DataFrame, cost: str) -> dict[str, Any]:
    order = table.drop_duplicates("solver").reset_index(drop=True)
    first = order.iloc[0]
    counts = {"solvers": len(order), "solved": int((order["outcome"] == "stays").sum())}
    if first["outcome"] == OUTCOMES[-1]:
        return {"winner": None, "value": np.inf, "tied": "", "held_out": False, **NOTHING_SAID, **counts}
    tied, test = _ties(pool, table, order, cost)
    rivals = order[1:]
    apart = rivals[~tied]
    second = apart.iloc[0] if len(apart) else None
    shown = ("configuration", "lr", "value", "value_lo", "value_hi", "n", "final_gap", "final_loss", "best_loss")
    return {
        "winner": first["solver"],
        **{name: first[name] for name in ("outcome", "measure", *shown)},
        "runner_up": None if second is None else second["solver"],
        "ratio": np.nan if second is None else _ratio(first, second),
        "runner_up_value": np.nan if second is None else second["value"],
        "runner_up_outcome": None if second is None else second["outcome"],
        "tied": ", ".join(rivals["solver"][tied]),
        **test,
        "sooner": _sooner(table, first),
        **describe_first(table, first),
        **counts,
    }


def _ratio(first: pd.Series, second: pd.Series) -> float:
    if first["outcome"] != second["outcome"]:
        return np.inf
    if first["measure"] == "final loss" or not first["value"] > 0:
        return np.nan
    return float(second["value"] / first["value"])


def _sooner(table: pd.DataFrame, first: pd.Series) -> str | None:
    """The configuration that reached the target with less than the winner, which stays there, and left it again."""
    left = table[(table["outcome"] == "left") & (table["value"] < first["value"]) & (first["outcome"] == "stays")]
    return None if left.empty else f"{left.iloc[0]['solver']} ({left.iloc[0]['configuration']})"


# --------------------------------------------------------------------------------------------------------- told apart


def _ties(
    pool: pd.DataFrame, table: pd.DataFrame, order: pd.DataFrame, cost: str
) -> tuple[npt.NDArray[np.bool_], dict[str, Any]]:
    """Which of the solvers behind the first are tied with it, and what is known of the test."""
    first, rivals = order.iloc[0], order[1:]
    tied = rivals["place"].eq(first["place"])
    if cost == "seconds":
        alike = rivals["outcome"].eq(first["outcome"]) & rivals["measure"].eq(first["measure"])
        tied |= alike & within_noise(rivals, first)
    noisy = rivals["seed_matters"] | first["seed_matters"]
    if not noisy.any():
        return tied.to_numpy(bool), {"held_out": False}
    held_out = bool(table["solver"].duplicated().any())
    seeds = _common_seeds(pool, order)
    needed = seeds_needed(int(noisy.sum())) * (2 if held_out else 1)
    if len(seeds) < needed:
        return tied.to_numpy(bool), {"seeds": len(seeds), "needed": needed, "held_out": False}
    chosen, tested = order, seeds
    if held_out:
        chosen, tested = standings(_of_seeds(pool, seeds[::2]), cost).drop_duplicates("solver"), seeds[1::2]
    configurations = dict(zip(chosen["solver"], chosen["configuration"], strict=True))
    names = [first["solver"], *rivals["solver"][noisy]]
    values = [_per_seed(pool, name, configurations[name], tested, first, cost) for name in names]
    p = [_p_value(values[0], other, first["measure"] == "final loss") for other in values[1:]]
    tied[noisy] |= holm(np.array(p)) >= ALPHA
    return tied.to_numpy(bool), {"seeds": len(seeds), "held_out": held_out}


def _common_seeds(pool: pd.DataFrame, order: pd.DataFrame) -> list[int]:
    """The seeds that all of the noisy configurations have."""
    noisy = order[order["seed_matters"]]
    keys = zip(noisy["solver"], noisy["configuration"], strict=True)
    each = [set(_runs_of(pool, solver, configuration)["seed"]) for solver, configuration in keys]
    return sorted(set.intersection(*each))


def _of_seeds(pool: pd.DataFrame, seeds: list[int]) -> pd.DataFrame:
    """The runs of these seeds, and those whose seed changes nothing; without what tune chose, which saw all seeds."""
    mine = pool[pool["seed"].isin(seeds) | ~pool["seed_used"].fillna(True).astype(bool)]
    return mine.drop(columns="tuned_place", errors="ignore")


def _runs_of(pool: pd.DataFrame, solver: str, configuration: str) -> pd.DataFrame:
    return pool[(pool["solver"] == solver) & (pool["configuration"] == configuration)]


def _per_seed(
    pool: pd.DataFrame, solver: str, configuration: str, seeds: list[int], first: pd.Series, cost: str
) -> Array:
    """What a configuration attained with each seed, in the winner's measure; inf where it did not."""
    mine = _runs_of(pool, solver, configuration)
    if first["outcome"] in ("stays", "left"):
        counts = may_win(mine) & (runs_that_stay(mine) | (first["outcome"] == "left"))
        values = numbers(mine, COSTS[cost]).where(counts).fillna(np.inf)
    else:
        values = shortfalls(mine)
    if not mine["seed_used"].fillna(True).any():
        return np.full(len(seeds), values.iloc[0])
    return values.set_axis(mine["seed"]).reindex(seeds).fillna(np.inf).to_numpy(float)


def _p_value(first: Array, other: Array, losses: bool) -> float:
    """The p of the test that the first is not lower; 1 where it is not the lower one on these seeds."""
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(first - other, nan=0.0, posinf=np.inf, neginf=-np.inf)
    apart = apart if losses else log_ratios(first, other)
    return signed_rank(apart) if (apart < 0).sum() > (apart > 0).sum() else 1.0


def _counted(pool: pd.DataFrame) -> dict[str, Any]:
    status = pool["status"]
    return {
        "targeted": bool((numbers(pool, "target_loss").notna() | numbers(pool, "final_gap").notna()).any()),
        "runs": len(pool),
        "reached": int(status.eq("target").sum()),
        "left": int((status.eq("target") & ~runs_that_stay(pool)).sum()),
        "broke": int(status.isin(["diverged", "nonfinite"]).sum()),
        "failed": int((~status.isin([*SOUND, "diverged", "nonfinite"])).sum()),
    }
