from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gdbench.analysis.runtime_ecdf import compute_area_over_curve, compute_expected_running_time, compute_runtime_ecdf

INF = math.inf


def table(rows: list[tuple[str, str, float, int, float, float]]) -> pd.DataFrame:
    """Runs with their cost to a target and what they spent in all."""
    return pd.DataFrame(rows, columns=["solver", "problem", "target", "seed", "cost", "spent"])


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from("pq"),
        st.sampled_from([1e-1, 1e-3]),
        st.integers(0, 3),
        st.sampled_from([1.0, 5.0, 20.0, INF]),
        st.sampled_from([20.0, 50.0]),
    ),
    min_size=1,
    max_size=30,
)


def test_expected_running_time_by_hand() -> None:
    """Two hits at 10 and 20 and a miss that spent 100 cost 130 together: 65 a hit, with ragged repeats or not."""
    ert = compute_expected_running_time(
        table(
            [
                ("a", "p", 0.1, 0, 10, 50),
                ("a", "p", 0.1, 1, 20, 50),
                ("a", "p", 0.1, 2, INF, 100),
                ("b", "p", 0.1, 0, 7, 9),
            ]
        )
    )

    assert ert["ert"].tolist() == [65.0, 7.0]
    assert ert[["solved", "runs"]].to_numpy().tolist() == [[2, 3], [1, 1]]


def test_expected_running_time_of_failures_is_infinite() -> None:
    """Where no run solved, restarting would never end."""
    assert compute_expected_running_time(table([("a", "p", 0.1, 0, INF, 50)]))["ert"].tolist() == [INF]


@settings(max_examples=25)
@given(ROWS)
def test_expected_running_time_is_success_plus_the_odds_of_failure(
    rows: list[tuple[str, str, float, int, float, float]],
) -> None:
    """It equals E[success] + (1 - p) / p E[failure], the other way to write it."""
    runs = table(rows)
    for _, found in compute_expected_running_time(runs).iterrows():
        mine = runs[
            (runs["solver"] == found["solver"])
            & (runs["problem"] == found["problem"])
            & (runs["target"] == found["target"])
        ]
        hits, misses = mine.loc[mine["cost"] < INF, "cost"], mine.loc[mine["cost"] == INF, "spent"]
        p = len(hits) / len(mine)
        other = INF if not len(hits) else hits.mean() + ((1 - p) / p * misses.mean() if len(misses) else 0.0)

        assert found["ert"] == pytest.approx(other)


@pytest.fixture(scope="module")
def cocos() -> Callable[..., Any]:
    """COCO's own expected running time; its import asks the network for archives, and can do without."""

    def offline(*_: object, **__: object) -> None:
        raise OSError("offline")

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr("socket.getaddrinfo", offline)
        from cocopp.toolsstats import sp
    found: Callable[..., Any] = sp
    return found


@settings(max_examples=25)
@given(st.lists(st.sampled_from([3.0, 8.0, 30.0, INF]), min_size=1, max_size=12), st.sampled_from([30.0, 77.0]))
def test_expected_running_time_is_cocos(cocos: Callable[..., Any], costs: list[float], budget: float) -> None:
    """COCO's own post-processing gives the same number for the same runs."""
    runs = table([("a", "p", 0.1, seed, cost, budget) for seed, cost in enumerate(costs)])
    ours = compute_expected_running_time(runs)["ert"].iloc[0]
    hit = [cost < INF for cost in costs]
    theirs = cocos([cost if ok else budget for cost, ok in zip(costs, hit, strict=True)], issuccessful=hit)[0]

    assert ours == pytest.approx(theirs) if any(hit) else ours == INF


def test_an_ecdf_by_hand() -> None:
    """Of two targets on each of two problems, one at 1, two more at 10, and one never: 1/4, then 3/4."""
    runs = table(
        [("a", "p", 0.1, 0, 1, 9), ("a", "p", 0.01, 0, 10, 99), ("a", "q", 0.1, 0, 10, 9), ("a", "q", 0.01, 0, INF, 9)]
    )
    ecdf = compute_runtime_ecdf(runs)

    assert ecdf["share"].iloc[0] == 0.25
    assert ecdf["share"].iloc[-1] == 0.75
    assert set(zip(ecdf["problems"], ecdf["targets"], strict=True)) == {(2, 2)}


def test_an_ecdf_of_failures_is_empty() -> None:
    """Where nothing was ever reached there is no curve."""
    assert compute_runtime_ecdf(table([("a", "p", 0.1, 0, INF, 9)])).empty


def test_a_single_run_has_no_band() -> None:
    """One problem with one run leaves nothing to draw anew: the band is null, not a line."""
    assert compute_runtime_ecdf(table([("a", "p", 0.1, 0, 3, 9)]))["lo"].isna().all()


@settings(max_examples=25)
@given(ROWS)
def test_an_ecdf_is_a_mean_over_problems_within_its_band(rows: list[tuple[str, str, float, int, float, float]]) -> None:
    """At each budget it is the plain mean over problems of the share reached; the band holds it, and nothing falls."""
    runs = table(rows)
    for solver, curve in compute_runtime_ecdf(runs).groupby("solver"):
        mine = runs[runs["solver"] == solver]
        budgets = curve["cost"].to_numpy()
        shares = [np.mean(each["cost"].to_numpy()[:, None] <= budgets, axis=0) for _, each in mine.groupby("problem")]
        if len(shares) > 1:
            assert curve["share"].to_numpy() == pytest.approx(np.mean(shares, axis=0))
        assert curve["share"].is_monotonic_increasing
        banded = curve[curve["lo"].notna()]
        assert ((banded["lo"] <= banded["share"] + 1e-9) & (banded["share"] <= banded["hi"] + 1e-9)).all()


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([1.0, 3.0, 8.0, 30.0, INF]), min_size=1, max_size=12).filter(lambda each: min(each) < INF)
)
def test_an_ecdf_of_one_problem_is_scipys(costs: list[float]) -> None:
    """What is never reached lies beyond every budget."""
    curve = compute_runtime_ecdf(table([("a", "p", 0.1, seed, cost, 99.0) for seed, cost in enumerate(costs)]))
    theirs = stats.ecdf(np.nan_to_num(costs, posinf=1e300)).cdf

    assert curve["share"].to_numpy() == pytest.approx(theirs.evaluate(curve["cost"].to_numpy()))


def test_the_area_by_hand() -> None:
    """Of a budget of 100, targets reached at 20, at 50, never and beyond it are worth 0.8, 0.5, 0 and 0."""
    runs = table([("a", "p", t, 0, cost, 100) for t, cost in ((0.1, 20), (0.01, 50), (0.001, INF), (0.0001, 130))])
    area = compute_area_over_curve(runs, 100)

    assert area["aocc"].tolist() == [pytest.approx(1.3 / 4)]
