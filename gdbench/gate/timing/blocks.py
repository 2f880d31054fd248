"""Replicates from short blocks: two subjects in turn, in quads ABBA or BAAB, give one log ratio.

Knows neither series nor processes: a subject runs so many steps and returns their time. Clocks are passed in, so that
the order of calls can be tested with fake ones.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gdbench.engine.timer import Prepare
from gdbench.gate.timing.settings import TimingSettings

__all__ = [
    "CLOCKS",
    "WALL_ONLY",
    "BlockLimits",
    "BlockTime",
    "BudgetTooSmall",
    "Clocks",
    "MeasurementError",
    "Replicate",
    "RunBlock",
    "SharedStateError",
    "Subject",
    "SubjectSpec",
    "WorkerDied",
    "make_block_timer",
    "measure_injected",
    "measure_replicate",
]


class MeasurementError(Exception):
    """A pair of subjects could not be measured: the reason in one line."""


class BudgetTooSmall(MeasurementError):
    """The minimum number of quads does not fit into the time budget."""


class SharedStateError(MeasurementError):
    """The two trees cannot share a process."""


class WorkerDied(MeasurementError):
    """A worker process ended early."""


class BlockTime(NamedTuple):
    """Seconds of a block: by the thread's CPU clock, which stands still while other threads run, and by the wall's."""

    cpu: float
    wall: float


RunBlock = Callable[[int], BlockTime]
"""Runs so many steps from the point where every block starts."""


class Clocks(NamedTuple):
    """The clock that is tested, and wall time."""

    cpu: Callable[[], float]
    wall: Callable[[], float]


CLOCKS = Clocks(time.thread_time, time.perf_counter)
WALL_ONLY = Clocks(time.perf_counter, time.perf_counter)
"""For more than one thread: a thread's CPU clock does not see the work of the pool's other threads."""


class BlockLimits(NamedTuple):
    """Which numbers of steps a block may have."""

    max_steps: int = 1_000_000
    """Steps that are left of the run."""
    multiple: int = 1


class Subject(Protocol):
    """What is timed, in this process or at the other end of a pipe."""

    @property
    def limits(self) -> BlockLimits:
        """Which numbers of steps a block may have."""
        ...

    @property
    def run_block(self) -> RunBlock:
        """Run and time a block."""
        ...

    def warm_up(self, steps: int, seconds: float) -> int:
        """Advance until warm; returns the step reached."""
        ...

    def advance(self, step: int) -> None:
        """Advance to exactly this step."""
        ...


SubjectSpec = Mapping[str, Any]
"""What to make a subject of: ``tree`` and ``composed``, with ``injected_ops`` or ``scale`` to slow it down; or
``control``."""


@dataclass(frozen=True)
class Replicate:
    """One replicate: medians over its quads."""

    cpu: float
    """ln of head's time over base's, by the thread's CPU clock."""
    wall: float
    base_s: float
    """Seconds per step of base, by the CPU clock."""
    head_s: float
    steps: int
    """Steps of a block."""
    quads: int
    seconds: float
    """Total of the blocks, by the CPU clock: under load all of it takes longer by the wall's."""


def make_block_timer(prepare: Prepare, clocks: Clocks = CLOCKS) -> RunBlock:
    """A function that times blocks of ``prepare``, whose preparation is not timed."""

    def run_block(steps: int) -> BlockTime:
        go = prepare(steps)
        wall = clocks.wall()
        cpu = clocks.cpu()
        go()
        cpu = clocks.cpu() - cpu
        return BlockTime(cpu, clocks.wall() - wall)

    return run_block


def measure_replicate(
    base: Subject, head: Subject, seconds: float, settings: TimingSettings, rng: np.random.Generator, swapped: bool
) -> Replicate:
    """Measure one replicate in about so many seconds; with ``swapped`` head takes the place of base in every quad.

    Raises BudgetTooSmall if the minimum number of quads takes more than four times the seconds.
    """
    limits = _warm_up_both(base, head, settings)
    if not swapped:
        return time_replicate(base.run_block, head.run_block, seconds, settings, rng, limits)
    mirrored = time_replicate(head.run_block, base.run_block, seconds, settings, rng, limits)
    return replace(mirrored, cpu=-mirrored.cpu, wall=-mirrored.wall, base_s=mirrored.head_s, head_s=mirrored.base_s)


def measure_injected(plain: Subject, slowed: Subject, settings: TimingSettings) -> float:
    """True size of an injected slowdown, ln, by long blocks beside the same work without it."""
    limits = _warm_up_both(plain, slowed, settings)
    return time_long_blocks(plain.run_block, slowed.run_block, settings, limits)


def _warm_up_both(base: Subject, head: Subject, settings: TimingSettings) -> BlockLimits:
    """Advance both to one step, and collect garbage: the collector is off while clocks run."""
    head.advance(base.warm_up(settings.warm_steps, settings.warm_s))
    gc.collect()
    return BlockLimits(
        min(base.limits.max_steps, head.limits.max_steps), max(base.limits.multiple, head.limits.multiple)
    )


def time_replicate(
    base: RunBlock,
    head: RunBlock,
    seconds: float,
    settings: TimingSettings,
    rng: np.random.Generator,
    limits: BlockLimits,
) -> Replicate:
    """Time as many quads as fit into the seconds; raises BudgetTooSmall."""
    steps, quad_s = _choose_steps(base, head, settings, limits)
    if 4 * seconds < settings.min_quads * quad_s:
        raise BudgetTooSmall(
            f"{settings.min_quads} quads take {settings.min_quads * quad_s:.2g} s: raise budget_s of the series"
        )
    count = int(np.clip(seconds / quad_s, settings.min_quads, settings.max_quads))
    blocks = time_quads(base, head, steps, draw_orders(count, rng))
    ratios = np.log(blocks[:, 1].min(1) / blocks[:, 0].min(1))
    cpu, wall = np.median(ratios, 0)
    base_s, head_s = np.median(blocks[..., 0].min(2), 0) / steps
    return Replicate(float(cpu), float(wall), float(base_s), float(head_s), steps, count, float(blocks[..., 0].sum()))


def draw_orders(count: int, rng: np.random.Generator) -> Sequence[bool]:
    """Which quads start with base: half of them, at random places, so that no position in a quad belongs to a side."""
    return [bool(is_base_first) for is_base_first in rng.permutation(np.arange(count) % 2 == 0)]


def time_quads(base: RunBlock, head: RunBlock, steps: int, base_first: Sequence[bool]) -> npt.NDArray[np.float64]:
    """Seconds of quads ABBA (where base is first) or BAAB: ``[quads, side, block, clock]``."""
    seconds = np.empty((len(base_first), 2, 2, 2))
    for quad, is_base_first in zip(seconds, base_first, strict=True):
        sides = (0, 1, 1, 0) if is_base_first else (1, 0, 0, 1)
        for position, side in enumerate(sides):
            quad[side, position // 2] = (base, head)[side](steps)
    return seconds


def time_long_blocks(base: RunBlock, head: RunBlock, settings: TimingSettings, limits: BlockLimits) -> float:
    """ln of head's time over base's by a few long blocks, of as many steps as are left: independent of short ones."""
    steps, _ = _choose_steps(base, head, replace(settings, block_s=settings.long_block_s), limits)
    blocks = time_quads(base, head, steps, [bool(quad % 2) for quad in range(settings.long_quads)])
    return float(np.median(np.log(blocks[:, 1, :, 0].min(1) / blocks[:, 0, :, 0].min(1))))


def _choose_steps(base: RunBlock, head: RunBlock, settings: TimingSettings, limits: BlockLimits) -> tuple[int, float]:
    """Steps that fill a block, by doubling from the fewest, and the seconds of a quad of them."""
    steps = limits.multiple
    while True:
        seconds = np.array([[side(steps) for side in (base, head)] for _ in range(5)])
        cpu_s = max(float(seconds[..., 0].min(0).mean()), 1e-9)
        if cpu_s >= settings.block_s / 2 or 2 * steps > limits.max_steps:
            break
        steps *= 2
    full = min(steps * settings.block_s / cpu_s, limits.max_steps)
    whole = limits.multiple * max(1, int(full / limits.multiple + 0.5))
    return whole, 4 * float(np.median(seconds[..., 0])) * whole / steps
