from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.gate.timing.blocks import (
    BlockLimits,
    BlockTime,
    BudgetTooSmall,
    Clocks,
    RunBlock,
    draw_orders,
    make_block_timer,
    measure_replicate,
    time_long_blocks,
    time_quads,
    time_replicate,
)
from gdbench.gate.timing.settings import TimingSettings

SETTINGS = TimingSettings(max_quads=20)
STEP = 2.0**-16
"""Seconds of a step: 15 us; a power of two, so that sums are exact."""


@dataclass
class FakeHost:
    """Subjects whose steps take a known time, and a log of their blocks."""

    now: float = 0.0
    drift: float = 0.0
    """Relative slowdown of everything per second."""
    log: list[tuple[str, int]] = field(default_factory=list)

    def make(self, name: str, step: float) -> RunBlock:
        """A function that runs blocks with steps of so many seconds."""

        def block(steps: int) -> BlockTime:
            self.log.append((name, steps))
            seconds = steps * step * (1 + self.drift * self.now)
            self.now += seconds
            return BlockTime(seconds, seconds)

        return block


@dataclass
class FakeSubject:
    """A subject of a fake host."""

    run_block: RunBlock
    step: int = 0
    limits: BlockLimits = field(default_factory=BlockLimits)

    def warm_up(self, steps: int, seconds: float) -> int:
        """Advance to that step at once."""
        self.step = steps
        return steps

    def advance(self, step: int) -> None:
        """Advance to that step."""
        self.step = step


def rng() -> np.random.Generator:
    """A generator of orders."""
    return np.random.default_rng(0)


def test_a_block_times_the_call_and_not_its_preparation() -> None:
    """Both clocks are read right before and after the prepared call."""
    log: list[str] = []

    def tick(name: str) -> Callable[[], float]:
        return lambda: log.append(name) or float(len(log))  # type: ignore[func-returns-value]

    def prepare(steps: int) -> Callable[[], None]:
        log.append(f"prepare {steps}")
        return lambda: log.append("go")

    seconds = make_block_timer(prepare, Clocks(cpu=tick("cpu"), wall=tick("wall")))(3)

    assert log == ["prepare 3", "wall", "cpu", "go", "cpu", "wall"]
    assert seconds == BlockTime(cpu=2.0, wall=4.0)


def test_quads_are_abba_or_baab() -> None:
    """A quad is base, head, head, base if base is first, and its mirror image if not."""
    host = FakeHost()
    seconds = time_quads(host.make("base", STEP), host.make("head", 2 * STEP), 4, [True, False])
    names = "".join(name[0] for name, _ in host.log)

    assert names == "bhhb" + "hbbh"
    assert (seconds[:, 0] == 4 * STEP).all()
    assert (seconds[:, 1] == 8 * STEP).all()


@given(st.integers(1, 50), st.integers(0, 5))
def test_half_of_the_quads_start_with_base(pairs: int, seed: int) -> None:
    """No position in a quad belongs to a side, whatever the seed."""
    assert sum(draw_orders(2 * pairs, np.random.default_rng(seed))) == pairs


def test_a_replicate_measures_the_ratio() -> None:
    """Head's steps that take a quarter longer give ln 1.25, in blocks of the requested length."""
    host = FakeHost()
    replicate = time_replicate(
        host.make("base", STEP), host.make("head", 1.25 * STEP), 1.0, SETTINGS, rng(), BlockLimits()
    )

    assert replicate.cpu == replicate.wall == pytest.approx(np.log(1.25))
    assert (replicate.base_s, replicate.head_s) == pytest.approx((STEP, 1.25 * STEP))
    assert 0.5 <= replicate.steps * STEP / SETTINGS.block_s <= 1.5
    assert replicate.quads == SETTINGS.max_quads


def test_a_steady_drift_cancels() -> None:
    """A machine that gets slower and slower favours neither side."""
    host = FakeHost(drift=5.0)
    replicate = time_replicate(host.make("base", STEP), host.make("head", STEP), 1.0, SETTINGS, rng(), BlockLimits())

    assert abs(replicate.cpu) < 1e-3


def test_blocks_keep_to_their_limits() -> None:
    """No block is longer than what is left of the run, and each is a multiple of the limit's multiple."""
    host = FakeHost()
    time_replicate(
        host.make("base", STEP), host.make("head", STEP), 1.0, SETTINGS, rng(), BlockLimits(max_steps=7, multiple=3)
    )

    assert {steps for _, steps in host.log} <= {3, 6}


def test_steps_that_leave_no_time_are_refused() -> None:
    """If the minimum number of quads takes far more than the budget, nothing is measured, and one line says so."""
    host = FakeHost()

    with pytest.raises(BudgetTooSmall, match="raise budget_s of the series"):
        time_replicate(host.make("base", 1.0), host.make("head", 1.0), 0.1, SETTINGS, rng(), BlockLimits())


def test_long_blocks_measure_the_size_of_an_injected_slowdown() -> None:
    """The same ratio comes from a few blocks of many steps."""
    host = FakeHost()
    ratio = time_long_blocks(host.make("plain", STEP), host.make("slowed", 1.05 * STEP), SETTINGS, BlockLimits())

    assert ratio == pytest.approx(np.log(1.05))
    assert max(steps for _, steps in host.log) * STEP == pytest.approx(SETTINGS.long_block_s, rel=0.5)


@pytest.mark.parametrize("swapped", [False, True])
def test_swapped_roles_give_the_same_ratio(swapped: bool) -> None:
    """A replicate is head over base whichever of them comes first."""
    host = FakeHost()
    base, head = FakeSubject(host.make("base", STEP)), FakeSubject(host.make("head", 1.25 * STEP))
    replicate = measure_replicate(base, head, 1.0, replace(SETTINGS, warm_steps=9), rng(), swapped)

    assert replicate.cpu == pytest.approx(np.log(1.25))
    assert (replicate.base_s, replicate.head_s) == pytest.approx((STEP, 1.25 * STEP))
    assert base.step == head.step == 9
    assert host.log[0][0] == ("head" if swapped else "base")
