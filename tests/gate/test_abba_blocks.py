from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.gate.timing.abba_blocks import Arm, Billed, Clocks, Fit, arm, long_ratio, orders, quads, replicate
from gdbench.gate.timing.errors import TooSlow
from gdbench.gate.timing.replicate import measured
from gdbench.gate.timing.settings import Settings

SETTINGS = Settings(quads=20)
STEP = 2.0**-16
"""Seconds of a step: 15 us; a power of two, so that sums are exact."""


@dataclass
class Desk:
    """Arms whose steps take a known time, and a diary of their blocks."""

    now: float = 0.0
    drift: float = 0.0
    """How much slower everything gets with every second."""
    diary: list[tuple[str, int]] = field(default_factory=list)

    def arm(self, name: str, step: float) -> Arm:
        """An arm with steps of so many seconds."""

        def block(steps: int) -> Billed:
            self.diary.append((name, steps))
            taken = steps * step * (1 + self.drift * self.now)
            self.now += taken
            return Billed(taken, taken)

        return block


@dataclass
class Fake:
    """A subject of a desk."""

    block: Arm
    at: int = 0
    fit: Fit = field(default_factory=Fit)

    def warm(self, steps: int, seconds: float) -> int:
        """Goes to that step at once."""
        self.at = steps
        return steps

    def to(self, step: int) -> None:
        """Goes there."""
        self.at = step


def rng() -> np.random.Generator:
    """A generator of orders."""
    return np.random.default_rng(0)


def test_a_block_bills_the_call_and_not_its_preparation() -> None:
    """Both clocks are looked at right before and after the call that was prepared."""
    diary: list[str] = []

    def tick(name: str) -> Callable[[], float]:
        return lambda: diary.append(name) or float(len(diary))  # type: ignore[func-returns-value]

    def prepare(steps: int) -> Callable[[], None]:
        diary.append(f"prepare {steps}")
        return lambda: diary.append("go")

    billed = arm(prepare, Clocks(cpu=tick("cpu"), wall=tick("wall")))(3)

    assert diary == ["prepare 3", "wall", "cpu", "go", "cpu", "wall"]
    assert billed == Billed(cpu=2.0, wall=4.0)


def test_quads_are_abba_or_baab() -> None:
    """A quad is base, head, head, base where base is first, and the mirror image where it is not."""
    desk = Desk()
    taken = quads(desk.arm("base", STEP), desk.arm("head", 2 * STEP), 4, [True, False])
    names = "".join(name[0] for name, _ in desk.diary)

    assert names == "bhhb" + "hbbh"
    assert (taken[:, 0] == 4 * STEP).all()
    assert (taken[:, 1] == 8 * STEP).all()


@given(st.integers(1, 50), st.integers(0, 5))
def test_half_of_the_quads_start_with_base(pairs: int, seed: int) -> None:
    """No place in a quad belongs to a side, whatever the seed."""
    assert sum(orders(2 * pairs, np.random.default_rng(seed))) == pairs


def test_a_replicate_tells_the_ratio() -> None:
    """Head's steps that take a quarter longer give ln 1.25, in blocks of the length that was asked for."""
    desk = Desk()
    sample = replicate(desk.arm("base", STEP), desk.arm("head", 1.25 * STEP), 1.0, SETTINGS, rng(), Fit())

    assert sample.cpu == sample.wall == pytest.approx(np.log(1.25))
    assert (sample.base_s, sample.head_s) == pytest.approx((STEP, 1.25 * STEP))
    assert 0.5 <= sample.steps * STEP / SETTINGS.block_s <= 1.5
    assert sample.quads == SETTINGS.quads


def test_a_steady_drift_cancels() -> None:
    """A machine that gets slower and slower favours neither side."""
    desk = Desk(drift=5.0)
    sample = replicate(desk.arm("base", STEP), desk.arm("head", STEP), 1.0, SETTINGS, rng(), Fit())

    assert abs(sample.cpu) < 1e-3


def test_blocks_have_the_steps_they_may_have() -> None:
    """No block is longer than the run that it is a part of, and each is a multiple of what has to stay whole."""
    desk = Desk()
    replicate(desk.arm("base", STEP), desk.arm("head", STEP), 1.0, SETTINGS, rng(), Fit(most=7, multiple=3))

    assert {steps for _, steps in desk.diary} <= {3, 6}


def test_steps_that_leave_no_time_are_refused() -> None:
    """Where the least quads would take far more than the time there is, nothing is measured, and one line says so."""
    desk = Desk()

    with pytest.raises(TooSlow, match="raise its budget"):
        replicate(desk.arm("base", 1.0), desk.arm("head", 1.0), 0.1, SETTINGS, rng(), Fit())


def test_long_blocks_tell_the_size_of_what_was_put_in() -> None:
    """The same ratio comes from a few blocks of many steps."""
    desk = Desk()
    ratio = long_ratio(desk.arm("plain", STEP), desk.arm("slowed", 1.05 * STEP), SETTINGS, Fit())

    assert ratio == pytest.approx(np.log(1.05))
    assert max(steps for _, steps in desk.diary) * STEP == pytest.approx(SETTINGS.long_block_s, rel=0.5)


@pytest.mark.parametrize("swapped", [False, True])
def test_swapped_roles_tell_the_same(swapped: bool) -> None:
    """A replicate is head over base whichever of them takes the first place."""
    desk = Desk()
    base, head = Fake(desk.arm("base", STEP)), Fake(desk.arm("head", 1.25 * STEP))
    sample = measured(base, head, 1.0, replace(SETTINGS, warm_steps=9), rng(), swapped)

    assert sample.cpu == pytest.approx(np.log(1.25))
    assert (sample.base_s, sample.head_s) == pytest.approx((STEP, 1.25 * STEP))
    assert base.at == head.at == 9
    assert desk.diary[0][0] == ("head" if swapped else "base")
