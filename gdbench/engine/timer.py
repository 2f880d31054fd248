"""Timer of steps: short blocks of work, alternating with blocks of a frozen reference loop.

Clock and synchronisation come from outside, so that the order of calls can be tested with a fake clock. Method: medians
of blocks well below a scheduler's time slice, because on shared machines a mean mostly measures the other processes.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "WALL",
    "Clock",
    "MeasurementPlan",
    "Prepare",
    "Samples",
    "measure_blocks",
    "pause_gc_and_freeze",
    "time_call",
]

REFERENCE_STEPS = 100
"""Steps of the reference loop per block, at most."""

Call = Callable[[], object]
Prepare = Callable[[int], Call]
"""``prepare(n)`` restores a snapshot, outside the clock, and returns the call that does n steps from there."""


@dataclass(frozen=True)
class Clock:
    """A clock: ``now`` in seconds, and ``sync``, which waits for the device to finish."""

    now: Callable[[], float]
    sync: Callable[[], object]

    def cost(self) -> float:
        """Seconds that reading the clock with a sync takes: the least of a few tries."""
        tries = []
        for _ in range(9):
            start = self.now()
            self.sync()
            tries.append(self.now() - start)
        return min(tries)


WALL = Clock(time.perf_counter, lambda: None)


@dataclass(frozen=True)
class MeasurementPlan:
    """The time and the block sizes of a measurement."""

    seconds: float
    """What all blocks, the reference's among them, may take together."""
    block_s: float = 2e-4
    """The length of a block; raised to 200 times the cost of clock and sync where that is more."""
    most_steps: int = 1_000_000
    """The longest block that stays within the run's own steps."""
    least_blocks: int = 15
    most_blocks: int = 2_000


@dataclass(frozen=True)
class Samples:
    """Seconds per step of every block: of the work and of the reference next to it."""

    work: npt.NDArray[np.float64]
    reference: npt.NDArray[np.float64]

    @property
    def step(self) -> tuple[float, float, float]:
        """Median and quartiles of the step time."""
        low, middle, high = np.quantile(self.work, (0.25, 0.5, 0.75))
        return float(middle), float(low), float(high)

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Median of work / reference over neighbouring blocks, with its 95% interval by order statistics."""
        ratios = np.sort(self.work / self.reference)
        count = len(ratios)
        left_out = math.floor(count / 2 - 1.96 * math.sqrt(count) / 2 - 0.5)  # on each side
        low = max(left_out, 0)
        return float(np.median(ratios)), float(ratios[low]), float(ratios[count - 1 - low])


def measure_blocks(prepare: Prepare, reference: Prepare, clock: Clock, plan: MeasurementPlan) -> Samples:
    """Time blocks of ``prepare`` and ``reference`` in turn until the plan's time is used."""
    block_s = max(plan.block_s, 200 * clock.cost())
    steps = _calibrate_steps(prepare, clock, block_s, plan.most_steps)
    reference_steps = _calibrate_steps(reference, clock, block_s, REFERENCE_STEPS)
    work: list[float] = []
    beside: list[float] = []
    end = clock.now() + plan.seconds
    while len(work) < plan.most_blocks and (len(work) < plan.least_blocks or clock.now() < end):
        # Alternating which goes first keeps a steady drift out of the ratio.
        for mine in (True, False) if len(work) % 2 == 0 else (False, True):
            if mine:
                work.append(time_call(prepare(steps), clock) / steps)
            else:
                beside.append(time_call(reference(reference_steps), clock) / reference_steps)
    return Samples(np.array(work), np.array(beside))


def time_call(go: Call, clock: Clock) -> float:
    """Seconds that one call takes, the device's part included."""
    clock.sync()
    start = clock.now()
    go()
    clock.sync()
    return clock.now() - start


def _calibrate_steps(prepare: Prepare, clock: Clock, block_s: float, most_steps: int) -> int:
    """How many steps fill a block: doubles until it is half full, warming up on the way, then scales."""
    steps = 1
    time_call(prepare(1), clock)
    while True:
        taken = min(time_call(prepare(steps), clock) for _ in range(3))
        if taken >= block_s / 2 or steps == most_steps:
            return max(1, min(most_steps, round(steps * block_s / max(taken, 1e-9))))
        steps = min(2 * steps, most_steps)


@contextmanager
def pause_gc_and_freeze() -> Iterator[None]:
    """No garbage collection inside: existing objects are frozen, and new garbage is collected later.

    Objects that the program froze itself stay frozen: there is one frozen set, and unfreezing would release them too.
    """
    was_enabled, was_frozen = gc.isenabled(), gc.get_freeze_count() > 0
    gc.disable()
    if not was_frozen:
        gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()
