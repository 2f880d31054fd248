"""Cost of tuning: the expected cost of the best of k configurations drawn at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln

__all__ = ["compute_expected_best"]

MAX_ENTRIES = 10**6
"""Largest number of probabilities held in memory at once."""
NEGLIGIBLE = 1e-20
"""Probability below which the best drawn is not looked for: without it n configurations take n² operations."""


def compute_expected_best(table: pd.DataFrame) -> pd.DataFrame:
    """Expected cost of the best of k configurations drawn without replacement, for k = 1 ... n.

    Input: a table with solver, problem, configuration and cost, one row per configuration. Output for each solver and
    problem: k, reached (probability that at least one of the k solves), mean (expected lowest cost; inf unless every
    draw of k contains one that solves) and median (median lowest cost; inf where reached < 1/2).

    P(best > the i-th lowest of n) = C(n - i, k) / C(n, k).
    """
    rows = [pd.DataFrame(columns=["solver", "problem", "k", "reached", "mean", "median"])]
    solver: Any
    problem: Any
    for (solver, problem), group in table.groupby(["solver", "problem"], sort=False, observed=True):
        table = _best_of_k(np.sort(group["cost"].to_numpy(float)))
        rows.append(table.assign(solver=solver, problem=problem)[list(rows[0])])
    return pd.concat(rows[1:] or rows, ignore_index=True)


def _best_of_k(ordered: np.ndarray) -> pd.DataFrame:
    """Rows for all k of one solver and problem, in blocks of k: the full matrix has n (n + 1) entries."""
    n, first, blocks = len(ordered), 1, []
    while first <= n:
        width = _count_likely(n, first)
        k = np.arange(first, min(first + max(1, MAX_ENTRIES // (width + 1)), n + 1))
        blocks.append(_compute_block(k, ordered, width))
        first += len(k)
    return pd.concat(blocks, ignore_index=True)


def _count_likely(n: int, k: int) -> int:
    """Number of the lowest of n of which k draws miss all with a ``NEGLIGIBLE`` probability, at most (1 - k/n)^i."""
    return n if k == n else min(n, math.ceil(math.log(NEGLIGIBLE) / math.log1p(-k / n)))


def _compute_block(k: np.ndarray, ordered: np.ndarray, width: int) -> pd.DataFrame:
    """Rows for some values of k, from costs in ascending order, of which the ``width`` lowest can be the best."""
    n = len(ordered)
    misses = _compute_miss_probabilities(n, k, np.arange(width + 1))
    solved = int(np.isfinite(ordered).sum())
    lowest = misses[:, :-1] - misses[:, 1:]  # that the i-th lowest is the best drawn
    mean = np.full(len(k), np.inf)
    sure = k > n - solved
    mean[sure] = lowest[sure][:, :solved] @ ordered[: min(solved, width)]
    half = (misses[:, 1:] <= 0.5 + 1e-12).argmax(axis=1)
    reached = 1 - _compute_miss_probabilities(n, k, np.array([solved]))[:, 0]
    return pd.DataFrame({"k": k, "reached": reached, "mean": mean, "median": ordered[half]})


def _compute_miss_probabilities(n: int, k: np.ndarray, i: np.ndarray) -> np.ndarray:
    """C(n - i, k) / C(n, k), shape [len(k), len(i)]: none of the i lowest is drawn."""
    left = n - i[None, :]
    k = k[:, None]
    possible = left >= k
    safe = np.where(possible, left - k, 0)
    logs = gammaln(left + 1.0) - gammaln(safe + 1.0) - (gammaln(n + 1.0) - gammaln(n - k + 1.0))
    return np.where(possible, np.exp(np.where(possible, logs, 0.0)), 0.0)
