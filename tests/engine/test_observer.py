from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.tiers import count_examples
from torch import Tensor

from gdbench.engine.batch_observer import Crowd, Onlooker, Watcher
from gdbench.engine.observer import begin, told, update, watching
from gdbench.optimizers import StepInfo

threshold = st.one_of(st.just(-math.inf), st.floats(-3, 3, width=32))
mostly_finite = st.one_of(*[st.floats(-3, 3, width=32)] * 9, st.sampled_from([math.nan, math.inf, -math.inf]))
point = st.tuples(mostly_finite, mostly_finite, mostly_finite, st.integers(0, 3), st.integers(0, 5))
"""What is seen of one point: its loss, a coordinate, a slope, and the gradients and evaluations its step takes."""
story = st.lists(point, min_size=1, max_size=12)
Story = list[tuple[float, float, float, int, int]]


def by_definition(start: float, targets: list[float], story: Story) -> dict[str, Any]:
    """What semantics.md says of a run, read off its whole story at once."""
    finite = [all(map(math.isfinite, numbers[:3])) for numbers in story]
    lived = finite.index(False) if False in finite else len(story)
    losses = [loss for loss, *_ in story[:lived]]
    best = min(losses, default=math.inf)
    above = len(losses)
    while above and losses[above - 1] > start:
        above -= 1
    settled = len(losses)
    while settled and losses[settled - 1] <= targets[-1]:
        settled -= 1
    missed = [next((k for k, loss in enumerate(losses) if loss <= target), len(story)) for target in targets]
    steps, to_target = story[:lived], story[: min(lived, missed[-1])]
    return {
        "best": best,
        "best_step": losses.index(best) if losses else 0,
        "last": story[min(lived, len(story) - 1)][0],
        "lived": lived,
        "alive": lived == len(story),
        "above_since": above if lived == len(story) and above < len(losses) else -1,
        "settled_since": settled if lived == len(story) and settled < len(losses) else -1,
        "missed": missed,
        "gradients": sum(each[3] for each in steps),
        "evaluations": sum(each[4] for each in steps),
        "gradient_evals_to_target": sum(each[3] for each in to_target),
        "function_evals_to_target": sum(each[4] for each in to_target),
    }


def solo(start: float, targets: list[float], story: Story, sign: float = 1.0, counts: bool = True) -> dict[str, Any]:
    """What ``update`` makes of a story, point by point."""
    watch = watching(torch.tensor(targets), torch.tensor(start), sign < 0, laned=False, counts=counts)
    seen = begin(watch)
    for k, (loss, x, slope, gradients, evaluations) in enumerate(story):
        looked = StepInfo(torch.tensor(sign * loss), torch.tensor([0.0, slope]), gradients, evaluations)
        seen = update(watch, k, torch.tensor([x, 0.0]), looked, seen)
    return {name: each.tolist() for name, each in told(watch, len(story) - 1, seen)._asdict().items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equality under which NaN equals itself."""
    return {name: repr(each) for name, each in a.items()} == {name: repr(each) for name, each in b.items()}


@pytest.mark.once
@settings(max_examples=300, deadline=None)
@given(start=st.floats(-2, 2, width=32), targets=st.lists(threshold, min_size=1), story=story)
@example(start=1.0, targets=[0.125], story=[(1.0, 1, 1, 1, 0), (0.0625, 1, 1, 1, 0), (math.nan, 1, 1, 1, 0)])
@example(start=1.0, targets=[0.125], story=[(1.0, 1, 1, 1, 0), (-math.inf, 1, 1, 1, 0), (0.0, 1, 1, 1, 0)])
@example(start=1.0, targets=[0.125], story=[(1.0, 1, 1, 1, 0), (2.0, 1, 1, 1, 0), (0.5, 1, 1, 1, 0), (3.0, 1, 1, 1, 0)])
@example(start=1.0, targets=[0.125], story=[(1.0, 1, 1, 1, 0), (0.0, 1, 1, 1, 0), (0.5, 1, 1, 1, 0), (0.0, 1, 1, 1, 0)])
@example(start=1.0, targets=[0.125], story=[(0.0, 1, math.inf, 1, 0)])
@example(start=1.0, targets=[0.125], story=[(0.0, math.nan, 1, 1, 0)])
def test_what_is_watched_is_what_was_defined(start: float, targets: list[float], story: Story) -> None:
    """Point by point, ``update`` finds what the definitions say of the whole story."""
    assert same(solo(start, targets, story), by_definition(start, targets, story))


@pytest.mark.parametrize("shared", [True, False], ids=["shared targets", "own targets"])
@pytest.mark.parametrize("crowded", [True, False], ids=["crowd", "watcher"])
@settings(max_examples=count_examples(40, 100), deadline=None)
@given(
    stories=st.integers(1, 8).flatmap(
        lambda n: st.lists(st.lists(point, min_size=n, max_size=n), min_size=2, max_size=4)
    ),
    targets=st.lists(threshold, min_size=1, max_size=3),
    data=st.data(),
)
def test_a_lane_is_watched_as_a_run_alone(
    crowded: bool, shared: bool, stories: list[Story], targets: list[float], data: st.DataObject
) -> None:
    """Side by side each lane is told as it is alone, whatever happens next to it, and however lanes are looked at."""
    starts = [data.draw(st.floats(-2, 2, width=32)) for _ in stories]
    rows = [targets if shared else [data.draw(threshold) for _ in targets] for _ in stories]
    given = torch.tensor(rows).T[:, : 1 if shared else None], torch.tensor(starts), False
    onlooker: Onlooker = Crowd(*given, counts=True) if crowded else Watcher(*given, laned=True, counts=True)
    for k, points in enumerate(zip(*stories, strict=True)):
        loss, x, slope, gradients, evaluations = (torch.tensor(each) for each in zip(*points, strict=True))
        tree = {"a": x[:, None].expand(-1, 2), "b": torch.zeros(len(stories), 1, 1)}
        grad = {"a": torch.zeros(len(stories), 2), "b": slope[:, None, None]}
        onlooker.look(k, tree, StepInfo(loss, grad, gradients, evaluations))
    whole = onlooker.told(len(stories[0]) - 1)
    for lane, story in enumerate(stories):
        alone = {name: each[..., lane].tolist() for name, each in whole._asdict().items()}

        assert same(alone, by_definition(starts[lane], rows[lane], story))


@settings(max_examples=50, deadline=None)
@given(story=story)
def test_maximising_is_judged_on_the_negative(story: Story) -> None:
    """With sign -1 a run on -f is told as a run on f."""
    maximised, expected = solo(0.5, [0.125], story, sign=-1.0), by_definition(0.5, [0.125], story)

    assert {name: float(each) for name, each in maximised.items() if name != "missed"} == pytest.approx(
        {name: float(each) for name, each in expected.items() if name != "missed"}, nan_ok=True
    )
    assert maximised["missed"] == expected["missed"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_judged_widened(dtype: torch.dtype) -> None:
    """A loss in half precision is compared as it is, in the dtype of the start, and not rounded once more."""
    watch = watching(torch.tensor([0.3]), torch.tensor(1.0), laned=False)
    loss, x = torch.tensor(0.3, dtype=dtype), torch.zeros(2, dtype=dtype)
    seen = update(watch, 0, x, StepInfo(loss, x, 1, 0), begin(watch))

    assert seen.best.dtype == torch.float32
    assert float(seen.best) == float(loss)
    assert told(watch, 0, seen).missed.tolist() == [int(float(loss) > float(torch.tensor(0.3)))]


def test_the_smallest_gradient_of_many_still_tells() -> None:
    """One infinite number in a large gradient is enough to end a run; large finite ones are not."""
    watch = watching(torch.tensor([0.1]), torch.tensor(1.0), laned=False)

    def alive(grad: Tensor) -> bool:
        return bool(update(watch, 0, torch.zeros(10_000), StepInfo(torch.tensor(0.5), grad, 1, 0), begin(watch)).lived)

    huge = torch.full((10_000,), torch.finfo(torch.float32).max)
    spoilt = torch.zeros(10_000)
    spoilt[7_777] = -math.inf

    assert alive(huge)
    assert not alive(spoilt)


@settings(max_examples=100, deadline=None)
@given(start=st.floats(-2, 2, width=32), targets=st.lists(threshold, min_size=1), story=story)
def test_work_need_not_be_counted_where_a_step_is_a_gradient(start: float, targets: list[float], story: Story) -> None:
    """For a method of constant cost the work told afterwards is the work that counting finds."""
    steady = [(*each[:3], 1, 0) for each in story[:-1]] + [(*story[-1][:3], 0, 0)]  # the last point makes no step

    assert same(solo(start, targets, steady, counts=False), by_definition(start, targets, steady))
