from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.tiers import count_examples
from torch import Tensor

from gdbench.engine.observations import summarize
from gdbench.engine.observer import Observer
from gdbench.engine.observer_state import MAX_FLOAT32_COUNT, make_spec, make_state, observe_point
from gdbench.optimizers import StepInfo

threshold = st.one_of(st.just(-math.inf), st.floats(-3, 3, width=32))
mostly_finite = st.one_of(*[st.floats(-3, 3, width=32)] * 9, st.sampled_from([math.nan, math.inf, -math.inf]))
point = st.tuples(mostly_finite, mostly_finite, mostly_finite, st.integers(0, 3), st.integers(0, 5))
"""What is observed of one point: its loss, a coordinate, a slope, and the gradients and evaluations its step takes."""
points = st.lists(point, min_size=1, max_size=12)
Points = list[tuple[float, float, float, int, int]]


def by_definition(start: float, targets: list[float], points: Points) -> dict[str, Any]:
    """What semantics.md says of a run, computed from all its points at once."""
    finite = [all(map(math.isfinite, numbers[:3])) for numbers in points]
    lived = finite.index(False) if False in finite else len(points)
    losses = [loss for loss, *_ in points[:lived]]
    best = min(losses, default=math.inf)
    above = len(losses)
    while above and losses[above - 1] > start:
        above -= 1
    settled = len(losses)
    while settled and losses[settled - 1] <= targets[-1]:
        settled -= 1
    first_hits = [next((k for k, loss in enumerate(losses) if loss <= target), len(points)) for target in targets]
    steps, to_target = points[:lived], points[: min(lived, first_hits[-1])]
    return {
        "best": best,
        "best_step": losses.index(best) if losses else 0,
        "last": points[min(lived, len(points) - 1)][0],
        "finite_points": lived,
        "diverged_since": above if lived == len(points) and above < len(losses) else -1,
        "settled_since": settled if lived == len(points) and settled < len(losses) else -1,
        "first_hits": first_hits,
        "gradients": sum(point[3] for point in steps),
        "evaluations": sum(point[4] for point in steps),
        "gradient_evals_to_target": sum(point[3] for point in to_target),
        "function_evals_to_target": sum(point[4] for point in to_target),
    }


def observe_alone(
    start: float, targets: list[float], points: Points, sign: float = 1.0, counts: bool = True
) -> dict[str, Any]:
    """What an observer of one run makes of its points."""
    observer = Observer(torch.tensor(targets), torch.tensor(start), sign < 0, len(points) - 1, counts)
    for k, (loss, x, slope, gradients, evaluations) in enumerate(points):
        seen = StepInfo(torch.tensor(sign * loss), torch.tensor([0.0, slope]), gradients, evaluations)
        observer.observe(k, torch.tensor([x, 0.0]), seen)
    return {name: column.tolist() for name, column in observer.summarize(len(points) - 1)._asdict().items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equality under which NaN equals itself."""
    return {name: repr(value) for name, value in a.items()} == {name: repr(value) for name, value in b.items()}


@pytest.mark.once
@settings(max_examples=300, deadline=None)
@given(start=st.floats(-2, 2, width=32), targets=st.lists(threshold, min_size=1), points=points)
@example(start=1.0, targets=[0.125], points=[(1.0, 1, 1, 1, 0), (0.0625, 1, 1, 1, 0), (math.nan, 1, 1, 1, 0)])
@example(start=1.0, targets=[0.125], points=[(1.0, 1, 1, 1, 0), (-math.inf, 1, 1, 1, 0), (0.0, 1, 1, 1, 0)])
@example(
    start=1.0, targets=[0.125], points=[(1.0, 1, 1, 1, 0), (2.0, 1, 1, 1, 0), (0.5, 1, 1, 1, 0), (3.0, 1, 1, 1, 0)]
)
@example(
    start=1.0, targets=[0.125], points=[(1.0, 1, 1, 1, 0), (0.0, 1, 1, 1, 0), (0.5, 1, 1, 1, 0), (0.0, 1, 1, 1, 0)]
)
@example(start=1.0, targets=[0.125], points=[(0.0, 1, math.inf, 1, 0)])
@example(start=1.0, targets=[0.125], points=[(0.0, math.nan, 1, 1, 0)])
def test_what_is_observed_is_what_was_defined(start: float, targets: list[float], points: Points) -> None:
    """Observed point by point, a run has the values that the definitions give for the whole sequence."""
    assert same(observe_alone(start, targets, points), by_definition(start, targets, points))


@pytest.mark.parametrize("shared", [True, False], ids=["shared targets", "own targets"])
@pytest.mark.parametrize("eager_lanes", [True, False], ids=["eager lanes", "compiled lanes"])
@settings(max_examples=count_examples(40, 100), deadline=None)
@given(
    runs=st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(point, min_size=n, max_size=n), min_size=2, max_size=4)),
    targets=st.lists(threshold, min_size=1, max_size=3),
    data=st.data(),
)
def test_a_lane_is_observed_as_a_run_alone(
    eager_lanes: bool, shared: bool, runs: list[Points], targets: list[float], data: st.DataObject
) -> None:
    """Side by side each lane has the observations of a run alone, however first hits are counted."""
    starts = [data.draw(st.floats(-2, 2, width=32)) for _ in runs]
    rows = [targets if shared else [data.draw(threshold) for _ in targets] for _ in runs]
    thresholds = torch.tensor(rows).T[:, : 1 if shared else None]
    steps = len(runs[0]) - 1
    observer = Observer(thresholds, torch.tensor(starts), False, steps, counts=True, eager_lanes=eager_lanes)
    for k, lanes in enumerate(zip(*runs, strict=True)):
        loss, x, slope, gradients, evaluations = (torch.tensor(column) for column in zip(*lanes, strict=True))
        tree = {"a": x[:, None].expand(-1, 2), "b": torch.zeros(len(runs), 1, 1)}
        grad = {"a": torch.zeros(len(runs), 2), "b": slope[:, None, None]}
        observer.observe(k, tree, StepInfo(loss, grad, gradients, evaluations))
    observations = observer.summarize(steps)
    for lane, points in enumerate(runs):
        alone = {name: column[..., lane].tolist() for name, column in observations._asdict().items()}

        assert same(alone, by_definition(starts[lane], rows[lane], points))


@settings(max_examples=count_examples(12, 50), deadline=None)
@given(points=points)
def test_maximising_is_judged_on_the_negative(points: Points) -> None:
    """With sign -1 a run on -f has the observations of a run on f."""
    maximised, expected = observe_alone(0.5, [0.125], points, sign=-1.0), by_definition(0.5, [0.125], points)

    assert {name: float(value) for name, value in maximised.items() if name != "first_hits"} == pytest.approx(
        {name: float(value) for name, value in expected.items() if name != "first_hits"}, nan_ok=True
    )
    assert maximised["first_hits"] == expected["first_hits"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_judged_widened(dtype: torch.dtype) -> None:
    """A loss in half precision is compared as it is, in the dtype of the start, and not rounded once more."""
    spec = make_spec(torch.tensor([0.3]), torch.tensor(1.0), maximize=False, counts=True)
    loss, x = torch.tensor(0.3, dtype=dtype), torch.zeros(2, dtype=dtype)
    state = observe_point(spec, 0, x, StepInfo(loss, x, 1, 0), make_state(spec))

    assert state.best.dtype == torch.float32
    assert float(state.best) == float(loss)
    assert summarize(spec, 0, state).first_hits.tolist() == [int(float(loss) > float(torch.tensor(0.3)))]


def test_one_infinite_number_of_many_ends_a_run() -> None:
    """One infinite number in a large gradient is enough to end a run; large finite ones are not."""
    spec = make_spec(torch.tensor([0.1]), torch.tensor(1.0), maximize=False, counts=True)

    def alive(grad: Tensor) -> bool:
        seen = StepInfo(torch.tensor(0.5), grad, 1, 0)
        return bool(observe_point(spec, 0, torch.zeros(10_000), seen, make_state(spec)).finite_points)

    huge = torch.full((10_000,), torch.finfo(torch.float32).max)
    spoilt = torch.zeros(10_000)
    spoilt[7_777] = -math.inf

    assert alive(huge)
    assert not alive(spoilt)


@settings(max_examples=count_examples(25, 100), deadline=None)
@given(start=st.floats(-2, 2, width=32), targets=st.lists(threshold, min_size=1), points=points)
def test_work_is_not_counted_where_a_step_is_a_gradient(start: float, targets: list[float], points: Points) -> None:
    """For a method of constant cost the work computed afterwards is the work that counting finds."""
    steady = [(*point[:3], 1, 0) for point in points[:-1]] + [(*points[-1][:3], 0, 0)]  # the last point makes no step

    assert same(observe_alone(start, targets, steady, counts=False), by_definition(start, targets, steady))


def test_steps_of_lanes_stay_exact_beyond_the_whole_numbers_of_float32() -> None:
    """Eager lanes count steps as floating-point numbers, which hold also a step that float32 would round."""
    last = MAX_FLOAT32_COUNT + 1
    observer = Observer(torch.tensor([[0.5]]), torch.tensor([1.0, 1.0]), False, last, counts=False, eager_lanes=True)
    observer.observe(last, torch.zeros(2, 1), StepInfo(torch.tensor([0.25, 2.0]), torch.zeros(2, 1), 1, 0))

    assert observer.summarize(last).best_step.tolist() == [last, last]
    assert observer.state.last_above_target.tolist() == [-1, last]
