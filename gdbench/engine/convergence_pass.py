"""The convergence pass: runs a cell untimed, in lanes or one run, and returns what was observed as NumPy arrays."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gdbench.engine.cell import Cell
from gdbench.engine.compile.lane_observer import make_lane_observer, make_work_counter
from gdbench.engine.compile.state_structure import select_lanes
from gdbench.engine.descent import descent
from gdbench.engine.exact_hits import find_exact_hits, find_no_hits
from gdbench.engine.observations import Observations, convert_to_steps
from gdbench.engine.observer import Observer
from gdbench.engine.pass_inputs import Ended, PassInputs, StepCallback
from gdbench.engine.targets import make_ladder, round_thresholds_down
from gdbench.engine.tensor_stats import (
    compute_distances,
    compute_norms,
    count_denormals,
    put_runs_last,
    to_numpy,
    widen_loss,
)
from gdbench.engine.trace_recorder import TraceRecorder
from gdbench.engine.training.metric_columns import find_judged_hits
from gdbench.engine.training.training_run import TrainingMetrics, TrainingRun, concatenate_metrics
from gdbench.optimizers.base import StepInfo
from gdbench.tree import tree_map

__all__ = [
    "PassInputs",
    "PassResult",
    "StepCallback",
    "concatenate",
    "run_observed_pass",
    "select_lanes",
    "split_steps",
]


Array = npt.NDArray[Any]
DROP_INTERVAL = 8
"""After every so many steps lanes that are no longer finite may be dropped."""


@dataclass(frozen=True)
class PassResult:
    """What was observed in a pass; the last axis counts runs, but for ``points``."""

    start: Array
    floor: Array
    observations: Observations[Array]
    grad_norm: Array
    distance: Array
    denormals: Array
    traced: Array
    """Which runs the trace is of."""
    steps: Array
    losses: Array
    """``[K, traced]``, as are ``grad_norms``; ``points`` is ``[traced, K, n]``, n = 0 where x is too big to store."""
    grad_norms: Array
    points: Array
    exact_hits: Array
    """First-hit step of the run's own target, gradients and evaluations before it, ``[3, runs]``; -1: as judged."""
    metrics: TrainingMetrics | None = None
    marks: tuple[dict[int, bytes], ...] = ()
    """Step -> digest of the judged point, for single runs that will be timed: the timed pass is compared with these."""


def run_observed_pass(
    cell: Cell, laned: bool, traced: Array, before_steps: StepCallback = lambda steps: None
) -> PassResult:
    """What is observed of all runs of a cell in lanes, or of its one run; traces of the runs ``traced``."""
    oracle = cell.oracle(laned)
    training = TrainingRun(cell, oracle) if cell.objective.training else None
    judge = oracle if training else cell.judge(laned)
    x = cell.starts() if laned else cell.start(int(cell.seeds[0]))
    full = judge.full or judge
    start = widen_loss(training.start_loss(x) if training else full.value(x, 0))
    sign = -1.0 if cell.maximize else 1.0
    rungs = make_ladder(
        cell.f_star,
        cell.rounding,
        np.atleast_1d(to_numpy(start).astype(np.float64)) * sign,
        cell.dtype,
        cell.target,
        cell.target_loss,
    )
    thresholds = round_thresholds_down(start.dtype, rungs.thresholds).to(cell.device)
    compiled = laned and cell.make_method.is_compiled
    if laned and (not cell.starts_differ() if compiled else bool((start == start[0]).all())):
        thresholds = thresholds[:, :1]  # lanes that start together share their targets
    if not laned:
        thresholds = thresholds[:, 0]
    make_observer = partial(Observer, thresholds, start * sign, cell.maximize, cell.steps)
    trace = TraceRecorder(cell, laned, traced, judge.full)
    run = training.run if training else _run_compiled_lanes if compiled else _run_eager_lanes if laned else _run_alone
    x, ended, observer = run(PassInputs(cell, oracle, x, make_observer, trace, before_steps))
    x = tree_map(lambda leaf: leaf.detach(), x)
    # Judging the last point is not the method's work.
    loss, grad = training.finish(x, observer) if training else full.grad(x, cell.steps)
    last = -(-cell.steps // cell.judge_every)
    observer.observe(last, x, StepInfo(loss, grad, 0, 0))
    trace.record(cell.steps, observer, x, loss, grad)
    denormals = count_denormals(ended, len(loss) if laned else None, cell.device)

    def to_array(values: Tensor) -> Array:
        return put_runs_last(to_numpy(observer.expand(values)), laned)

    observations = Observations(*(put_runs_last(to_numpy(column), laned) for column in observer.summarize(last)))
    observations = convert_to_steps(observations, cell.judge_every, cell.steps, observer.spec.counts)
    metrics = training.summarize(x, observer) if training else None
    hits = find_judged_hits(cell, observations, metrics)
    replays = cell.exact and cell.judge_every > 1
    return PassResult(
        start=np.atleast_1d(to_numpy(observer.start).astype(np.float64)),
        floor=rungs.floor,
        observations=observations,
        grad_norm=to_array(compute_norms(grad, laned)),
        distance=to_array(compute_distances(cell, x, laned)),
        denormals=to_array(denormals),
        exact_hits=find_exact_hits(cell, laned, hits, thresholds[-1], before_steps)
        if replays
        else find_no_hits(len(hits)),
        metrics=metrics,
        **trace.to_arrays(),
    )


def _run_alone(inputs: PassInputs) -> Ended:
    """One run, step by step, observed after each."""
    cell = inputs.cell
    method = cell.solo_method(0)
    observer = inputs.make_observer(not method.constant_cost)
    look = inputs.make_look(method, cell.judge(laned=False), observer)
    x, state = descent(method, inputs.oracle, inputs.start, range(cell.steps), look=look)
    return method.output_at(x, state), (x, state), observer


def _run_eager_lanes(inputs: PassInputs) -> Ended:
    """Lanes, step by step, observed after each; non-finite ones are dropped every ``DROP_INTERVAL`` steps."""
    cell, oracle, x = inputs.cell, inputs.oracle, inputs.start
    method = cell.make_method(cell.laned_hyper())
    observer, state = inputs.make_observer(not method.constant_cost, eager_lanes=True), method.begin(x, laned=True)
    for k in range(0, cell.steps, DROP_INTERVAL):
        look = inputs.make_look(method, oracle, observer)
        x, state = descent(method, oracle, x, range(k, min(k + DROP_INTERVAL, cell.steps)), state, look)
        lanes = observer.find_finite_lanes()
        if lanes is not None:
            x, state = select_lanes((x, state), observer.count, lanes)
            left = cell.take(observer.keep_lanes(lanes).cpu().numpy())
            method, oracle = cell.make_method(left.laned_hyper()), left.oracle(laned=True)
    return method.output_at(x, state), (x, state), observer


def _run_compiled_lanes(inputs: PassInputs) -> Ended:
    """Lanes in compiled graphs of steps and observer: several steps a call, but one where a trace is recorded."""
    cell, trace = inputs.cell, inputs.trace
    interval = cell.judge_every
    method = judged = cell.make_method.in_lanes(cell.laned_hyper(), make_lane_observer(interval))
    # Between two judgements the steps have a graph of their own, as a graph has no branches.
    between = judged if interval == 1 else cell.make_method.in_lanes(cell.laned_hyper(), make_work_counter(interval))
    observer = inputs.make_observer(not method.constant_cost)
    x, state = method.init(inputs.start)
    alone = trace.wanted if interval == 1 else frozenset(range(0, cell.steps, interval))
    for k, count in split_steps(cell.steps, cell.steps_per_call if method.constant_cost else 1, alone):
        inputs.before_steps(count)
        at = x, state
        method = between if k % interval else judged
        x, state, observer.state, seen = method.steps(count, inputs.oracle, *at, observer.spec, observer.state)
        if seen and k % interval == 0:
            trace.record(k, observer, method.output_at(*at), seen.loss, seen.grad)
    return method.output_at(x, state), method.put_lanes_first((x, state.inner)), observer


def split_steps(steps: int, most: int, alone: Container[int]) -> Iterator[tuple[int, int]]:
    """Every step, as strides ``(k, count)`` of ``most`` steps or of one; those in ``alone`` are of one."""
    k = 0
    while k < steps:
        together = k + most <= steps and not any(step in alone for step in range(k, k + most))
        count = most if together else 1
        yield k, count
        k += count


def concatenate(results: list[PassResult]) -> PassResult:
    """Results side by side, as if their runs had been lanes of one pass."""
    if len(results) == 1:
        return results[0]
    arrays = {
        field.name: np.concatenate([getattr(result, field.name) for result in results], axis=-1)
        for field in fields(PassResult)
        if field.name not in ("observations", "traced", "steps", "points", "metrics", "marks")
    }
    firsts = np.cumsum([0, *(len(result.start) for result in results[:-1])])
    columns = zip(*(result.observations for result in results), strict=True)
    return PassResult(
        **arrays,
        observations=Observations(*(np.concatenate(column, axis=-1) for column in columns)),
        traced=np.concatenate([result.traced + first for result, first in zip(results, firsts, strict=True)]),
        steps=results[0].steps,
        points=np.concatenate([result.points for result in results]),
        metrics=concatenate_metrics([result.metrics for result in results if result.metrics]),
        marks=tuple(marks for result in results for marks in result.marks),
    )
