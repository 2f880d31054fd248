"""Short blocks of two arms in turn, as quads ABBA or BAAB, and the one log ratio that a replicate makes of them.

Knows neither series nor process: an arm does so many steps and says what they are billed. Clocks come from outside, so
that the order of calls can be tested with fake ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gdbench.engine.timer import Prepare
from gdbench.gate.timing.errors import TooSlow
from gdbench.gate.timing.settings import Settings

__all__ = ["CLOCKS", "WALL_ONLY", "Arm", "Billed", "Clocks", "Fit", "Sample", "arm", "long_ratio", "replicate"]


class Billed(NamedTuple):
    """Seconds of a block: on the thread's own clock, which stands still while others run, and on the wall's."""

    cpu: float
    wall: float


Arm = Callable[[int], Billed]
"""Does so many steps from where every block starts."""


class Clocks(NamedTuple):
    """The clock that is judged, and the clock on the wall."""

    cpu: Callable[[], float]
    wall: Callable[[], float]


CLOCKS = Clocks(time.thread_time, time.perf_counter)
WALL_ONLY = Clocks(time.perf_counter, time.perf_counter)
"""For more than one thread: a thread's own clock does not see what others do for it."""


class Fit(NamedTuple):
    """Which numbers of steps a block may have."""

    most: int = 1_000_000
    """The steps that the run has left."""
    multiple: int = 1


@dataclass(frozen=True)
class Sample:
    """One replicate: medians over its quads."""

    cpu: float
    """ln of head's time over base's, by the thread's clock."""
    wall: float
    base_s: float
    """Seconds a step of base, on the thread's clock."""
    head_s: float
    steps: int
    """Steps of a block."""
    quads: int
    seconds: float
    """What the blocks took, on the thread's clock: on a busy machine all of it takes longer."""


def arm(prepare: Prepare, clocks: Clocks = CLOCKS) -> Arm:
    """The arm of ``prepare``, whose preparation is not billed."""

    def block(steps: int) -> Billed:
        go = prepare(steps)
        wall = clocks.wall()
        cpu = clocks.cpu()
        go()
        cpu = clocks.cpu() - cpu
        return Billed(cpu, clocks.wall() - wall)

    return block


def replicate(base: Arm, head: Arm, seconds: float, settings: Settings, rng: np.random.Generator, fit: Fit) -> Sample:
    """Measure for about so many seconds.

    Raises TooSlow where not even the least number of quads fits in four times that.
    """
    steps, quad_s = _calibrate(base, head, settings, fit)
    if 4 * seconds < settings.least_quads * quad_s:
        raise TooSlow(f"{settings.least_quads} quads take {settings.least_quads * quad_s:.2g} s: raise its budget")
    count = int(np.clip(seconds / quad_s, settings.least_quads, settings.quads))
    blocks = quads(base, head, steps, orders(count, rng))
    ratios = np.log(blocks[:, 1].min(1) / blocks[:, 0].min(1))
    cpu, wall = np.median(ratios, 0)
    base_s, head_s = np.median(blocks[..., 0].min(2), 0) / steps
    return Sample(float(cpu), float(wall), float(base_s), float(head_s), steps, count, float(blocks[..., 0].sum()))


def orders(count: int, rng: np.random.Generator) -> Sequence[bool]:
    """Which quads start with base: half of them, at random places, so that no slot of a quad belongs to a side."""
    return [bool(each) for each in rng.permutation(np.arange(count) % 2 == 0)]


def quads(base: Arm, head: Arm, steps: int, base_first: Sequence[bool]) -> npt.NDArray[np.float64]:
    """Quads ABBA (where base is first) or BAAB: ``[quads, side, block, clock]``, seconds."""
    taken = np.empty((len(base_first), 2, 2, 2))
    for row, first in zip(taken, base_first, strict=True):
        sides = (0, 1, 1, 0) if first else (1, 0, 0, 1)
        for place, side in enumerate(sides):
            row[side, place // 2] = (base, head)[side](steps)
    return taken


def long_ratio(base: Arm, head: Arm, settings: Settings, fit: Fit) -> float:
    """ln of head's time over base's by a few long blocks of as many steps as fit, for what short ones have to find."""
    steps, _ = _calibrate(base, head, replace(settings, block_s=settings.long_block_s), fit)
    blocks = quads(base, head, steps, [bool(turn % 2) for turn in range(settings.long_quads)])
    return float(np.median(np.log(blocks[:, 1, :, 0].min(1) / blocks[:, 0, :, 0].min(1))))


def _calibrate(base: Arm, head: Arm, settings: Settings, fit: Fit) -> tuple[int, float]:
    """The steps that fill a block, found on the way up from the fewest, and what a quad of them takes."""
    steps = fit.multiple
    while True:
        taken = np.array([[side(steps) for side in (base, head)] for _ in range(5)])
        cpu_s = max(float(taken[..., 0].min(0).mean()), 1e-9)
        if cpu_s >= settings.block_s / 2 or 2 * steps > fit.most:
            break
        steps *= 2
    wanted = min(steps * settings.block_s / cpu_s, fit.most)
    fitting = fit.multiple * max(1, int(wanted / fit.multiple + 0.5))
    return fitting, 4 * float(np.median(taken[..., 0])) * fitting / steps
