from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiers import count_examples

from gdbench.analysis.tuning_score import find_cost_class
from gdbench.errors import UsageError
from gdbench.sweeps.grid_search import MAX_ROUNDS, Refinement
from gdbench.sweeps.search_axes import Grid, Listed, Score, Span, round_digits
from gdbench.sweeps.search_budget import choose_trials

FREE = Span("lr", 1e-6, 10.0, log=True, reach=(1e-12, 1e6))
INF = math.inf


def scored(fn: Callable[..., float]) -> Score:
    """A function of points as one of grids."""
    return lambda grid: np.array([fn(*point) for point in itertools.product(*(axis.tolist() for axis in grid))])


def searched(fn: Callable[..., float], *axes: Span | Listed, points: int | None = None) -> Refinement:
    """A search that has ended."""
    search = Refinement(list(axes), choose_trials(axes), points)
    search.run(scored(fn))
    return search


def valley(best: float) -> Callable[[float], float]:
    """A sharp valley: e-folds away from the best."""
    return lambda lr: 1 + abs(math.log(lr / best))


def steps(best: float, width: float) -> Callable[[float], float]:
    """Whole steps, the fewest within ``width`` decades around the best; beyond four times the best, divergence."""

    def fn(lr: float) -> float:
        away = abs(math.log10(lr / best))
        return INF if lr > 4 * best else 20 + math.ceil(max(0.0, away - width / 2) * 50)

    return fn


@settings(max_examples=count_examples(15, 60))
@given(st.floats(-11, 5))
def test_the_best_is_found_wherever_it_lies(exponent: float) -> None:
    """A range that nobody gave grows until it holds the best, which is found to half a percent."""
    search = searched(valley(10.0**exponent), FREE)
    middle = search.middle()

    assert middle is not None
    assert middle[0] == pytest.approx(10.0**exponent, rel=5e-3)
    assert len(search.tried) == 100
    assert not search.at_ends()


@settings(max_examples=count_examples(15, 60))
@given(st.floats(-4, 0), st.floats(-4, 0), st.floats(0.5, 3))
def test_an_end_is_named_where_the_range_leaves_the_best_out_and_only_there(
    best: float, low: float, decades: float
) -> None:
    """A range of the user's is never left, and the end that the best lies beyond is named."""
    span = Span("lr", round_digits(10.0**low), round_digits(10.0 ** (low + decades)), log=True)
    search = searched(valley(10.0**best), span)
    ends = [("lr", "smaller")] if 10.0**best <= span.low else [("lr", "larger")] if 10.0**best >= span.high else []

    assert all(span.low <= lr <= span.high for (lr,) in search.tried)
    if abs(best - low) > 0.01 and abs(best - low - decades) > 0.01:  # else it is the rounding that decides
        assert search.at_ends() == ends


@settings(max_examples=count_examples(10, 40))
@given(st.floats(-4, -1), st.floats(0.05, 0.6))
def test_the_middle_of_a_plateau_is_chosen(best: float, width: float) -> None:
    """Of learning rates that take equally few steps the middle one wins, and the plateau is measured."""
    search = searched(steps(10.0**best, width), FREE)
    (middle,) = search.middle() or (0.0,)
    low, high = search.along("lr", (middle,), search.best)

    assert search.rounds <= 5
    assert math.log10(middle) == pytest.approx(best, abs=0.15 * width + 0.02)
    assert math.log10(high / low) == pytest.approx(width, abs=0.1)


def test_how_far_one_may_go_stops_at_the_first_worse_point() -> None:
    """The reach around the best ends where the score exceeds the bound, though it may be low again beyond."""
    values = {0.1: 3.0, 0.2: 9.0, 0.3: 2.0, 0.4: 1.0, 0.5: 2.0, 0.6: INF, 0.7: 1.5}
    search = searched(lambda lr: values[lr], Listed("lr", tuple(values)))

    assert search.middle() == (0.4,)
    assert search.along("lr", (0.4,), 2.0) == (0.3, 0.5)
    assert search.along("lr", (0.4,), 1.0) == (0.4, 0.4)


def heavy_ball(lr: float, momentum: float, low: float = 0.01, high: float = 1.0) -> float:
    """The asymptotic factor a step of the heavy ball on a quadratic (Polyak 1964)."""
    factors = []
    for curvature in (low, high):
        roots = np.roots([1, lr * curvature - 1 - momentum, momentum])
        factors.append(max(abs(roots)))
    return max(factors) if max(factors) < 1 else INF


def test_two_axes_are_refined_together() -> None:
    """The heavy ball's best lr and momentum are found, though its valley is bent and narrow."""
    search = searched(heavy_ball, FREE, Span("momentum", 0.0, 0.99))
    root = math.sqrt(0.01)
    lr, momentum = search.middle() or (0.0, 0.0)

    assert search.best == pytest.approx((1 - root) / (1 + root), rel=2e-3)
    assert lr == pytest.approx((2 / (1 + root)) ** 2, rel=0.02)
    assert momentum == pytest.approx(((1 - root) / (1 + root)) ** 2, rel=0.02)


def test_the_last_line_shows_what_one_axis_forgives() -> None:
    """After a search over two axes, a line along one of them goes decades away from the best."""
    search = searched(heavy_ball, FREE, Span("momentum", 0.0, 0.99))
    middle = search.middle()
    assert middle is not None
    low, high = search.along("lr", middle, 0.99)

    assert low < middle[0] / 3
    assert high < middle[0] * 1.3


def test_listed_values_are_all_tried_and_never_others() -> None:
    """An axis that the user listed is tried at each of its values in every round, and the best of them wins."""
    search = searched(lambda lr, momentum: valley(0.01)(lr) + abs(momentum - 0.8), FREE, Listed("m", (0.0, 0.5, 0.9)))

    assert {momentum for _, momentum in search.tried} == {0.0, 0.5, 0.9}
    assert search.middle() == (pytest.approx(0.01, rel=5e-3), 0.9)


def test_a_linear_axis_is_searched_evenly() -> None:
    """An interval without a logarithm may hold 0, and is found to a thousandth of its width."""
    search = searched(lambda momentum: abs(momentum - 0.123), Span("momentum", 0.0, 0.99))

    assert search.middle() == (pytest.approx(0.123, abs=1e-3),)


def test_what_is_infinite_never_wins() -> None:
    """Where some points are no candidates none of them is chosen; where all are, nothing is."""
    search = searched(lambda lr: INF if 1e-3 < lr < 1e-1 else valley(1e-2)(lr), FREE)
    middle = search.middle()
    assert middle is not None
    assert math.isfinite(search.tried[middle])

    lost = searched(lambda lr: INF, FREE)
    assert lost.middle() is None
    assert lost.at_ends() == []
    assert min(lr for (lr,) in lost.tried) == 1e-12


def test_where_everything_diverges_smaller_values_are_tried() -> None:
    """A range that nobody gave grows downwards until something is finite."""
    assert searched(lambda lr: INF if lr > 1e-8 else valley(1e-9)(lr), FREE).middle() == (
        pytest.approx(1e-9, rel=5e-3),
    )


@pytest.mark.parametrize("points", [2, 5, 40])
def test_the_first_grid_has_as_many_points_as_asked_for(points: int) -> None:
    """``points`` sets the values of the first grid; the search ends well all the same."""
    grids: list[Grid] = []
    search = Refinement([Span("lr", 1e-4, 1.0, log=True)], 100, points)
    search.run(lambda grid: (grids.append(grid), scored(valley(0.02))(grid))[1])

    assert len(grids[0][0]) == points
    assert search.middle() == (pytest.approx(0.02, rel=0.01),)
    assert search.rounds == len(grids) <= MAX_ROUNDS


@given(st.floats(1e-300, 1e300))
def test_values_have_four_digits(value: float) -> None:
    """What is tried is what can be shown: four significant digits."""
    assert float(f"{round_digits(value):.4g}") == round_digits(value)
    assert round_digits(value) == pytest.approx(value, rel=5.1e-4)


def test_noise_does_not_make_it_go_on_for_ever() -> None:
    """A score without any structure ends the search within its rounds."""
    noise = np.random.default_rng(0)
    search = Refinement([FREE, Span("momentum", 0.0, 0.99)], 700)
    search.run(lambda grid: noise.random(math.prod(map(len, grid))))

    assert search.rounds <= MAX_ROUNDS + 8
    assert search.middle() is not None


def test_what_was_found_can_be_read_after_an_interruption() -> None:
    """An exception out of the scores leaves the points tried until then."""
    search = Refinement([FREE], 100)
    calls = iter(range(2))

    def interrupted(grid: Grid) -> np.ndarray:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return scored(valley(0.02))(grid)

    with pytest.raises(KeyboardInterrupt):
        search.run(interrupted)
    assert search.middle() == (pytest.approx(0.02, rel=0.05),)


# ------------------------------------------------------------------------------------------------ equal trials, spikes


@st.composite
def axes(draw: st.DrawFn) -> list[Span | Listed]:
    """One or two ranges, logarithmic, even, the user's or free, and now and then a list."""
    low, decades = draw(st.floats(-8, 1)), draw(st.floats(0.2, 8))
    log = Span("lr", round_digits(10.0**low), round_digits(10.0 ** (low + decades)), log=True)
    ranges = draw(st.sampled_from([[FREE], [log], [FREE, Span("momentum", 0.0, 0.99)], [Span("momentum", 0.1, 0.8)]]))
    listed = draw(st.sampled_from([[], [Listed("beta", (0.0, 0.5, 0.9))]]))
    return [*ranges, *listed]


@settings(max_examples=count_examples(20, 40))
@given(axes(), st.integers(0, 2**32), st.none() | st.integers(12, 400), st.booleans())
def test_every_search_makes_all_of_its_trials(
    searched_axes: list[Span | Listed], seed: int, trials: int | None, smooth: bool
) -> None:
    """Whatever is scored, a search tries as many distinct points as it was given, and never more."""
    noise = np.random.default_rng(seed)
    budget = choose_trials(searched_axes, trials)
    search = Refinement(list(searched_axes), budget, None, cost_class=find_cost_class)

    def score(grid: Grid) -> np.ndarray:
        points = list(itertools.product(*(axis.tolist() for axis in grid)))
        if smooth:
            return np.array([round(50 + 20 * abs(math.log10(point[0] + 1e-9) + 2)) for point in points], float)
        return np.where(noise.random(len(points)) < 0.2, INF, np.ceil(1000 * noise.random(len(points))))

    search.run(score)
    assert len(search.tried) == budget
    assert search.middle() in search.tried


@given(st.integers(1, 60))
def test_a_range_with_fewer_numbers_is_tried_to_its_last(count: int) -> None:
    """A range that holds fewer numbers of four digits than there are trials is tried in all of them."""
    span = (
        Span("lr", 1.0, round_digits(1.0 + (count - 1) / 1000), log=True) if count > 1 else Span("lr", 1.0, 1.001, True)
    )
    search = searched(valley(1.02), span)

    assert len(search.tried) == max(2, count)


@settings(max_examples=count_examples(10, 40))
@given(st.floats(-3, 0), st.floats(-0.8, 0.0), st.integers(1, 40))
def test_a_spike_beside_a_valley_is_shown_and_not_chosen(best: float, away: float, cost: int) -> None:
    """Where a first grid's point happens to be far better than all around it, the valley is chosen and refined."""
    grid = FREE.value(np.linspace(*FREE.ends(), 57))
    lucky = float(grid[np.abs(np.log10(grid) - best - away).argmin()])
    smooth = steps(10.0**best, 0.2)
    search = Refinement([FREE], 100, cost_class=find_cost_class)
    search.run(scored(lambda lr: float(cost) if lr == lucky else 5 * smooth(lr)))
    middle = search.middle()
    assert middle is not None

    assert search.spike() == (lucky,)
    assert search.best == 100
    assert math.log10(middle[0]) == pytest.approx(best, abs=0.12)


@pytest.mark.parametrize(
    ("trials", "points", "line"),
    [
        (
            1,
            None,
            "trials=1 is fewer than the 2 points of the first grid (2 values of each range): give trials=2 or more.",
        ),
        (30, 40, "trials=30 is fewer than the 40 points of the first grid (40 values of each range): give trials=40"),
    ],
)
def test_too_few_trials_are_refused(trials: int, points: int | None, line: str) -> None:
    """A budget that the first grid exceeds is one clear line."""
    with pytest.raises(UsageError) as refused:
        choose_trials([FREE], trials, points)
    assert str(refused.value).startswith(line)
