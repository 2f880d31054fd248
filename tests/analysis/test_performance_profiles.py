from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbench.analysis.performance_profiles import (
    compute_data_profile,
    compute_performance_profile,
    compute_performance_ratios,
    compute_profile_score,
)

INF = math.inf


def table(costs: dict[str, list[float]]) -> pd.DataFrame:
    """Costs of solvers, one a problem."""
    rows = [
        {"problem": f"p{place}", "solver": solver, "cost": cost}
        for solver, values in costs.items()
        for place, cost in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["problem", "solver", "cost"])


COSTS = st.sampled_from([1.0, 2.0, 3.0, 10.0, 1e6, INF])
TABLES = st.integers(1, 4).flatmap(
    lambda problems: st.dictionaries(
        st.sampled_from("abcd"), st.lists(COSTS, min_size=problems, max_size=problems), min_size=1
    )
)


def share(profile: pd.DataFrame, solver: str, axis: str, at: float) -> float:
    """The height of a step function, right-continuous."""
    mine = profile[(profile["solver"] == solver) & (profile[axis] <= at)]
    return float(mine["share"].iloc[-1]) if len(mine) else 0.0


def test_a_performance_profile_by_hand() -> None:
    """Two problems: a takes 10 and 40, b takes 20 and 20, so each wins one and is twice as slow on the other."""
    profile = compute_performance_profile(table({"a": [10, 40], "b": [20, 20]}))

    assert profile[["ratio", "share"]].to_numpy().tolist() == [[1, 0.5], [2, 1.0], [1, 0.5], [2, 1.0]]
    assert set(profile["problems"]) == {2}


def test_ties_win_for_all() -> None:
    """Solvers that share the best cost all start at the share of problems where they do."""
    profile = compute_performance_profile(table({"a": [5, 7], "b": [5, 14]}))

    assert share(profile, "a", "ratio", 1) == 1.0
    assert share(profile, "b", "ratio", 1) == 0.5


def test_what_nobody_solves_stays_in_the_count() -> None:
    """inf/inf is inf, not NaN: nobody's profile reaches one, and one that never solved is zero throughout."""
    given_costs = table({"a": [5, INF], "b": [INF, INF]})
    profile = compute_performance_profile(given_costs)

    assert compute_performance_ratios(given_costs).to_numpy().tolist() == [[1, INF], [INF, INF]]
    assert share(profile, "a", "ratio", 1e300) == 0.5
    assert share(profile, "b", "ratio", 1e300) == 0.0


def test_all_failed_and_a_single_solver() -> None:
    """Where all fail every profile is zero; a solver alone is best wherever it solves."""
    assert compute_performance_profile(table({"a": [INF], "b": [INF]}))["share"].tolist() == [0.0, 0.0]
    assert compute_performance_profile(table({"a": [3, 4, INF]}))["share"].tolist() == [2 / 3]


def test_an_empty_table_has_an_empty_profile() -> None:
    """Without a problem there is nothing to say, and that is no error."""
    assert compute_performance_profile(table({})).empty
    assert compute_data_profile(table({})).empty


def test_a_missing_cell_is_a_failure() -> None:
    """A solver that was not run on a problem did not solve it."""
    given_costs = table({"a": [1, 1], "b": [2]})

    assert share(compute_performance_profile(given_costs), "b", "ratio", 1e9) == 0.5


def test_a_score_by_hand() -> None:
    """From 1 to 4 a ratio of 1 is worth 1, of 2.5 a half, of 4 and more nothing."""
    score = compute_profile_score(table({"a": [1, 1, 1], "b": [2.5, 4, INF]}))

    assert score.to_dict() == {"a": 1.0, "b": pytest.approx(0.5 / 3)}


@settings(max_examples=25)
@given(TABLES, st.sampled_from([1.0, 1.5, 2.0, 5.0, 1e5, 1e7]))
def test_a_performance_profile_is_its_definition(costs: dict[str, list[float]], tau: float) -> None:
    """At any tau it is the count of problems within tau of the best, over all problems."""
    profile = compute_performance_profile(table(costs))
    best = [min(column) for column in zip(*costs.values(), strict=True)]
    for solver, mine in costs.items():
        solved = sum(cost < INF and cost <= tau * least for cost, least in zip(mine, best, strict=True))

        assert share(profile, solver, "ratio", tau) == pytest.approx(solved / len(best))


@settings(max_examples=25)
@given(TABLES, COSTS)
def test_a_data_profile_is_its_definition(costs: dict[str, list[float]], alpha: float) -> None:
    """At any budget it is the count of problems solved within it, over all problems."""
    profile = compute_data_profile(table(costs))
    for solver, mine in costs.items():
        solved = sum(cost < INF and cost <= alpha for cost in mine) / len(mine)

        assert share(profile, solver, "cost", min(alpha, 1e300)) == pytest.approx(solved)


@settings(max_examples=25)
@given(TABLES)
def test_a_score_is_the_area_under_the_profile(costs: dict[str, list[float]]) -> None:
    """The closed form equals the area of the step function from 1 to 4, over 3."""
    profile, score = compute_performance_profile(table(costs)), compute_profile_score(table(costs))
    for solver in costs:
        mine = profile[profile["solver"] == solver]
        ends = np.clip(np.append(mine["ratio"], 4.0), 1.0, 4.0)

        assert score[solver] == pytest.approx(float((np.diff(ends) * mine["share"]).sum()) / 3)
