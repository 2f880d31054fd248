from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cells import parabola
from support.laws import OBJECTIVES, build_configured
from support.tiers import representatives

from gdbench.engine.targets import SAFETY, Ladder, make_ladder, measure_rounding_size, round_thresholds_down
from gdbench.objectives import Objective, make_generator
from gdbench.results.columns import LADDER
from gdbench.tree import tree_map

EPS = {dtype: torch.finfo(dtype).eps for dtype in (torch.float32, torch.float64)}
FLAT = ("extended_powell", "variably_dimensioned")
"""Objectives whose rounding is that of fourth powers and the like: few random points come near the worst one."""


def shipped(name: str) -> Objective:
    """An objective as conf/objective states it."""
    return build_configured(name, {})


@cache
def measured_size(name: str) -> float | None:
    """The size of the terms of an objective of conf/objective, measured once for all tests."""
    return measure_rounding_size(shipped(name))


def rungs(
    start: list[float],
    f_star: float | None = 0.0,
    objective: Objective | None = None,
    dtype: torch.dtype = torch.float64,
    target: float = 1e-6,
    target_loss: float | None = None,
) -> Ladder:
    """A ladder of runs that start at these losses."""
    size = measure_rounding_size(objective) if objective else None
    return make_ladder(f_star, size, np.array(start), dtype, target, target_loss)


# The gap.


def test_the_gap_is_the_share_of_the_way_that_is_left() -> None:
    """gap = (f - f*) / (f0 - f*): 1 at the start, 0 at the minimum, negative below it."""
    of = Ladder(2.0, np.empty(0), np.empty(0))
    gaps = of.gap(np.array([10.0, 6.0, 2.0, 1.0]), np.array([10.0, 10.0, 10.0, 10.0]))

    assert gaps.tolist() == [1.0, 0.5, 0.0, -0.125]


def test_without_a_minimum_there_is_no_gap() -> None:
    """An unknown minimum gives no gap, no floor and no target that could be hit."""
    of = rungs([10.0, 20.0], None)

    assert np.isnan(of.gap(np.ones(2), np.ones(2))).all()
    assert np.isnan(of.floor).all()
    assert (of.thresholds == -np.inf).all()


def test_an_absolute_target_needs_no_minimum() -> None:
    """``target_loss`` takes the place of the run's own target, and of that alone."""
    unknown, known = rungs([10.0], None, target_loss=3.0), rungs([10.0], target_loss=3.0)

    assert unknown.thresholds[:, 0].tolist() == [-np.inf] * 12 + [3.0]
    assert known.thresholds[:, 0].tolist() == [*(10 * rung for rung in LADDER.values()), 3.0]


@pytest.mark.parametrize("start", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("minimisers", [(), (torch.zeros((), dtype=torch.float64),)], ids=["unknown", "known"])
def test_a_start_that_is_not_finite_has_no_ladder(start: float, minimisers: tuple[torch.Tensor, ...]) -> None:
    """From an infinite loss every finite one would be a hit: such a run has neither targets nor floor."""
    of = rungs([start, 1.0], objective=parabola(minimisers=minimisers))

    assert (of.thresholds[:, 0] == -np.inf).all()
    assert np.isnan(of.floor[0])
    assert of.thresholds[0, 1] == 0.1


# The floor.


@pytest.mark.parametrize("dtype", EPS, ids=str)
def test_the_floor_follows_its_formula(dtype: torch.dtype) -> None:
    """Without a minimiser gap_floor = 4 eps max(|f*|, |f0|) / (f0 - f*)."""
    of = rungs([10.0, 3.0], -5.0, dtype=dtype)

    assert of.floor.tolist() == pytest.approx([4 * EPS[dtype] * 10 / 15, 4 * EPS[dtype] * 5 / 8], rel=1e-15)


def test_with_a_minimiser_the_floor_takes_the_size_of_the_terms_there() -> None:
    """A square's rounding vanishes with it at a minimum of 0, so its floor is next to none; a shifted one has f*'s."""
    zero = torch.zeros((), dtype=torch.float64)
    shifted = parabola(fn=lambda x: (x - 3) ** 2 + 8, minimum=8.0, minimisers=(zero + 3,), start=zero)

    assert rungs([1.0], objective=parabola()).floor < 1e-27
    assert measure_rounding_size(shifted) <= 8
    assert rungs([17.0], 8.0, shifted).floor == 4 * EPS[torch.float64] * 8 / 9


def test_targets_below_the_floor_cannot_be_told() -> None:
    """Targets below gap_floor are -inf, which no loss reaches, and those at or above it are losses."""
    of = rungs([10.0], -5.0, dtype=torch.float32)
    told = of.thresholds[:, 0] > -np.inf

    assert told.tolist() == [rung >= of.floor[0] for rung in (*LADDER.values(), 1e-6)]
    assert told.sum() == 7  # the floor lies at 3.2e-7
    assert of.thresholds[0, 0] == pytest.approx(-5 + 0.1 * 15)


@given(
    f_star=st.floats(-1e6, 1e6),
    above=st.floats(1e-12, 1e12),
    target=st.floats(1e-15, 0.999),
    dtype=st.sampled_from(list(EPS)),
    minimisers=st.sampled_from([(), (torch.zeros((), dtype=torch.float64),)]),
)
def test_no_target_is_reached_at_the_start(
    f_star: float, above: float, target: float, dtype: torch.dtype, minimisers: tuple[torch.Tensor, ...]
) -> None:
    """Whatever f0 > f*, every relative target lies below f0 in the dtype of the losses: no run begins with it."""
    start = float(torch.tensor(f_star + above, dtype=dtype))
    if start > f_star:
        of = rungs([start], f_star, parabola(minimisers=minimisers), dtype, target)

        assert (round_thresholds_down(dtype, of.thresholds).double() < start).all()


FEW = {*OBJECTIVES[::5], *FLAT}
"""Those of which the fast tier asks: some of every family, as names are sorted, and the two that are unlike others."""
SOME_OR_ALL = pytest.mark.parametrize("name", representatives(OBJECTIVES, FEW))
"""Also those without a minimiser, of which nothing is measured: to build all takes a twentieth of collection."""


@SOME_OR_ALL
def test_the_floor_covers_the_rounding_of_shipped_objectives(name: str) -> None:
    """Float32 losses near a minimiser miss the true ones by no more than gap_floor allows, at points never measured."""
    objective = shipped(name)
    size = measured_size(name)
    assert (size is None) == (not objective.minimisers)
    if size is None:
        return
    single, double = objective.to(torch.float32, "cpu"), objective.to(torch.float64, "cpu")
    allowed = SAFETY * EPS[torch.float32] * max(size, abs(objective.minimum))
    generator = make_generator(99)

    def around(leaf: torch.Tensor) -> torch.Tensor:
        return leaf * (1 + 1e-6 * (torch.rand(leaf.shape, generator=generator) - 0.5))

    for minimiser in double.minimisers:
        for _ in range(100):
            near = tree_map(lambda leaf: around(leaf).float(), minimiser)
            exact = float(double.value(tree_map(torch.Tensor.double, near)))

            assert abs(float(single.value(near)) - exact) <= allowed


@SOME_OR_ALL
def test_the_size_of_the_terms_is_a_power_of_two_that_more_points_confirm(name: str) -> None:
    """The measured size is 0 or a power of two, the same each time, and four times the points at most double it.

    Where the minimum is FLAT, they may quadruple it: sizes of 1e-10, far below the losses that any target asks for.
    """
    size = measured_size(name)
    if size is None:
        return

    assert size == measure_rounding_size(shipped(name))
    assert size == 0 or math.log2(size).is_integer()
    assert size <= measure_rounding_size(shipped(name), neighbours=128) <= (4 if name in FLAT else 2) * size


# Thresholds in the dtype of the losses.

anything = st.one_of(st.floats(allow_nan=False), st.floats(-1e-40, 1e-40), st.floats(-10, 10))


@settings(max_examples=300)
@given(thresholds=st.lists(anything, min_size=1, max_size=5), dtype=st.sampled_from(list(EPS)))
def test_thresholds_are_never_rounded_up(thresholds: list[float], dtype: torch.dtype) -> None:
    """In the dtype of the losses a threshold is the largest number that does not exceed it, so that no hit is early."""
    exact = torch.tensor(thresholds, dtype=torch.float64)
    rounded = round_thresholds_down(dtype, exact.numpy())
    above = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))

    assert rounded.dtype == dtype
    assert (rounded.double() <= exact).all()
    assert ((above.double() > exact) | (rounded == torch.inf)).all()
