"""The pass that watches and is not timed: a whole cell in lanes, or one run solo, told in numpy."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.engine.batch_observer import Crowd, Onlooker, Watcher, staying
from gdbench.engine.cell import Cell
from gdbench.engine.descent import Look, descent
from gdbench.engine.observer import Told, update
from gdbench.engine.targets import ladder, thresholds_in
from gdbench.engine.tensor_stats import (
    count_denormals,
    distance_to_minimisers,
    put_runs_last,
    to_numpy,
    tree_norm,
    widen_loss,
)
from gdbench.engine.trace_recorder import TraceRecorder
from gdbench.optimizers.base import Method, Oracle, StepInfo, compute_output_info
from gdbench.tree import Params, tree_map

__all__ = ["Halt", "Story", "join", "strides", "tell"]


Array = npt.NDArray[Any]
Halt = Callable[[int], None]
"""Called before so many steps; raises where the pass is to be given up."""
ROLL_CALL = 8
"""Every so many steps lanes that are no longer finite may leave."""


@dataclass(frozen=True)
class Story:
    """What a pass saw; the last axis counts runs, but for ``points``."""

    start: Array
    floor: Array
    told: Told[Array]
    grad_norm: Array
    distance: Array
    denormals: Array
    traced: Array
    """Which runs the trace is of."""
    steps: Array
    losses: Array
    """``[K, traced]``, as are ``grad_norms``; ``points`` is ``[traced, K, n]``, n = 0 where x is too big to keep."""
    grad_norms: Array
    points: Array
    marks: tuple[dict[int, bytes], ...] = ()
    """Of runs alone that will be timed: by step, the digest of the judged point, for the proof of work."""


def tell(cell: Cell, laned: bool, traced: Array, halt: Halt = lambda steps: None) -> Story:
    """Watch all runs of a cell in lanes, or its one run solo; keep traces of the runs ``traced``.

    ``halt`` is called before every step, or before those that are taken together.
    """
    oracle, judge = cell.oracle(laned), cell.judge(laned)
    x = cell.starts() if laned else cell.start(int(cell.seeds[0]))
    full = judge.full or judge
    start = widen_loss(full.value(x, 0))
    sign = -1.0 if cell.maximize else 1.0
    rungs = ladder(
        cell.f_star,
        cell.rounding,
        np.atleast_1d(to_numpy(start).astype(np.float64)) * sign,
        cell.dtype,
        cell.target,
        cell.target_loss,
    )
    thresholds = thresholds_in(start.dtype, rungs.thresholds).to(cell.device)
    fused = laned and cell.maker.compiled
    if laned and (not cell.starts_differ() if fused else bool((start == start[0]).all())):
        thresholds = thresholds[:, :1]  # lanes that start together share their targets
    given = thresholds if laned else thresholds[:, 0], start * sign, cell.maximize
    trace = TraceRecorder(cell, laned, traced, judge.full)
    if fused:
        x, ended, crowd = _walk_fused(cell, oracle, x, partial(Watcher, *given, laned), trace, halt)
    elif laned:
        x, ended, crowd = _walk_lanes(cell, oracle, x, partial(Crowd, *given, steps=cell.steps), trace, halt)
    else:
        x, ended, crowd = _walk(cell, oracle, x, partial(Watcher, *given, laned), trace, halt)
    x = tree_map(lambda leaf: leaf.detach(), x)
    loss, grad = full.grad(x, cell.steps)  # judging the last point is not the method's work
    crowd.look(cell.steps, x, StepInfo(loss, grad, 0, 0))
    trace.look(cell.steps, crowd, x, loss, grad)
    denormals = count_denormals(ended, len(loss) if laned else None, cell.device)
    return Story(
        start=np.atleast_1d(to_numpy(crowd.start).astype(np.float64)),
        floor=rungs.floor,
        told=Told(*(put_runs_last(to_numpy(each), laned) for each in crowd.told(cell.steps))),
        grad_norm=put_runs_last(to_numpy(crowd.spread(tree_norm(grad, laned))), laned),
        distance=put_runs_last(to_numpy(crowd.spread(distance_to_minimisers(cell, x, laned))), laned),
        denormals=put_runs_last(to_numpy(crowd.spread(denormals)), laned),
        **trace.kept(),
    )


Walked = tuple[Params, tuple[Params, Any], Onlooker]
"""The last point judged, the method's own x and state there, and what was seen before it."""


def _walk(
    cell: Cell, oracle: Oracle, x: Params, watcher: Callable[[bool], Watcher], trace: TraceRecorder, halt: Halt
) -> Walked:
    """A run alone, step by step, looked at from outside."""
    method = cell.solo_method(0)
    seen_by = watcher(not method.constant_cost)
    look = _looking(method, cell.judge(laned=False), seen_by, trace, halt)
    x, state = descent(method, oracle, x, range(cell.steps), look=look)
    return method.output_at(x, state), (x, state), seen_by


def _walk_lanes(
    cell: Cell, oracle: Oracle, x: Params, crowd_of: Callable[[bool], Crowd], trace: TraceRecorder, halt: Halt
) -> Walked:
    """The same of lanes, some of which may leave at every roll call."""
    method = cell.maker(cell.laned_hyper())
    crowd, state = crowd_of(not method.constant_cost), method.begin(x, laned=True)
    for k in range(0, cell.steps, ROLL_CALL):
        look = _looking(method, oracle, crowd, trace, halt)
        x, state = descent(method, oracle, x, range(k, min(k + ROLL_CALL, cell.steps)), state, look)
        stay = crowd.leavers()
        if stay is not None:
            x, state = staying((x, state), len(crowd.alive), stay)
            left = cell.take(crowd.leave(stay).cpu().numpy())
            method, oracle = cell.maker(left.laned_hyper()), left.oracle(laned=True)
    return method.output_at(x, state), (x, state), crowd


def _looking(method: Method, judge: Oracle, onlooker: Onlooker, trace: TraceRecorder, halt: Halt) -> Look:
    def look(k: int, x: Params, seen: StepInfo) -> None:
        halt(1)
        seen = compute_output_info(method, judge, k, x, seen)
        onlooker.look(k, x, seen)
        trace.look(k, onlooker, x, seen.loss, seen.grad)

    return look


def _walk_fused(
    cell: Cell, oracle: Oracle, x: Params, watcher: Callable[[bool], Watcher], trace: TraceRecorder, halt: Halt
) -> Walked:
    """Lanes in compiled graphs that hold steps and watch: several steps a call, but one where a trace looks on."""
    method = cell.maker.in_lanes(cell.laned_hyper(), update)
    seen_by = watcher(not method.constant_cost)
    x, state = method.init(x)
    for k, count in strides(cell.steps, cell.fused if method.constant_cost else 1, trace.wanted):
        halt(count)
        at = x, state
        x, state, seen_by.seen, seen = method.steps(count, oracle, *at, seen_by.watch, seen_by.seen)
        if seen:
            trace.look(k, seen_by, method.output_at(*at), seen.loss, seen.grad)
    return method.output_at(x, state), method.shown((x, state.inner)), seen_by


def strides(steps: int, most: int, alone: Container[int]) -> Iterator[tuple[int, int]]:
    """Every step, as strides ``(k, count)`` of ``most`` steps or of one; those in ``alone`` are of one."""
    k = 0
    while k < steps:
        together = k + most <= steps and not any(step in alone for step in range(k, k + most))
        count = most if together else 1
        yield k, count
        k += count


def join(stories: list[Story]) -> Story:
    """Stories side by side, as if their runs had been lanes of one pass."""
    if len(stories) == 1:
        return stories[0]
    whole = {
        each.name: np.concatenate([getattr(story, each.name) for story in stories], axis=-1)
        for each in fields(Story)
        if each.name not in ("told", "traced", "steps", "points", "marks")
    }
    before = np.cumsum([0, *(len(story.start) for story in stories[:-1])])
    return Story(
        **whole,
        told=Told(*(np.concatenate(each, axis=-1) for each in zip(*(story.told for story in stories), strict=True))),
        traced=np.concatenate([story.traced + first for story, first in zip(stories, before, strict=True)]),
        steps=stories[0].steps,
        points=np.concatenate([story.points for story in stories]),
        marks=tuple(marks for story in stories for marks in story.marks),
    )
