"""A search of few trials says that it tells little, and gives no advice that it has no ground for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.tiers import representatives

import gdbench
from gdbench.sweeps.search_axes import Listed, Span
from gdbench.sweeps.search_budget import choose_trials, fewest_trials, first_points

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("metric", representatives(["steps_to_target", "final_loss"], ["final_loss"]))
def test_three_trials_are_said_to_tell_little(metric: str, command: Callable[..., Any]) -> None:
    """Of three trials over seven decades tune says how many tell something, and nothing of ends, steps or luck."""
    words = ("optimizer=gd,momentum", "trials=3", "timing=off", f"metric={metric}")
    out = " ".join(command("tune", *words).out.split())

    assert "Lowest on notebook_manual, of 3 tried for each: momentum at lr" in out
    assert "gd on notebook_manual: 3 trials over so wide a range tell little: better ones may lie between" in out
    assert "take trials=25 or more, a narrower range, or leave out trials=." in out
    for advice in ("end of its range", "more steps", "lucky", "Best on", "plateau:", "spike:"):
        assert advice not in out
    assert "edge of the grid" not in command("show").out


def test_as_many_trials_as_advised_are_not_said_to_tell_little(command: Callable[..., Any]) -> None:
    """The number that the advice names is enough: with it there is a best, of whose plateau something is known."""
    out = command("tune", "optimizer=gd", "trials=25", "timing=off").out

    assert "Best on notebook_manual, of 25 tried: gd at lr" in out
    assert "tell little" not in out


def test_few_trials_prefer_no_plateau() -> None:
    """Where nothing is known of what lies between the trials, the lowest of them is chosen, and none is a spike."""
    winner = gdbench.tune(optimizer="gd", trials=9, timing="off").iloc[0]
    runs = gdbench.load("outputs")

    assert winner["value"] == runs["steps_to_target"].min()
    assert winner[["spike_lr", "within_2x_decades", "plateau_decades"]].isna().all()


@pytest.mark.parametrize("listed", [1, 3])
@pytest.mark.parametrize("spans", [1, 2])
def test_the_fewest_trials_that_tell_anything_have_a_first_grid_of_half_decades(spans: int, listed: int) -> None:
    """The first grid of the fewest trials has neighbours at most half a decade apart, also of several axes."""
    axes: list[Any] = [Span(name, 1e-6, 10.0, log=True, reach=(1e-12, 1e6)) for name in ("a", "b")[:spans]]
    axes += [Listed("c", tuple(map(float, range(listed))))]
    fewest = fewest_trials(axes)

    assert fewest == {1: 25, 2: 375}[spans] * listed
    assert fewest_trials(axes, 15) == 15**spans * listed
    assert first_points(axes[0], axes, fewest) >= 15
    assert choose_trials(axes) >= fewest
    assert fewest_trials(axes[spans:]) == 0
