from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats
from test_performance_profiles import TABLES, table

from gdbench.analysis.rank_tests import (
    adjust_p_holm,
    compare_pairwise,
    compute_average_ranks,
    compute_critical_difference,
    compute_log_ratios,
    compute_signed_rank_p,
    find_tied_ranges,
)

INF = math.inf


def test_pairs_by_hand() -> None:
    """Wins, losses, ties and the ratio over the problems that both solved; a failure of both is a tie."""
    pair = compare_pairwise(table({"a": [1, 8, 5, INF, 3], "b": [2, 4, 5, INF, INF]})).iloc[0]

    assert pair[["wins", "losses", "ties", "problems"]].tolist() == [2, 1, 2, 5]
    assert pair["ratio"] == pytest.approx(1.0)


def test_a_solver_alone_makes_no_pair() -> None:
    """One solver has nobody to compare with."""
    assert compare_pairwise(table({"a": [1, 2]})).empty


def test_equal_solvers_do_not_differ() -> None:
    """All ties, failures of both among them, give p = 1."""
    assert compare_pairwise(table({"a": [1, INF], "b": [1, INF]}))["p"].tolist() == [1.0]


RATIOS = st.floats(0.01, 100)


@pytest.mark.once
@settings(max_examples=25)
@given(st.one_of(st.lists(RATIOS, min_size=2, max_size=6), st.lists(RATIOS, min_size=2, max_size=20, unique=True)))
def test_the_signed_rank_test_is_scipys(ratios: list[float]) -> None:
    """Without failures the test is scipy's, on the logarithms; of ties it tries all signs, so few have them."""
    logs = np.log(np.array(ratios))
    logs = logs[logs != 0]

    assert compute_signed_rank_p(np.log(np.array(ratios))) == (stats.wilcoxon(logs).pvalue if len(logs) else 1.0)


def test_a_lone_solution_outranks_every_ratio() -> None:
    """Winning by a factor of a million and winning because the other failed rank as the two largest, in that order."""
    ratios = compute_log_ratios(np.array([1.0, 1.0, 1.0, 2.0]), np.array([INF, 1e6, 2.0, 1.0]))

    assert compute_signed_rank_p(ratios) == stats.wilcoxon([-4.0, -3.0, -1.5, 1.5]).pvalue


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_definition(p: list[float]) -> None:
    """Each adjusted p is the largest of (m - j) p_(j) over those at or before it in ascending order, at most 1."""
    adjusted = adjust_p_holm(np.array(p))
    order = sorted(range(len(p)), key=lambda i: p[i])
    for place, index in enumerate(order):
        expected = min(1.0, max((len(p) - j) * p[order[j]] for j in range(place + 1)))

        assert adjusted[index] == pytest.approx(expected)


@settings(max_examples=25)
@given(TABLES)
def test_ranks_are_scipys(costs: dict[str, list[float]]) -> None:
    """Average ranks with shared ties are those of scipy.stats.rankdata, problem by problem; failures share the last."""
    ranks = compute_average_ranks(table(costs)).set_index("solver")["rank"]
    matrix = np.array([costs[name] for name in sorted(costs)])
    expected = np.mean([stats.rankdata(column) for column in matrix.T], axis=0)

    assert [ranks[name] for name in sorted(costs)] == pytest.approx(expected.tolist())
    assert ranks.sum() == pytest.approx(len(costs) * (len(costs) + 1) / 2)


@settings(max_examples=25)
@given(TABLES)
def test_the_critical_difference_parts_whom_nemenyis_test_parts(costs: dict[str, list[float]]) -> None:
    """Two solvers lie further apart than it where scikit-posthocs gives them a p below 5%, and nowhere else."""
    names = sorted(costs)
    ranks = compute_average_ranks(table(costs)).set_index("solver")["rank"][names].to_numpy()
    blocks = np.nan_to_num(np.array([costs[name] for name in names]).T, posinf=1e300)
    p = posthoc_nemenyi_friedman(blocks).to_numpy()
    apart = np.abs(ranks[:, None] - ranks) - compute_critical_difference(len(names), len(blocks))
    sure = np.abs(apart) > 1e-3

    assert ((apart > 0) == (p < 0.05))[sure].all()


def test_the_critical_difference_is_demsars() -> None:
    """Demsar (2006), table 5 and the example with four classifiers on 14 sets: q = 2.569, CD = 1.25."""
    assert compute_critical_difference(4, 14) == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
    assert compute_critical_difference(2, 10) == pytest.approx(1.960 * math.sqrt(2 * 3 / 60), abs=2e-3)
    assert math.isnan(compute_critical_difference(1, 10))


def test_what_is_alike_by_hand() -> None:
    """Ranks 1, 1.5, 2.2 and 4 with a difference of 1 make two stretches, none inside another."""
    assert find_tied_ranges([1.0, 1.5, 2.2, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert find_tied_ranges([1.0, 1.1, 1.2], 1.0) == [(0, 2)]
    assert find_tied_ranges([1.0, 3.0], 1.0) == []


def test_friedman_needs_three_solvers() -> None:
    """With two solvers there is no p; with three it is scipy's."""
    costs = {"a": [1, 2, 3], "b": [2, 3, 1], "c": [3, 4, 5]}

    assert compute_average_ranks(table({"a": [1, 2], "b": [2, 1]}))["p"].isna().all()
    assert compute_average_ranks(table(costs))["p"].iloc[0] == pytest.approx(
        stats.friedmanchisquare(*costs.values()).pvalue
    )


def test_all_failed_is_a_tie_of_all() -> None:
    """Where nobody solves, all share the middle rank and nothing is significant."""
    ranks = compute_average_ranks(table({"a": [INF, INF], "b": [INF, INF], "c": [INF, INF]}))

    assert ranks["rank"].tolist() == [2.0, 2.0, 2.0]
    assert ranks["p"].isna().all()
