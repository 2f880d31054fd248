from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.engine.timer import WALL, Clock, MeasurementPlan, Samples, measure_blocks, pause_gc_and_freeze, time_call

TICK = 2.0**-30
"""What a look at the clock costs, in seconds; like all times here a power of two, so that sums are exact."""
STEP = 2.0**-16
"""What a step of the work takes: 15 us."""


@dataclass
class Desk:
    """A clock that only moves when something is done, and a diary of what was done."""

    time: float = 0.0
    diary: list[str] = field(default_factory=list)
    synced: float = 0.0
    """What a wait for the device takes."""

    def clock(self) -> Clock:
        """The clock, which writes down every look."""
        return Clock(self.now, self.sync)

    def now(self) -> float:
        """Looks at the clock."""
        self.diary.append("now")
        self.time += TICK
        return self.time

    def sync(self) -> None:
        """Waits for the device."""
        self.diary.append("sync")
        self.time += self.synced

    def work(self, name: str, step: float, preparation: float = 1.0) -> Callable[[int], Callable[[], None]]:
        """``prepare(n)`` of work that takes ``step`` seconds a step, and a second for its preparation."""

        def prepare(count: int) -> Callable[[], None]:
            self.diary.append(f"prepare {name} {count}")
            self.time += preparation

            def go() -> None:
                self.diary.append(f"go {name} {count}")
                self.time += count * step

            return go

        return prepare

    def counts(self, name: str) -> list[int]:
        """How many steps each block of that work had."""
        return [int(entry.split()[-1]) for entry in self.diary if entry.startswith(f"go {name} ")]


def measured(
    plan: MeasurementPlan, work: float = STEP, reference: float = STEP / 2, **desk: float
) -> tuple[Desk, Samples]:
    """A measurement of work and reference with these step times."""
    at = Desk(**desk)
    return at, measure_blocks(at.work("work", work), at.work("reference", reference), at.clock(), plan)


def test_a_block_waits_looks_goes_waits_and_looks() -> None:
    """Between the two looks at the clock lie the call and the wait for what it started; before them another wait."""
    desk = Desk(synced=0.25)
    seconds = time_call(lambda: desk.diary.append("go"), desk.clock())

    assert desk.diary == ["sync", "now", "go", "sync", "now"]
    assert seconds == 0.25 + TICK


def test_preparation_is_outside_the_clock() -> None:
    """Every block is prepared before the clock is looked at: a second of preparation is in no sample."""
    desk, samples = measured(MeasurementPlan(seconds=1.0))
    blocks = [index for index, entry in enumerate(desk.diary) if entry.startswith("go")]

    for index in blocks:
        name = desk.diary[index].removeprefix("go ")
        assert desk.diary[index - 3 : index + 3] == [f"prepare {name}", "sync", "now", f"go {name}", "sync", "now"]
    assert samples.work.max() < STEP * 1.01


def test_work_and_reference_take_turns_and_change_the_order() -> None:
    """Blocks go work, reference, reference, work, and so on: a steady drift cancels out."""
    desk, samples = measured(MeasurementPlan(seconds=0.0))
    order = [entry.split()[1] for entry in desk.diary if entry.startswith("go")][-30:]

    assert order == (["work", "reference", "reference", "work"] * 8)[:30]
    assert len(samples.work) == len(samples.reference) == 15


def test_calibration_doubles_and_fills_a_block() -> None:
    """Steps are tried once to warm up, then doubled, three tries each, until half a block; then scaled to a block."""
    desk, samples = measured(MeasurementPlan(seconds=0.0, block_s=16 * STEP))
    tries = [(count, len(list(same))) for count, same in groupby(desk.counts("work"))]

    assert tries == [(1, 4), (2, 3), (4, 3), (8, 3), (16, 15)]
    assert set(desk.counts("reference")[-15:]) == {32}
    assert samples.work * 16 == pytest.approx(np.full(15, 16 * STEP), rel=1e-4)


def test_the_first_call_does_not_size_the_blocks() -> None:
    """A first step that takes long, as where something is compiled, is not taken for the length of a step."""
    desk = Desk()
    steady, first = desk.work("work", STEP), desk.work("work", 1000.0)
    calls = iter([first])
    measure_blocks(
        lambda count: next(calls, steady)(count),
        desk.work("reference", STEP),
        desk.clock(),
        MeasurementPlan(0.0, 16 * STEP),
    )

    assert desk.counts("work")[-1] == 16


@given(most=st.integers(1, 40))
def test_no_block_is_longer_than_the_run_allows(most: int) -> None:
    """``most_steps`` caps every block of the run, calibration's too; a reference has no run to stay within."""
    desk, _ = measured(MeasurementPlan(seconds=0.0, block_s=16 * STEP, most_steps=most))

    assert max(desk.counts("work")) == min(16, most)


def test_a_slow_step_is_a_block_of_its_own() -> None:
    """Where one step takes longer than a block, blocks hold one step."""
    desk, samples = measured(MeasurementPlan(seconds=0.0), work=1.0)

    assert set(desk.counts("work")) == {1}
    assert samples.step == pytest.approx((1.0, 1.0, 1.0))


def test_a_slow_clock_makes_longer_blocks() -> None:
    """A block lasts at least 200 times what it costs to wait for the device and look at the clock."""
    desk, _ = measured(MeasurementPlan(seconds=0.0, block_s=16 * STEP), synced=STEP)
    cost = desk.clock().cost()

    assert cost == pytest.approx(STEP, rel=1e-3)
    assert desk.counts("work")[-1] * STEP == pytest.approx(200 * cost, rel=0.02)


def test_the_cost_of_the_clock_is_the_least_seen() -> None:
    """A single look at the clock that is interrupted does not count."""
    looks = iter([0, 5, 10, 12, *range(20, 40)])

    assert Clock(lambda: float(next(looks)), lambda: None).cost() == 1


def test_it_goes_on_until_the_time_is_used() -> None:
    """Blocks are added while time is left, at least ``least_blocks`` and at most ``most_blocks``."""
    desk, samples = measured(MeasurementPlan(seconds=40.0))
    _, few = measured(MeasurementPlan(seconds=0.0, least_blocks=3))
    _, many = measured(MeasurementPlan(seconds=1e9, most_blocks=50))

    assert len(samples.work) == 20  # each pair of blocks is prepared for two seconds
    assert desk.time > 40
    assert len(few.work) == 3
    assert len(many.work) == 50


# Samples.


def test_step_time_is_median_and_quartiles() -> None:
    """Of five blocks the third is the median, the second and fourth are the quartiles."""
    samples = Samples(np.array([5.0, 1.0, 3.0, 2.0, 4.0]), np.ones(5))

    assert samples.step == (3.0, 2.0, 4.0)


def test_the_ratio_is_that_of_neighbours() -> None:
    """A slow spell that meets both blocks of a pair leaves their ratio alone."""
    spell = np.array([1.0] * 8 + [100.0] * 7)
    samples = Samples(3 * spell, 2 * spell)

    assert samples.ratio == (1.5, 1.5, 1.5)


def test_the_interval_by_hand() -> None:
    """Of 25 ratios it leaves out 25/2 - 1.96 sqrt(25)/2 - 1/2 = 7.1, so 7, on each side; of five none."""
    many, few = (Samples(np.arange(count)[::-1].copy(), np.ones(int(count))) for count in (25.0, 5.0))

    assert many.ratio == (12.0, 7.0, 17.0)
    assert few.ratio == (2.0, 0.0, 4.0)


@pytest.mark.parametrize("count", [*range(15, 60), 100, 333, 2000])
def test_the_interval_covers_the_median(count: int) -> None:
    """Whatever the blocks' distribution, its median lies in the interval in at least 95% of measurements."""
    low, high = Samples(np.arange(float(count)), np.ones(count)).ratio[1:]
    outside = sum(comb(count, i) for i in range(int(low) + 1)) + sum(
        comb(count, i) for i in range(int(high) + 1, count + 1)
    )

    assert 0.95 <= 1 - outside / 2**count < 0.99


# Quiet.


@pytest.mark.parametrize("enabled", [True, False])
def test_quiet_freezes_and_gives_back(enabled: bool) -> None:
    """Inside nothing is collected and what lives is frozen; outside all is as before, also after an error."""
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()
    try:
        with contextlib.suppress(KeyError), pause_gc_and_freeze():
            inside = gc.isenabled(), gc.get_freeze_count() > 0
            raise KeyError
        assert inside == (False, True)
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
    finally:
        gc.freeze()
        gc.enable()


def test_quiet_thaws_nothing_that_a_program_has_frozen() -> None:
    """A server that has frozen what its children share still has it frozen after a measurement."""
    was_frozen = gc.get_freeze_count()
    gc.freeze()
    frozen = gc.get_freeze_count()

    with pause_gc_and_freeze():
        pass

    assert gc.get_freeze_count() == frozen >= was_frozen


def test_the_wall_clock_runs() -> None:
    """Wall time goes on, and a look at it costs little."""
    assert 0 <= WALL.cost() < 1e-3
    assert not math.isnan(time_call(lambda: None, WALL))
