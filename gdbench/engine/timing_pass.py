"""The timing pass, which records nothing: choose runs, verify that the pass does their work, time it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.engine.op_counter import count_step_work
from gdbench.engine.reference_loops import make_memory_loop, make_notebook_loop
from gdbench.engine.timer import Clock, MeasurementPlan, Prepare, measure_blocks, pause_gc_and_freeze, time_call
from gdbench.engine.timing_columns import Timings
from gdbench.engine.timing_verification import MAX_SNAPSHOT_STEP, ObservedRuns, verify_again, verify_timed_pass
from gdbench.errors import Unavailable, describe_exception
from gdbench.objectives.base import Prox
from gdbench.optimizers.base import CompositeParts, Oracle, Step
from gdbench.results.statuses import STATUS_RANK
from gdbench.tree import Params, tree_map

__all__ = ["time_runs"]


Array = npt.NDArray[Any]
SNAPSHOT_COUNT = 4
BLOCKS_SHARE = 0.75
"""Of a run's share of the budget; the rest is for its verification, snapshots and calibration."""
MIN_SHARE_S = 0.02
"""Less than this is not enough to time a run; the remaining runs get the median step time of those timed."""
VERIFICATION_SHARE = 0.25
"""Of a cell's budget, for the verification pass of a run; of longer runs only the first steps are verified."""


@dataclass(frozen=True)
class _FixedGradientOracle:
    """An oracle with a fixed gradient: a step on it costs the update alone."""

    loss: torch.Tensor
    gradient: Params
    prox: Prox | None = None
    laned: bool = False
    full: None = None

    @property
    def split(self) -> CompositeParts | None:
        # The smooth part states no prox: whoever wraps an oracle wraps its parts too, and must come to an end.
        return None if self.prox is None else CompositeParts(_FixedGradientOracle(self.loss, self.gradient), self.prox)

    def value(self, x: Params, k: Step) -> torch.Tensor:
        return self.loss

    def grad(self, x: Params, k: Step) -> tuple[torch.Tensor, Params]:
        return self.loss, self.gradient

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        return v


def time_runs(cell: Cell, observed: ObservedRuns, clock: Clock) -> Timings | None:
    """Time runs one by one while the budget lasts: those that reached the target first, non-finite ones never.

    None where there is nothing to time, or no budget.
    """
    steps_to_target = observed.columns["steps_to_target"]
    order: Array = _order_runs(observed.columns["status"], steps_to_target) if cell.seconds else np.empty(0, np.int64)
    if not len(order):
        return None
    timings = Timings.none(cell.size)
    end = clock.now() + cell.seconds
    try:
        timings.warmup_s = _time_warmup(cell, int(order[0]), clock)
    except Unavailable:
        raise
    except Exception as error:  # it works on its own objective, but not on that of the warm-up
        timings.errors = {int(row): f"warming up raised {describe_exception(error)}" for row in order}
        return timings
    with pause_gc_and_freeze():
        timings.memory_reference_s = _time_fastest(make_memory_loop(), clock)
        if cell.device.type != "cpu":
            timings.device_reference_s = _time_fastest(make_notebook_loop(cell.device), clock, steps=20)
        for count, row in enumerate(order):
            left = end - clock.now()
            if count and left < MIN_SHARE_S:
                break
            share = max(BLOCKS_SHARE * left / (len(order) - count), MIN_SHARE_S)
            target_step = int(steps_to_target[row]) if steps_to_target[row] is not np.ma.masked else None
            try:
                _RunTimer(cell, int(row), clock).run(timings, share, target_step, observed)
            except USER_ERRORS as error:  # it did not raise in the convergence pass
                timings.errors[int(row)] = f"the timed pass raised {describe_exception(error)}"
    timings.forget(list(timings.errors))
    return timings


def _order_runs(status: Array, steps_to_target: Array) -> Array:
    """Runs worth timing, the fastest to the target first, diverged ones last."""
    rank = np.array([STATUS_RANK[name] for name in status])
    order = np.lexsort((np.ma.filled(steps_to_target, np.iinfo(np.int32).max), rank))
    return order[rank[order] < 3]


def _time_warmup(cell: Cell, row: int, clock: Clock) -> float:
    """Seconds of a method's first use here (imports, lazy dispatch), on another objective; NaN where it has none.

    A compiled step belongs to its objective, and is compiled here for a single run if it is not yet; a module has no
    other objective.
    """
    if cell.make_method.is_compiled or cell.make_method.uses_module:
        time_call(lambda: descent(cell.solo_method(row), cell.oracle(False), cell.start(0), range(1)), clock)
        return np.nan
    method = cell.solo_method(row)
    x = tree_map(torch.ones_like, cell.start(int(cell.seeds[row])))  # a method may take points of its kind alone
    loss = torch.ones((), dtype=cell.dtype, device=cell.device)
    ones = _FixedGradientOracle(loss, tree_map(torch.ones_like, x), lambda point, t: point)
    return time_call(lambda: descent(method, ones, x, range(3)), clock)


def _time_fastest(prepare: Prepare, clock: Clock, steps: int = 1) -> float:
    return min(time_call(prepare(steps), clock) / steps for _ in range(3))


class _RunTimer:
    """Times one run of a cell."""

    def __init__(self, cell: Cell, row: int, clock: Clock) -> None:
        self.cell, self.row, self.clock = cell, row, clock
        self.oracle = cell.oracle(laned=False, row=row)
        self.method = cell.solo_method(row)
        self.horizon = min(cell.steps, MAX_SNAPSHOT_STEP)

    @property
    def start(self) -> Params:
        """The run's start, a new copy each time: a step may change it in place."""
        return self.cell.start(int(self.cell.seeds[self.row]))

    def run(self, timings: Timings, share: float, steps_to_target: int | None, observed: ObservedRuns) -> None:
        row, method, start = self.row, self.method, self.start
        timings.constant_cost = method.constant_cost
        timings.first_step_s[row] = time_call(lambda: descent(method, self.oracle, start, range(1)), self.clock)
        proof = verify_timed_pass(self.cell, row, observed, self.clock, VERIFICATION_SHARE * self.cell.seconds)
        timings.verified_steps[row] = proof.steps
        if proof.difference:
            timings.errors[row] = proof.difference
            return
        prepare, most = self._make_block_source(self.oracle)
        samples = measure_blocks(
            prepare, make_notebook_loop(), self.clock, MeasurementPlan(seconds=0.8 * share, most_steps=most)
        )
        timings.blocks.append((row, samples))
        timings.step_s[row], timings.step_s_lo[row], timings.step_s_hi[row] = samples.step
        timings.ratio[row], timings.ratio_lo[row], timings.ratio_hi[row] = samples.ratio
        timings.reference_s[row] = np.median(samples.reference)
        # A module has its own gradient: its update is no call of its own.
        if method.constant_cost and not (self.cell.make_method.is_compiled or self.cell.make_method.uses_module):
            timings.update_s[row] = self._update(0.2 * share)
        if steps_to_target is not None and not method.constant_cost:
            timings.replay_s[row] = self._replay(steps_to_target, steps_to_target * samples.step[0])
        if timings.work == (None, None) and self.cell.make_method.compile_s is None:
            timings.work = count_step_work(prepare(1), self.cell.device)
        if difference := verify_again(self.cell, row, proof):
            timings.errors[row] = difference

    def _make_block_source(self, oracle: Oracle) -> tuple[Prepare, int]:
        """Blocks of steps from snapshots spread over the run, and the longest that stays within its steps."""
        method, turns = self.method, itertools.cycle(self.snapshots)

        def prepare(count: int) -> Callable[[], object]:
            position, saved_x, saved_state = next(turns)
            x, state = method.copy(saved_x, saved_state)
            return lambda: descent(method, oracle, x, range(position, position + count), state)

        return prepare, self.horizon - self.snapshots[-1][0]

    @cached_property
    def snapshots(self) -> list[tuple[int, Params, Any]]:
        """Step, x and state at a few points early in the run; never the very first step, which makes the state."""
        positions = sorted(
            {max(min(1, self.horizon - 1), self.horizon * i // SNAPSHOT_COUNT) for i in range(SNAPSHOT_COUNT)}
        )
        x = self.start
        state, taken, at = self.method.init(x), [], 0
        for position in positions:
            x, state = descent(self.method, self.oracle, x, range(at, position), state)
            taken.append((position, *self.method.copy(x, state)))
            at = position
        return taken

    def _update(self, seconds: float) -> float:
        """The step time with a fixed gradient: the cost of the update."""
        loss, gradient = self.oracle.grad(self.start, 0)
        prepare, most = self._make_block_source(_FixedGradientOracle(loss.detach(), gradient, self.cell.objective.prox))
        plan = MeasurementPlan(seconds=seconds, most_steps=most)
        return measure_blocks(prepare, make_notebook_loop(), self.clock, plan).step[0]

    def _replay(self, steps: int, expected_s: float) -> float:
        """Median of up to three timed passes of exactly so many steps from the start; one at least."""

        def prepare(_: int) -> Callable[[], object]:
            start = self.start
            state = self.method.init(start)
            return lambda: descent(self.method, self.oracle, start, range(steps), state)

        repeats = max(1, min(3, int(self.cell.seconds / max(expected_s, 1e-9))))
        return float(np.median([time_call(prepare(1), self.clock) for _ in range(repeats)]))
