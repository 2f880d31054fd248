"""The choice among scored points: a good plateau before a spike, on made-up curves of scores."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gdbench.analysis.plateau import (
    GOOD_COUNT,
    GOOD_DECADES,
    classify_no_cost,
    compute_near_bound,
    measure_plateau,
    select_points,
)
from gdbench.analysis.tuning_score import LEFT, MISS, find_cost_class

INF = math.inf
SCORES = st.one_of(
    st.integers(1, 3000).map(float),
    st.integers(1, 3000).map(lambda cost: LEFT + cost),
    st.floats(900, 1100).map(lambda shortfall: MISS + shortfall),
    st.just(INF),
)
STEPS = st.sampled_from([0.01, 0.03, 0.0625, 0.125, 0.5])


@st.composite
def curves(draw: st.DrawFn) -> dict[tuple[float, ...], float]:
    """Scores at up to 30 learning rates, some near each other and some far."""
    gaps = draw(st.lists(STEPS, min_size=1, max_size=30))
    position, scores = -4.0, {}
    for gap in gaps:
        position += gap
        scores[(10.0**position,)] = draw(SCORES)
    return scores


def is_good(scores: dict[tuple[float, ...], float], lr: float) -> bool:
    """Whether the neighbours of a learning rate confirm its cost, by the words of the documentation."""
    line = sorted((point[0], score) for point, score in scores.items())
    within = measure_plateau(line, lr, compute_near_bound(scores[(lr,)], find_cost_class))
    return len(within) >= GOOD_COUNT and math.log10(within[-1][0] / within[0][0]) >= GOOD_DECADES


def class_of(score: float) -> int:
    """Stays, left, missed or cannot win."""
    return [score < LEFT, score < MISS, score < INF, True].index(True)


@given(curves())
def test_the_lowest_score_with_a_good_plateau_is_chosen(scores: dict[tuple[float, ...], float]) -> None:
    """No lower score of the best class has a good plateau, and where none has one the lowest of all is chosen."""
    choice = select_points(scores, 0, find_cost_class)
    lowest = min(scores.values())
    alike = {lr: score for (lr,), score in scores.items() if class_of(score) == class_of(lowest)}
    good = [score for lr, score in alike.items() if class_of(score) < 2 and is_good(scores, lr)]

    assert choice.score == min(good, default=lowest)
    assert all(scores[point] == choice.score for point in choice.points)
    assert all(is_good(scores, lr) for (lr,) in choice.points) == bool(good) or class_of(lowest) >= 2
    assert class_of(choice.score) == class_of(lowest)


@given(st.integers(3, 40), st.integers(100, 1000), st.integers(1, 49), st.data())
def test_a_spike_in_a_plateau_is_not_chosen(count: int, cost: int, spike: int, data: st.DataObject) -> None:
    """One learning rate that is more than twice as good as all others loses to the plateau around it."""
    scores = {(10.0 ** (-3 + 0.125 * place),): float(cost + place) for place in range(count)}
    place = data.draw(st.sampled_from(sorted(scores)))
    rest = {point: score for point, score in scores.items() if point != place}
    scores[place] = float(spike)

    choice = select_points(scores, 0, find_cost_class)
    sides = [[point for point in rest if (point < place) == low] for low in (True, False)]
    if any(is_good(scores, lr) for (lr,) in rest):
        assert choice.score > spike
        assert place not in choice.points
    else:
        assert max(map(len, sides)) < GOOD_COUNT or choice.score > spike


@given(curves())
def test_without_a_cost_the_lowest_score_is_chosen(scores: dict[tuple[float, ...], float]) -> None:
    """Gaps and losses have no scale on which twice as much is near: there the lowest wins, wherever it stands."""
    lowest = min(scores.values())

    assert select_points(scores, 0, classify_no_cost).score == lowest
    assert select_points(scores, None, find_cost_class).score == lowest


def test_a_plateau_ends_at_the_first_score_beyond_its_bound() -> None:
    """The stretch around a value goes to both sides as far as scores are near, though they may be low again beyond."""
    line = list(zip([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [3.0, 9.0, 2.0, 1.0, 2.0, INF, 1.5], strict=True))

    assert measure_plateau(line, 0.4, 2.0) == line[2:5]
    assert measure_plateau(line, 0.4, 1.0) == line[3:4]
    assert measure_plateau(line, 0.1, 2.0) == line[:1]
