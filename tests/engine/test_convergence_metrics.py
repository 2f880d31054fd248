from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cells import HITS, first_at_or_below, hits, parabola, plain, row, scripted, small, told, walk

from gdbench.engine.runner import run_cell
from gdbench.objectives import Objective
from gdbench.objectives.classical import styblinski_tang
from gdbench.optimizers.sgd import gd
from gdbench.results.columns import LADDER

NAN, INF = math.nan, math.inf

CASES: dict[str, tuple[list[float], dict[str, Any]]] = {
    "a hit, then NaN": (
        [1, 0.09, NAN, 0, 0],
        {"status": "nonfinite", "status_step": 2, "hit_1e-01": 1, "hit_1e-02": None, "best_loss": 0.09, "best_step": 1},
    ),
    "infinity": ([1, 0.5, INF, 0.1], {"status": "nonfinite", "status_step": 2, "best_loss": 0.5, "final_loss": INF}),
    "minus infinity is no hit": (
        [1, 0.5, -INF, 0.1],
        {"status": "nonfinite", "status_step": 2, "hit_1e-01": None, "best_loss": 0.5, "final_loss": -INF},
    ),
    "the first that is not finite stays": (
        [1, INF, NAN],
        {"status": "nonfinite", "status_step": 1, "final_loss": INF, "best_loss": 1.0, "gradient_evals": 1},
    ),
    "not finite at the very end": ([1, 0.5, NAN], {"status": "nonfinite", "status_step": 2, "gradient_evals": 2}),
    "not finite goes before diverged": ([1, 2, 3, NAN], {"status": "nonfinite", "status_step": 3}),
    "a rise that comes back": (
        [1, 5, 3, 0.9, 0.8],
        {"status": "budget", "status_step": None, "best_step": 4, "final_loss": 0.8},
    ),
    "diverged": (
        [1, 2, 3, 4],
        {"status": "diverged", "status_step": 1, "best_loss": 1.0, "best_step": 0, "linear_rate": None},
    ),
    "diverged for the last time": (
        [1, 2, 0.5, 1, 1.5, 2, 3],
        {"status": "diverged", "status_step": 4, "best_loss": 0.5, "best_step": 2},
    ),
    "level with the start is not above it": ([1, 2, 1], {"status": "plateau", "status_step": None}),
    "diverged goes before target": (
        [1, 1e-7, 2],
        {"status": "diverged", "status_step": 2, "steps_to_target": 1, "hit_1e-07": 1},
    ),
    "target, left again": (
        [1, 1e-6, 0.5],
        {"status": "target", "steps_to_target": 1, "steps_to_settle": None, "best_gap": 1e-6, "final_gap": 0.5},
    ),
    "target, left and reached again": (
        [1, 1e-7, 0.5, 1e-6, 1e-8],
        {"status": "target", "steps_to_target": 1, "steps_to_settle": 3, "best_gap": 1e-8},
    ),
    "target goes before plateau": (
        [1, 0, 0, 0, 0],
        {"status": "target", "steps_to_target": 1, "steps_to_settle": 1, "best_step": 1},
    ),
    "target at the last step": (
        [1, 0.5, 0],
        {"status": "target", "steps_to_target": 2, "steps_to_settle": 2, "gradient_evals_to_target": 2},
    ),
    "settled, then not finite": (
        [1, 0, 0, NAN],
        {"status": "nonfinite", "steps_to_target": 1, "steps_to_settle": None, "best_gap": 0.0},
    ),
    "plateau": ([1, 0.5, 0.3, 0.3, 0.3], {"status": "plateau", "best_step": 2, "status_step": None}),
    "nothing new in the last half": ([1, 0.5, 0.3, 0.9, 0.9], {"status": "plateau", "best_step": 2}),
    "something new in the last half": ([1, 0.5, 0.3, 0.2, 0.9], {"status": "budget", "best_step": 3}),
    "budget": (
        [1, 0.9, 0.8],
        {"status": "budget", "final_gap": 0.8, "final_suboptimality": 0.8, "steps_to_target": None},
    ),
}
"""Losses written down by hand, and what is to be said of them."""


def compare(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """The columns that were written down are the ones that were told, NaN being itself."""
    assert repr({name: actual[name] for name in expected}) == repr(expected)


@pytest.mark.parametrize("name", CASES)
def test_status_and_hits_of_a_run(name: str) -> None:
    """A run alone has the status, event, best loss and hits that semantics.md gives it."""
    losses, expected = CASES[name]
    compare(told(losses, minimum=0.0), expected)


def test_each_lane_has_its_own_status() -> None:
    """Side by side the same runs are told the same, none touched by what becomes of its neighbours."""
    length = max(len(losses) for losses, _ in CASES.values())
    padded = [losses + [losses[-1]] * (length - len(losses)) for losses, _ in CASES.values()]
    objective = scripted(*padded, minimum=0.0)
    together = run_cell(small(objective, walk, seeds=np.arange(len(padded)), steps=length - 1)).columns

    assert together["lanes"].tolist() == [len(padded)] * len(padded)
    for lane, losses in enumerate(padded):
        alone = told(losses, minimum=0.0)
        shared = [name for name in alone if name not in ("lanes", "implementation", "convergence_pass_s")]
        compare({name: plain(together[name], lane) for name in shared}, {name: alone[name] for name in shared})


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(*[st.floats(0.0, 2.0)] * 8, st.floats(0, 1e-5), st.sampled_from([NAN, INF, -INF])),
        min_size=1,
        max_size=12,
    )
)
def test_hits_are_the_first_steps_at_or_below(losses: list[float]) -> None:
    """For any losses a rung is hit at the first step at or below it, before the first that is not finite."""
    losses = [1.0, *losses]
    lived = next((k for k, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    actual = told(losses, minimum=0.0)

    assert hits(actual) == [first_at_or_below(losses[:lived], 1.0 * rung) for rung in LADDER.values()]
    assert actual["steps_to_target"] == actual["hit_1e-06"] == actual["gradient_evals_to_target"]
    assert actual["best_loss"] == min(losses[:lived])


@settings(max_examples=100, deadline=None)
@given(
    losses=st.lists(
        st.one_of(*[st.floats(0.0, 1.0)] * 8, st.floats(0, 1e-5), st.sampled_from([NAN, INF, -INF])),
        min_size=1,
        max_size=12,
    ),
    target=st.sampled_from([1e-6, 1e-3, 0.3, 0.6]),
)
def test_settling_is_the_start_of_the_last_stretch_at_or_below(losses: list[float], target: float) -> None:
    """For any losses a run settles where its last stretch at or below the target begins; null if it ends above it."""
    losses = [1.0, *losses]
    actual = told(losses, minimum=0.0, target=target)
    ends = [math.isfinite(loss) for loss in losses]
    below = [k for k in range(len(losses)) if all(loss <= target for loss in losses[k:])] if all(ends) else []

    assert actual["steps_to_settle"] == (below[0] if below else None)
    assert (actual["steps_to_settle"] is not None) == (all(ends) and losses[-1] <= target)
    assert not below or actual["steps_to_settle"] >= actual["steps_to_target"]
    assert actual["best_gap"] == min(losses[: ends.index(False)] if False in ends else losses)


# Hits worked out by hand.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_halving_hits_by_hand(dtype: torch.dtype) -> None:
    """Gradient descent that halves x quarters x^2: 4^-k is at most 10^-p from k = ceil(p ln 10 / ln 4) on."""
    actual = row(small(parabola(), steps=30, dtype=dtype))

    assert hits(actual) == [math.ceil(power * math.log(10) / math.log(4)) for power in range(1, 13)]
    assert actual["status"] == "target"
    assert actual["final_loss"] == actual["final_gap"] == actual["final_suboptimality"] == 4.0**-30
    assert actual["distance"] == 2.0**-30
    assert actual["grad_norm"] == 2.0**-29
    assert actual["gradient_evals"] == 30


def test_the_gap_is_relative_to_the_start() -> None:
    """From 1000 times as high above a minimum of 5 the relative hits are the same."""
    high = parabola(fn=lambda x: 1000 * x**2 + 5, minimum=5.0)
    actual = row(small(high, lr=0.00025, steps=30))

    assert hits(actual)[:10] == hits(row(small(parabola(), steps=30)))[:10]
    assert actual["final_gap"] == pytest.approx(4.0**-30, abs=1e-17)
    assert actual["start_loss"] == 1005


@pytest.mark.parametrize("factor", [0.8, 0.9, 0.99])
def test_the_rate_of_linear_convergence(factor: float) -> None:
    """Gradient descent on a parabola shrinks its loss by (1 - 2 lr)^2 a step, and the rate says so to 1%."""
    actual = row(small(parabola(), lr=(1 - factor) / 2, steps=2000))

    assert actual["linear_rate"] == pytest.approx(factor**2, rel=0.01)


def test_a_rate_needs_four_rungs() -> None:
    """Three hits tell no rate."""
    three, four = (told([1, 0.1, 0.01, 0.001, last], minimum=0.0) for last in (0.0005, 0.0001))

    assert three["linear_rate"] is None
    assert four["linear_rate"] == pytest.approx(0.1)


def test_all_rungs_at_one_step_have_no_rate() -> None:
    """A run that hits everything in one step has no slope to tell."""
    assert told([1, 0], minimum=0.0)["linear_rate"] is None


# Targets and minima.


def test_an_unknown_minimum_has_no_gaps() -> None:
    """Without a minimum gaps, hits and excess are null, never measured from the best seen; the rest is told."""
    actual = told([3, 2, 1])
    expected = {
        "status": "budget",
        "final_gap": None,
        "final_suboptimality": None,
        "gap_floor": None,
        "steps_to_target": None,
    }
    expected |= {"best_gap": None, "steps_to_settle": None}
    compare(actual, {**expected, "final_loss": 1.0, **dict.fromkeys(HITS), "linear_rate": None, "distance": None})


def test_an_absolute_target_works_without_a_minimum() -> None:
    """``target_loss`` picks the target even where no gap is known, and takes the place of ``target`` where one is."""
    compare(told([3, 2, 1], target_loss=2.0), {"status": "target", "steps_to_target": 1, "hit_1e-01": None})
    compare(told([3, 2, 3, 1], target_loss=2.0), {"steps_to_target": 1, "steps_to_settle": 3})
    compare(told([3, 2, 1], minimum=0.0, target_loss=2.5), {"steps_to_target": 1, "hit_1e-01": None})


def test_the_target_is_the_runs_own() -> None:
    """``target`` picks the step, whether on the ladder or between its rungs."""
    losses = [1.0, 0.6, 0.4, 0.2, 0.01]

    assert told(losses, minimum=0.0, target=0.5)["steps_to_target"] == 2
    assert told(losses, minimum=0.0, target=0.2)["steps_to_target"] == 3
    assert told(losses, minimum=0.0)["steps_to_target"] is None


@pytest.mark.parametrize("stated", [1.0, 1.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_start_at_the_minimum_fails(stated: float, dtype: torch.dtype) -> None:
    """f0 <= f* leaves nothing to do: the row fails and says both numbers."""
    actual = told([1, 0.5], minimum=stated, dtype=dtype)

    assert actual["status"] == "failed"
    assert actual["error"] == f"the start's loss 1.0 is not above the stated minimum {stated!r}"
    compare(actual, {**dict.fromkeys(HITS), "steps_to_target": None, "final_gap": None, "gap_floor": None})


@pytest.mark.parametrize("start", [NAN, INF, -INF])
@pytest.mark.parametrize("minimisers", [(), (torch.zeros(2, dtype=torch.float64),)], ids=["floor by f0", "by terms"])
def test_a_start_that_is_not_finite(start: float, minimisers: tuple[torch.Tensor, ...]) -> None:
    """A run that starts at no finite loss is non-finite at step 0, with nothing hit, done or best."""
    actual = row(small(scripted([start, 0.5, 0], minimum=0.0, minimisers=minimisers), walk, steps=2))
    expected = {"status": "nonfinite", "status_step": 0, "best_loss": None, "best_step": None, "steps_to_target": None}
    expected |= {"steps_to_settle": None, "best_gap": None}
    compare(actual, {**expected, **dict.fromkeys(HITS), "gradient_evals": 0, "error": None, "final_gap": None})


def test_a_gradient_that_is_not_finite_ends_a_run() -> None:
    """The root's slope at 0 is infinite, so a run that gets there is non-finite though its loss is 0; no hit counts."""
    root = Objective(fn=lambda x: x.abs().sqrt(), start=torch.tensor(0.25, dtype=torch.float64), minimum=0.0)
    compare(
        row(small(root, lr=0.25)),
        {"status": "nonfinite", "status_step": 1, "hit_1e-01": None, "best_loss": 0.5, "grad_norm": None},
    )


def test_a_stated_minimum_that_is_wrong_fails_in_float64() -> None:
    """A loss below f* by more than rounding shows the stated minimum to be wrong; in float32 no row fails for it."""
    double, single = (told([1, 0.5, 0.2], minimum=0.25, dtype=dtype) for dtype in (torch.float64, torch.float32))

    assert double["status"] == "failed"
    assert double["error"] == "loss 0.2 is below the stated minimum 0.25: the minimum is wrong"
    assert single["status"] == "target"


def test_rounding_below_the_minimum_is_no_mistake() -> None:
    """A loss below f* by less than the floor is a hit like any other."""
    floor = 4 * torch.finfo(torch.float64).eps * 10 / 5
    inside, outside = (told([10, 5 - 5 * floor * share], minimum=5.0) for share in (0.9, 1.1))

    assert inside["status"] == "target"
    assert outside["status"] == "failed"
    assert inside["gap_floor"] == floor


def test_float32_below_its_resolution() -> None:
    """Styblinski-Tang in float32 cannot tell gaps of 1e-7 and less, in float64 it can, at steps that go on rising."""
    single, double = (
        row(small(styblinski_tang(), lr=0.01, steps=100, dtype=dtype)) for dtype in (torch.float32, torch.float64)
    )
    steps = hits(double)

    assert 1e-7 < single["gap_floor"] < 1e-6
    assert hits(single) == [*steps[:6], *[None] * 6]
    assert None not in steps
    assert steps == sorted(set(steps))
    assert steps[6:] == [25, 28, 31, 33, 36, 39]


def test_a_target_below_the_resolution_is_never_reached() -> None:
    """In float32 a target of 1e-8 on Styblinski-Tang is null, however near the run comes."""
    actual = row(small(styblinski_tang(), lr=0.01, steps=100, dtype=torch.float32, target=1e-8))

    assert actual["steps_to_target"] is None
    assert actual["steps_to_settle"] is None
    assert actual["status"] == "plateau"


@pytest.mark.parametrize("runs", [1, 2])
def test_climbing_is_judged_on_the_negative(runs: int) -> None:
    """With ``maximize`` a run that climbs -x^2 to its top descends x^2; there is no f* then, but an absolute target."""
    hill = parabola(fn=lambda x: -(x**2), minimum=-5.0)
    cell = small(hill, lambda lr: gd(lr, maximize=True), lr=[0.25] * runs, maximize=True, target_loss=0.01)
    columns = run_cell(cell).columns
    expected = {"status": "target", "start_loss": 1.0, "final_loss": 4.0**-10, "best_step": 10, "steps_to_target": 4}
    expected |= {"steps_to_settle": 4, "best_gap": None}
    for run in range(runs):
        actual = {name: plain(column, run) for name, column in columns.items()}
        compare(actual, {**expected, **dict.fromkeys(HITS), "final_gap": None, "distance": None, "status_step": None})


def test_descending_what_should_be_climbed_diverges() -> None:
    """On -f a run that goes down f rises: it is diverged, not a success."""
    assert row(small(parabola(), maximize=True))["status"] == "diverged"


# What else is told.


def test_distance_is_to_the_nearest_minimiser() -> None:
    """Of several minimisers the nearest counts, in the Euclidean norm over all coordinates."""
    at = [torch.tensor([3.0, 0.0], dtype=torch.float64), torch.tensor([-3.0, 4.0], dtype=torch.float64)]
    flat = Objective(fn=lambda x: 0 * x.sum() + 1, start=torch.zeros(2).double(), minimum=0.0, minimisers=tuple(at))
    two = run_cell(small(flat, lr=[0.1, 0.2])).columns["distance"]

    assert row(small(flat))["distance"] == 3
    assert two.tolist() == [3, 3]


def test_denormals_are_counted_a_lane() -> None:
    """In float32 a number that halves is subnormal from 2^-127 on; a lane that does not get there has none."""
    cells = [small(parabola(), lr=lr, steps=140, dtype=torch.float32) for lr in (0.25, [0.25, 0.1])]

    assert row(cells[0])["denormals"] == 1
    assert run_cell(cells[1]).columns["denormals"].tolist() == [1, 0]
    assert row(small(parabola(), steps=140))["denormals"] == 0


def test_a_frozen_lane_leaves_its_neighbours_alone() -> None:
    """With steps from far too small to far too large every lane is what it is alone, to the bit in float64."""
    rates = [1e-8, 0.25, 0.9, 1.5, 1e10, 1e200]
    cube = Objective(fn=lambda x: (x**4 + x**2).sum(-1), start=torch.ones(3).double(), minimum=0.0, laned=True)
    together = run_cell(small(cube, lr=rates, steps=60)).columns

    assert together["status"].tolist()[-3:] == ["nonfinite"] * 3
    assert together["status"][0] == "budget"
    for lane, lr in enumerate(rates):
        alone = row(small(cube, lr=lr, steps=60))
        names = ["status", "status_step", "best_step", "steps_to_target", *HITS]
        compare({name: plain(together[name], lane) for name in names}, {name: alone[name] for name in names})
