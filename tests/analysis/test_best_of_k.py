from __future__ import annotations

import itertools
import math
import tracemalloc

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbench.analysis.best_of_k import compute_expected_best

INF = math.inf


def best_of(costs: list[float]) -> pd.DataFrame:
    """The best of k of these costs, for every k."""
    return compute_expected_best(
        pd.DataFrame({"solver": "a", "problem": "p", "configuration": range(len(costs)), "cost": costs})
    )


def test_best_of_three_by_hand() -> None:
    """Of 1, 2 and 6: one draw costs 3 on average, two cost 4/3, three find the best."""
    told = best_of([6.0, 1.0, 2.0])

    assert told["mean"].tolist() == pytest.approx([3.0, 4 / 3, 1.0])
    assert told["median"].tolist() == [2.0, 1.0, 1.0]
    assert told["reached"].tolist() == [1.0, 1.0, 1.0]


def test_failures_leave_the_mean_infinite_until_they_cannot_fill_a_draw() -> None:
    """With one of three that solves, only three draws are sure to hold it; all failed is never."""
    told = best_of([INF, 4.0, INF])

    assert told["mean"].tolist() == [INF, INF, 4.0]
    assert told["reached"].tolist() == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert told["median"].tolist() == [INF, 4.0, 4.0]
    assert best_of([INF, INF])["median"].tolist() == [INF, INF]


@settings(max_examples=25)
@given(st.lists(st.sampled_from([1.0, 2.0, 7.0, 7.5, INF]), min_size=1, max_size=7))
def test_it_equals_the_mean_over_all_draws(costs: list[float]) -> None:
    """Counting every subset of k configurations gives the same mean and the same chance to solve."""
    told = best_of(costs).set_index("k")
    for k in range(1, len(costs) + 1):
        lowest = [min(draw) for draw in itertools.combinations(costs, k)]

        assert told.loc[k, "reached"] == pytest.approx(sum(each < INF for each in lowest) / len(lowest))
        assert told.loc[k, "mean"] == pytest.approx(sum(lowest) / len(lowest))
        assert told.loc[k, "median"] == sorted(lowest)[(len(lowest) - 1) // 2]


def test_many_trials_take_no_square_of_memory() -> None:
    """Of 4,000 configurations the chances are never all in memory at once: 128 MB for each term."""
    tracemalloc.start()
    try:
        best = best_of([float(cost) for cost in range(1, 4001)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 100e6
    assert best["mean"].to_numpy()[[0, -1]] == pytest.approx([2000.5, 1.0])
