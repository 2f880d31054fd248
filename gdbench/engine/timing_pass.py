"""The pass that is timed and records nothing: which runs of a cell, how long each, and proof that it did the work."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.attempts import explained
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.engine.op_counter import StepWork, step_work
from gdbench.engine.proof import HORIZON, Watched, prove, prove_again
from gdbench.engine.reference_loops import memory_loop, notebook_loop
from gdbench.engine.timer import Clock, Plan, Prepare, Samples, measure, once, quiet
from gdbench.errors import Unavailable
from gdbench.objectives.base import Prox
from gdbench.optimizers.base import Oracle, Split, Step
from gdbench.results.constant_column import constant
from gdbench.tree import Params, tree_map

__all__ = ["Timings", "clocked"]

Array = npt.NDArray[Any]
SNAPSHOTS = 4
BLOCKS_SHARE = 0.75
"""Of a run's share of the budget; the rest goes into its proof of work, snapshots and calibration."""
LEAST_SHARE_S = 0.02
"""Less than this is not enough to time a run; the rest of the cell then takes the median."""
PROOF_SHARE = 0.25
"""Of a cell's budget the bare pass of a proof may take so much; beyond it only the first steps of a run are proven."""
CLOCKS = ("first_step_s", "step_s", "step_s_lo", "step_s_hi", "update_s", "replay_s", "reference_s")
RATIOS = ("ratio", "ratio_lo", "ratio_hi")
OVERHEAD_S = 20e-6
"""An operation that takes longer is bound by its numbers, not by the overhead of dispatching it."""


@dataclass
class Timings:
    """What the clock said, one entry a run (NaN where a run was not timed), and the raw blocks."""

    first_step_s: Array
    step_s: Array
    step_s_lo: Array
    step_s_hi: Array
    update_s: Array
    ratio: Array
    ratio_lo: Array
    ratio_hi: Array
    reference_s: Array
    replay_s: Array
    verified_steps: Array
    """How many steps of the bare pass were held against the watched one; 0 of a run that was not timed."""
    cold_s: float = np.nan
    memory_reference_s: float = np.nan
    device_reference_s: float = np.nan
    work: StepWork = StepWork(None, None)
    constant_cost: bool = True
    blocks: list[tuple[int, Samples]] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    """Runs whose timed pass did not do the watched pass's work, and how it differed."""

    @classmethod
    def none(cls, runs: int) -> Timings:
        """Nothing timed."""
        nothing: dict[str, Any] = {name: np.full(runs, np.nan) for name in (*CLOCKS, *RATIOS)}
        return cls(**nothing, verified_steps=np.zeros(runs, np.int64))

    def forget(self, rows: list[int]) -> None:
        """Drop the times of runs whose timed pass was another one than the watched."""
        for name in (*CLOCKS, *RATIOS):
            getattr(self, name)[rows] = np.nan
        self.blocks = [(row, samples) for row, samples in self.blocks if row not in rows]

    @property
    def timed(self) -> Array:
        """Which runs were timed themselves."""
        return ~np.isnan(self.step_s)


@dataclass(frozen=True)
class _Given:
    """An oracle that knows one gradient already: what a step costs beside it is the update."""

    loss: torch.Tensor
    gradient: Params
    prox: Prox | None = None
    laned: bool = False
    full: None = None

    @property
    def split(self) -> Split | None:
        # The smooth part states no prox: whoever wraps an oracle wraps its parts too, and must come to an end.
        return None if self.prox is None else Split(_Given(self.loss, self.gradient), self.prox)

    def value(self, x: Params, k: Step) -> torch.Tensor:
        return self.loss

    def grad(self, x: Params, k: Step) -> tuple[torch.Tensor, Params]:
        return self.loss, self.gradient

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        return v


def clocked(cell: Cell, watched: Watched, clock: Clock) -> Timings | None:
    """Time runs one by one while the budget lasts: those that reached the target first, non-finite ones never.

    None where there is nothing to time, or no budget.
    """
    steps_to_target = watched.columns["steps_to_target"]
    order: Array = _order(watched.columns["status"], steps_to_target) if cell.seconds else np.empty(0, np.int64)
    if not len(order):
        return None
    timings = Timings.none(cell.size)
    end = clock.now() + cell.seconds
    try:
        timings.cold_s = _warm_process(cell, int(order[0]), clock)
    except Unavailable:
        raise
    except Exception as error:  # it bears its own objective, but not the one that a process is warmed up on
        timings.errors = {int(row): f"warming up raised {explained(error)}" for row in order}
        return timings
    with quiet():
        timings.memory_reference_s = _least(memory_loop(), clock)
        if cell.device.type != "cpu":
            timings.device_reference_s = _least(notebook_loop(cell.device), clock, steps=20)
        for count, row in enumerate(order):
            left = end - clock.now()
            if count and left < LEAST_SHARE_S:
                break
            share = max(BLOCKS_SHARE * left / (len(order) - count), LEAST_SHARE_S)
            hits = int(steps_to_target[row]) if steps_to_target[row] is not np.ma.masked else None
            try:
                _Stopwatch(cell, int(row), clock).run(timings, share, hits, watched)
            except USER_ERRORS as error:  # it went well when it was watched
                timings.errors[int(row)] = f"the timed pass raised {explained(error)}"
    timings.forget(list(timings.errors))
    return timings


def _order(status: Array, steps_to_target: Array) -> Array:
    """Runs worth timing, the fastest to the target first, diverged ones last."""
    rank = np.array([{"target": 0, "plateau": 1, "budget": 1, "diverged": 2}.get(each, 3) for each in status])
    order = np.lexsort((np.ma.filled(steps_to_target, np.iinfo(np.int32).max), rank))
    return order[rank[order] < 3]


def _warm_process(cell: Cell, row: int, clock: Clock) -> float:
    """Pay on another objective what the first use of a method costs a process (imports, lazy dispatch); seconds."""
    if cell.maker.compiled:  # a compiled step belongs to its objective: compile it for a run alone, if it is not yet
        once(lambda: descent(cell.solo_method(row), cell.oracle(False), cell.start(0), range(1)), clock)
        return cell.maker.compile_s
    method = cell.solo_method(row)
    x = tree_map(torch.ones_like, cell.start(int(cell.seeds[row])))  # a method may take points of its kind alone
    loss = torch.ones((), dtype=cell.dtype, device=cell.device)
    ones = _Given(loss, tree_map(torch.ones_like, x), lambda point, t: point)
    return once(lambda: descent(method, ones, x, range(3)), clock)


def _least(prepare: Prepare, clock: Clock, steps: int = 1) -> float:
    return min(once(prepare(steps), clock) / steps for _ in range(3))


class _Stopwatch:
    """One run of a cell, solo, on the clock."""

    def __init__(self, cell: Cell, row: int, clock: Clock) -> None:
        self.cell, self.row, self.clock = cell, row, clock
        self.oracle = cell.oracle(laned=False, row=row)
        self.method = cell.solo_method(row)
        self.horizon = min(cell.steps, HORIZON)

    @property
    def start(self) -> Params:
        """The run's start, a new copy each time: a step may change it in place."""
        return self.cell.start(int(self.cell.seeds[self.row]))

    def run(self, timings: Timings, share: float, steps_to_target: int | None, watched: Watched) -> None:
        row, method, start = self.row, self.method, self.start
        timings.constant_cost = method.constant_cost
        timings.first_step_s[row] = once(lambda: descent(method, self.oracle, start, range(1)), self.clock)
        proof = prove(self.cell, row, watched, self.clock, PROOF_SHARE * self.cell.seconds)
        timings.verified_steps[row] = proof.steps
        if proof.difference:
            timings.errors[row] = proof.difference
            return
        prepare, most = self._blocks(self.oracle)
        samples = measure(prepare, notebook_loop(), self.clock, Plan(seconds=0.8 * share, most_steps=most))
        timings.blocks.append((row, samples))
        timings.step_s[row], timings.step_s_lo[row], timings.step_s_hi[row] = samples.step
        timings.ratio[row], timings.ratio_lo[row], timings.ratio_hi[row] = samples.ratio
        timings.reference_s[row] = np.median(samples.reference)
        if method.constant_cost and not self.cell.maker.compiled:
            timings.update_s[row] = self._update(0.2 * share)
        if steps_to_target is not None and not method.constant_cost:
            timings.replay_s[row] = self._replay(steps_to_target, steps_to_target * samples.step[0])
        if timings.work == (None, None) and not self.cell.maker.compiled:
            timings.work = step_work(prepare(1), self.cell.device)
        if difference := prove_again(self.cell, row, proof):
            timings.errors[row] = difference

    def _blocks(self, oracle: Oracle) -> tuple[Prepare, int]:
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
        positions = sorted({max(min(1, self.horizon - 1), self.horizon * i // SNAPSHOTS) for i in range(SNAPSHOTS)})
        x = self.start
        state, taken, at = self.method.init(x), [], 0
        for position in positions:
            x, state = descent(self.method, self.oracle, x, range(at, position), state)
            taken.append((position, *self.method.copy(x, state)))
            at = position
        return taken

    def _update(self, seconds: float) -> float:
        """The step time with a gradient that is given: what the update itself costs."""
        loss, gradient = self.oracle.grad(self.start, 0)
        prepare, most = self._blocks(_Given(loss.detach(), gradient, self.cell.objective.prox))
        plan = Plan(seconds=seconds, most_steps=most)
        return measure(prepare, notebook_loop(), self.clock, plan).step[0]

    def _replay(self, steps: int, expected_s: float) -> float:
        """Median of up to three timed passes of exactly so many steps from the start; one at least."""

        def prepare(_: int) -> Callable[[], object]:
            start = self.start
            state = self.method.init(start)
            return lambda: descent(self.method, self.oracle, start, range(steps), state)

        repeats = max(1, min(3, int(self.cell.seconds / max(expected_s, 1e-9))))
        return float(np.median([once(prepare(1), self.clock) for _ in range(repeats)]))


def timing_columns(timings: Timings | None, steps_to_target: Array) -> Mapping[str, Array]:
    """The columns that hold times; runs that were not timed take their cell's median and say so."""
    if timings is None:
        return {"timed": constant(False, len(steps_to_target))}
    timed = timings.timed
    runs = len(timed)
    median = float(np.median(timings.step_s[timed])) if timed.any() else np.nan
    step_s = np.where(timed, timings.step_s, median)
    step_s[list(timings.errors)] = np.nan  # a pass that did other work has no time to tell
    reached = ~np.ma.getmaskarray(steps_to_target)
    modelled = np.ma.filled(steps_to_target, 0) * step_s
    to_target = np.where(reached, modelled if timings.constant_cost else timings.replay_s, np.nan)
    kind = np.full(runs, None, dtype=object)
    kind[~np.isnan(to_target)] = "modelled" if timings.constant_cost else "replayed"
    errors = np.full(runs, None, dtype=object)
    errors[list(timings.errors)] = list(timings.errors.values())
    columns = {
        "timed": timed,
        "timing_error": errors,
        "verified_steps": np.ma.masked_array(timings.verified_steps, mask=timings.verified_steps == 0),
        "cold_s": _known(np.full(runs, timings.cold_s)),
        "first_step_s": _known(timings.first_step_s),
        "step_s": _known(step_s),
        "step_s_lo": _known(timings.step_s_lo),
        "step_s_hi": _known(timings.step_s_hi),
        "update_s": _known(timings.update_s),
        "step_vs_reference": _known(timings.ratio),
        "step_vs_reference_lo": _known(timings.ratio_lo),
        "step_vs_reference_hi": _known(timings.ratio_hi),
        "reference_s": _known(timings.reference_s),
        "memory_reference_s": _known(np.full(runs, timings.memory_reference_s)),
        "device_reference_s": _known(np.full(runs, timings.device_reference_s)),
        "time_to_target_s": _known(to_target),
        "time_to_target_kind": kind,
    }
    return {**columns, **_work_columns(timings, step_s)}


def _work_columns(timings: Timings, step_s: Array) -> Mapping[str, Array]:
    work, runs = timings.work, len(step_s)
    absent = np.ones(runs, dtype=bool)
    ops = np.ma.masked_array(np.full(runs, work.ops or 0), mask=absent if work.ops is None else ~absent)
    peak = np.ma.masked_array(np.full(runs, work.peak_bytes or 0), mask=absent if work.peak_bytes is None else ~absent)
    bound = np.ma.masked_array(
        step_s < (work.ops or 1) * OVERHEAD_S, mask=ops.mask | np.isnan(step_s) | (not timings.constant_cost)
    )
    return {"ops": ops, "peak_bytes": peak, "overhead_bound": bound}


def _known(values: Array) -> Array:
    return np.ma.masked_array(values, mask=np.isnan(values))
