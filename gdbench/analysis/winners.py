"""The winner on each problem: margin, runner-up, ties and the test behind them."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.analysis.best_configuration import select_best_impls
from gdbench.analysis.rank_tests import adjust_p_holm, compute_differences, compute_log_ratios, compute_signed_rank_p
from gdbench.analysis.step_times import count_processes, is_within_noise
from gdbench.analysis.winner_notes import NO_NOTES, describe_winner
from gdbench.results.costs import COST_COLUMNS
from gdbench.results.ranking import OUTCOMES, rank_configurations, renumber_places
from gdbench.results.run_outcomes import compute_shortfalls, has_ratio, has_settled, is_eligible
from gdbench.results.statuses import DIVERGING, SOUND
from gdbench.results.values import to_floats

__all__ = ["ALPHA", "MIN_SEEDS", "count_seeds_needed", "find_winners"]

ALPHA = 0.05
COLUMNS = [
    *("problem", "cost", "outcome", "measure", "winner", "configuration", "lr", "value", "value_lo", "value_hi", "n"),
    *("final_gap", "final_loss", "best_loss", "runner_up", "ratio", "runner_up_value", "runner_up_outcome", "tied"),
    *("seeds", "needed", "held_out", "edge", "cheaper_but_left", "solvers", "solved", "targeted"),
    *("runs", "reached", "left", "diverged", "failed", "processes", "shifted"),
    *("tuned_for", "passed", "passed_configuration", "passed_value", "equals"),
]
Array = npt.NDArray[np.float64]


@cache
def count_seeds_needed(comparisons: int = 1) -> int:
    """Smallest number of seeds at which the test can be significant for ``comparisons`` rivals (Holm)."""
    return next(n for n in itertools.count(2) if comparisons * compute_signed_rank_p(np.arange(1.0, n + 1)) < ALPHA)


MIN_SEEDS = count_seeds_needed()
"""Smallest number of seeds for a significant difference of two solvers: five equal signs have p = 0.06."""


def find_winners(runs: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """One row per problem and cost (steps, gradients, seconds where timed), of all and of the comparable runs.

    Seconds are compared only where one process timed all of a problem's runs; ``processes`` counts them. Each solver is
    represented by its best configuration (``rank_configurations``), with the median over all of its seeds.

    - winner, configuration, lr, outcome, measure, value, value_lo, value_hi, n, final_gap, final_loss, best_loss: of
      the first row (winner is null where none is eligible).
    - runner_up: the first that is not tied; runner_up_value, runner_up_outcome; ratio: its value over the winner's (inf
      where its outcome is worse, null between losses and metrics). tied: solvers tied with the winner, comma-separated.
    - seeds: number in common; needed: number that the test needs (null where reached, or where no seed matters);
      held_out: whether the test used seeds that selected nothing.
    - edge, equals, tuned_for, passed, passed_configuration, passed_value: see ``winner_notes.describe_winner``.
    - cheaper_but_left: the configuration that reached the target at lower cost and left it again.
    - solvers, solved: number of solvers, and of those whose best stays at the target; targeted: the problem has a
      target.
    - runs, reached, left (of those), diverged (or nonfinite), failed: numbers of runs; shifted: runs excluded
      because weight decay shifts the minimum.

    Solvers without randomness are compared exactly: equal values tie; of seconds, those within noise
    (``step_times.is_within_noise``). Others are tested by Wilcoxon's signed-rank test of their paired values (Holm over
    the problem's solvers, 5%), from ``count_seeds_needed`` on. Where a solver has several configurations, half of the
    seeds select one and the other half test it, which needs twice as many. With fewer seeds only equal values tie.
    """
    rows = []
    one_impl = select_best_impls(compared)
    # problems without timed runs have no seconds to compare
    timed = compared[compared["problem"].isin(compared.loc[compared["step_s"].notna(), "problem"])]
    for cost, pool in {"steps": one_impl, "gradients": one_impl, "seconds": timed}.items():
        if pool.empty:
            continue
        table = rank_configurations(pool, cost)
        for problem, group in pool.groupby("problem", sort=False, observed=True):
            if cost == "seconds" and count_processes(group) > 1:
                continue
            won = _describe_problem(group, table[table["problem"] == problem], cost)
            mine = compared[compared["problem"] == problem]  # all impls: one number of runs, whatever is compared
            counts = {**_count_runs(mine), "processes": count_processes(mine)}
            rows.append({"problem": problem, "cost": cost, **won, **counts})
    shifted = int(runs["shifted_minimum"].fillna(False).sum())
    return pd.DataFrame(rows).reindex(columns=COLUMNS).assign(shifted=shifted)


def _describe_problem(pool: pd.DataFrame, table: pd.DataFrame, cost: str) -> dict[str, Any]:
    order = renumber_places(table.drop_duplicates("solver")).reset_index(drop=True)
    first = order.iloc[0]
    counts = {"solvers": len(order), "solved": int((order["outcome"] == "stays").sum())}
    if first["outcome"] == OUTCOMES[-1]:
        return {"winner": None, "value": np.inf, "tied": "", "held_out": False, **NO_NOTES, **counts}
    tied, test = _find_ties(pool, table, order, cost)
    rivals = order[1:]
    apart = rivals[~tied]
    second = apart.iloc[0] if len(apart) else None
    shown = ("configuration", "lr", "value", "value_lo", "value_hi", "n", "final_gap", "final_loss", "best_loss")
    return {
        "winner": first["solver"],
        **{name: first[name] for name in ("outcome", "measure", *shown)},
        "runner_up": None if second is None else second["solver"],
        "ratio": np.nan if second is None else _compute_ratio(first, second),
        "runner_up_value": np.nan if second is None else second["value"],
        "runner_up_outcome": None if second is None else second["outcome"],
        "tied": ", ".join(rivals["solver"][tied]),
        **test,
        "cheaper_but_left": _find_cheaper_but_left(table, first),
        **describe_winner(table, first),
        **counts,
    }


def _compute_ratio(first: pd.Series, second: pd.Series) -> float:
    """Value of the second over that of the first; inf between outcomes, NaN between losses and metrics."""
    if first["outcome"] != second["outcome"]:
        return np.inf
    if not has_ratio(first["measure"]) or not first["value"] > 0:
        return np.nan
    return float(second["value"] / first["value"])


def _find_cheaper_but_left(table: pd.DataFrame, first: pd.Series) -> str | None:
    """The configuration that reached the target at lower cost than the winner, but did not stay there."""
    left = table[(table["outcome"] == "left") & (table["value"] < first["value"]) & (first["outcome"] == "stays")]
    return None if left.empty else f"{left.iloc[0]['solver']} ({left.iloc[0]['configuration']})"


# ------------------------------------------------------------------------------------------------------------- ties


def _find_ties(
    pool: pd.DataFrame, table: pd.DataFrame, order: pd.DataFrame, cost: str
) -> tuple[npt.NDArray[np.bool_], dict[str, Any]]:
    """Whether each rival is tied with the first, and the columns seeds, needed and held_out."""
    first, rivals = order.iloc[0], order[1:]
    tied = rivals["place"].eq(first["place"])
    if cost == "seconds":
        alike = rivals["outcome"].eq(first["outcome"]) & rivals["measure"].eq(first["measure"])
        tied |= alike & is_within_noise(rivals, first)
    noisy = rivals["seed_matters"] | first["seed_matters"]
    if not noisy.any():
        return tied.to_numpy(bool), {"held_out": False}
    held_out = bool(table["solver"].duplicated().any())
    seeds = _find_common_seeds(pool, order)
    needed = count_seeds_needed(int(noisy.sum())) * (2 if held_out else 1)
    if len(seeds) < needed:
        return tied.to_numpy(bool), {"seeds": len(seeds), "needed": needed, "held_out": False}
    chosen, tested = order, seeds
    if held_out:
        chosen, tested = (
            rank_configurations(_select_seeds(pool, seeds[::2]), cost).drop_duplicates("solver"),
            seeds[1::2],
        )
    configurations = dict(zip(chosen["solver"], chosen["configuration"], strict=True))
    names = [first["solver"], *rivals["solver"][noisy]]
    values = [_compute_seed_values(pool, name, configurations[name], tested, first, cost) for name in names]
    p = [_compute_p_value(values[0], other, not has_ratio(first["measure"])) for other in values[1:]]
    tied[noisy] |= adjust_p_holm(np.array(p)) >= ALPHA
    return tied.to_numpy(bool), {"seeds": len(seeds), "held_out": held_out}


def _find_common_seeds(pool: pd.DataFrame, order: pd.DataFrame) -> list[int]:
    """Seeds that all configurations with randomness have in common."""
    noisy = order[order["seed_matters"]]
    keys = zip(noisy["solver"], noisy["configuration"], strict=True)
    seeds = [set(_select_runs(pool, solver, configuration)["seed"]) for solver, configuration in keys]
    return sorted(set.intersection(*seeds))


def _select_seeds(pool: pd.DataFrame, seeds: list[int]) -> pd.DataFrame:
    """Runs of these seeds and runs without randomness; without tuned_place, which was chosen on all seeds."""
    mine = pool[pool["seed"].isin(seeds) | ~pool["seed_used"].fillna(True).astype(bool)]
    return mine.drop(columns="tuned_place", errors="ignore")


def _select_runs(pool: pd.DataFrame, solver: str, configuration: str) -> pd.DataFrame:
    return pool[(pool["solver"] == solver) & (pool["configuration"] == configuration)]


def _compute_seed_values(
    pool: pd.DataFrame, solver: str, configuration: str, seeds: list[int], first: pd.Series, cost: str
) -> Array:
    """Value of a configuration for each seed, in the winner's measure, lower is better; inf where not attained."""
    mine = _select_runs(pool, solver, configuration)
    if first["outcome"] in ("stays", "left"):
        counts = is_eligible(mine) & (has_settled(mine) | (first["outcome"] == "left"))
        values = to_floats(mine, COST_COLUMNS[cost]).where(counts).fillna(np.inf)
    else:
        values = compute_shortfalls(mine)
    if not mine["seed_used"].fillna(True).any():
        return np.full(len(seeds), values.iloc[0])
    return values.set_axis(mine["seed"]).reindex(seeds).fillna(np.inf).to_numpy(float)


def _compute_p_value(first: Array, other: Array, losses: bool) -> float:
    """p of the test that the first is lower; 1 where it is not the lower one on most seeds."""
    apart = compute_differences(first, other) if losses else compute_log_ratios(first, other)
    return compute_signed_rank_p(apart) if (apart < 0).sum() > (apart > 0).sum() else 1.0


def _count_runs(pool: pd.DataFrame) -> dict[str, Any]:
    status = pool["status"]
    return {
        "targeted": any(
            to_floats(pool, name).notna().any() for name in ("target_loss", "final_gap", "target_shortfall")
        ),
        "runs": len(pool),
        "reached": int(status.eq("target").sum()),
        "left": int((status.eq("target") & ~has_settled(pool)).sum()),
        "diverged": int(status.isin(DIVERGING).sum()),
        "failed": int((~status.isin([*SOUND, *DIVERGING])).sum()),
    }
