"""Tests between solvers: pairwise wins, Wilcoxon and Friedman tests, average ranks, critical difference."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from gdbench.analysis.performance_profiles import build_cost_matrix

__all__ = [
    *("adjust_p_holm", "compare_pairwise", "compute_average_ranks"),
    *("compute_critical_difference", "find_tied_ranges"),
]

Array = npt.NDArray[np.float64]


def compare_pairwise(table: pd.DataFrame) -> pd.DataFrame:
    """Each pair of solvers over the problems: wins, ties, cost ratio, and a test of their difference.

    Columns: solver, other, wins, losses, ties (equal, or neither solved), problems, ratio (geometric mean of the cost
    ratios on problems that both solved), p (Wilcoxon's signed-rank test of the log ratios, two-sided) and p_holm
    (Holm's correction over all pairs). A problem solved by one solver only ranks above all ratios; ties are left out of
    the test.
    """
    wide = build_cost_matrix(table)
    rows = [_compare_pair(first, second, wide) for first, second in itertools.combinations(wide.columns, 2)]
    names = ["solver", "other", "wins", "losses", "ties", "problems", "ratio", "p"]
    pairs = pd.DataFrame(rows, columns=names)
    return pairs.assign(p_holm=adjust_p_holm(pairs["p"].to_numpy(float)))


def _compare_pair(first: str, second: str, wide: pd.DataFrame) -> list[object]:
    ratios = compute_log_ratios(wide[first].to_numpy(), wide[second].to_numpy())
    finite = ratios[np.isfinite(ratios)]
    wins, losses = int((ratios < 0).sum()), int((ratios > 0).sum())
    both = finite[np.isfinite(wide[first].to_numpy()[np.isfinite(ratios)])]
    ratio = float(np.exp(both.mean())) if len(both) else np.nan
    return [first, second, wins, losses, len(wide) - wins - losses, len(wide), ratio, compute_signed_rank_p(ratios)]


def compute_log_ratios(first: Array, second: Array) -> Array:
    """log(first / second); 0 where both are inf, -inf or inf where one is."""
    with np.errstate(invalid="ignore"):  # a gap below 0 has no logarithm
        return compute_differences(np.log(first), np.log(second))


def compute_differences(first: Array, second: Array) -> Array:
    """First - second; 0 where both are the same infinity, and where one is unknown."""
    with np.errstate(invalid="ignore"):
        differences: Array = np.nan_to_num(first - second, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return differences


def compute_signed_rank_p(ratios: Array) -> float:
    """p of Wilcoxon's signed-rank test; zeros are dropped, infinities rank highest; 1 if nothing differs."""
    differing = ratios[ratios != 0]
    if not len(differing):
        return 1.0
    size = np.abs(differing)
    beyond = 2 * size[np.isfinite(size)].max(initial=1.0)
    capped = np.sign(differing) * np.where(np.isfinite(size), size, beyond)
    return float(stats.wilcoxon(capped).pvalue)


def adjust_p_holm(p: Array) -> Array:
    """Holm's step-down correction (1979): p_(i) (m - i + 1), made monotone, at most 1."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def compute_average_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Average rank of each solver over the problems, 1 is best; ties, and failures, share their average rank.

    Columns: solver, rank, problems, and p of Friedman's test that all solvers are equal (null for fewer than three).
    """
    wide = build_cost_matrix(table)
    ranks = wide.rank(axis=1, method="average")
    p = np.nan
    if wide.shape[1] >= 3 and len(wide) >= 2 and (ranks.nunique(axis=1) > 1).any():
        p = float(stats.friedmanchisquare(*(ranks[name] for name in ranks)).pvalue)
    table_of_ranks = ranks.mean().rename("rank").rename_axis("solver").reset_index()
    return table_of_ranks.assign(problems=len(wide), p=p).sort_values("rank", kind="stable", ignore_index=True)


def compute_critical_difference(solvers: int, problems: int) -> float:
    """Nemenyi's critical difference of average ranks, q sqrt(k (k + 1) / (6 N)) (Demsar 2006).

    q is the upper 5% quantile of the studentized range of k solvers, infinite degrees of freedom, over sqrt(2).
    """
    if solvers < 2 or problems < 1:
        return float("nan")
    q = stats.studentized_range.ppf(0.95, solvers, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(solvers * (solvers + 1) / (6 * problems)))


def find_tied_ranges(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Maximal ranges (first, last) of ascending ranks whose ends differ by less than ``difference``."""
    last = [max(j for j in range(i, len(ranks)) if ranks[j] - ranks[i] < difference) for i in range(len(ranks))]
    stretches = [(i, j) for i, j in enumerate(last) if j > i]
    return [(i, j) for i, j in stretches if not any(a < i and b >= j for a, b in stretches)]
