"""The pass that watches and is not timed: a whole cell in lanes, or one run solo, told in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.config.spacing import space_logarithmically
from gdbench.engine.batch_observer import Crowd, Onlooker, Watcher, staying
from gdbench.engine.cell import Cell
from gdbench.engine.descent import Look, descent
from gdbench.engine.marks import digest, mark_steps
from gdbench.engine.observer import Told, update
from gdbench.engine.targets import ladder, thresholds_in
from gdbench.optimizers.base import Method, Oracle, Seen, judging
from gdbench.tree import Params, flat, size, tree_map

__all__ = ["Halt", "Story", "join", "strides", "tell", "trace_steps", "traced_runs"]

Array = npt.NDArray[Any]
Halt = Callable[[int], None]
"""Called before so many steps; raises where the pass is to be given up."""

X_SIZE = 16
"""Points of at most this many numbers are kept in traces."""
ROLL_CALL = 8
"""Every so many steps lanes that are no longer finite may leave."""
TRACED_RUNS = 1000
"""Thinned traces are kept of at most this many runs of a cell, evenly chosen."""


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
    start = _judging(full.value(x, 0))
    sign = -1.0 if cell.maximize else 1.0
    rungs = ladder(
        cell.f_star,
        cell.rounding,
        np.atleast_1d(_numpy(start).astype(np.float64)) * sign,
        cell.dtype,
        cell.target,
        cell.target_loss,
    )
    thresholds = thresholds_in(start.dtype, rungs.thresholds).to(cell.device)
    fused = laned and cell.maker.compiled
    if laned and (not cell.starts_differ() if fused else bool((start == start[0]).all())):
        thresholds = thresholds[:, :1]  # lanes that start together share their targets
    given = thresholds if laned else thresholds[:, 0], start * sign, cell.maximize
    trace = _Trace(cell, laned, traced, judge.full)
    if fused:
        x, ended, crowd = _walk_fused(cell, oracle, x, partial(Watcher, *given, laned), trace, halt)
    elif laned:
        x, ended, crowd = _walk_lanes(cell, oracle, x, partial(Crowd, *given, steps=cell.steps), trace, halt)
    else:
        x, ended, crowd = _walk(cell, oracle, x, partial(Watcher, *given, laned), trace, halt)
    x = tree_map(lambda leaf: leaf.detach(), x)
    loss, grad = full.grad(x, cell.steps)  # judging the last point is not the method's work
    crowd.look(cell.steps, x, Seen(loss, grad, 0, 0))
    trace.look(cell.steps, crowd, x, loss, grad)
    denormals = _denormals(ended, len(loss) if laned else None, cell.device)
    return Story(
        start=np.atleast_1d(_numpy(crowd.start).astype(np.float64)),
        floor=rungs.floor,
        told=Told(*(_runs_last(_numpy(each), laned) for each in crowd.told(cell.steps))),
        grad_norm=_runs_last(_numpy(crowd.spread(_norm(grad, laned))), laned),
        distance=_runs_last(_numpy(crowd.spread(_distance(cell, x, laned))), laned),
        denormals=_runs_last(_numpy(crowd.spread(denormals)), laned),
        **trace.kept(),
    )


Walked = tuple[Params, tuple[Params, Any], Onlooker]
"""The last point judged, the method's own x and state there, and what was seen before it."""


def _walk(
    cell: Cell, oracle: Oracle, x: Params, watcher: Callable[[bool], Watcher], trace: _Trace, halt: Halt
) -> Walked:
    """A run alone, step by step, looked at from outside."""
    method = cell.solo_method(0)
    seen_by = watcher(not method.constant_cost)
    look = _looking(method, cell.judge(laned=False), seen_by, trace, halt)
    x, state = descent(method, oracle, x, range(cell.steps), look=look)
    return method.judged_at(x, state), (x, state), seen_by


def _walk_lanes(
    cell: Cell, oracle: Oracle, x: Params, crowd_of: Callable[[bool], Crowd], trace: _Trace, halt: Halt
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
    return method.judged_at(x, state), (x, state), crowd


def _looking(method: Method, judge: Oracle, onlooker: Onlooker, trace: _Trace, halt: Halt) -> Look:
    def look(k: int, x: Params, seen: Seen) -> None:
        halt(1)
        seen = judging(method, judge, k, x, seen)
        onlooker.look(k, x, seen)
        trace.look(k, onlooker, x, seen.loss, seen.grad)

    return look


def _walk_fused(
    cell: Cell, oracle: Oracle, x: Params, watcher: Callable[[bool], Watcher], trace: _Trace, halt: Halt
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
            trace.look(k, seen_by, method.judged_at(*at), seen.loss, seen.grad)
    return method.judged_at(x, state), method.shown((x, state.inner)), seen_by


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


def traced_runs(cell: Cell) -> Array:
    """The runs of a cell of which traces are kept: all, or, where they are thinned, a thousand evenly chosen ones."""
    if cell.record == "thin" and cell.size > TRACED_RUNS:
        return np.linspace(0, cell.size - 1, TRACED_RUNS).round().astype(np.int64)
    return np.arange(0 if cell.record == "none" else cell.size)


def trace_steps(steps: int, record: str) -> Array:
    """The steps that a trace keeps: all, none, or the start, ten a decade and the end."""
    if record == "none":
        return np.empty(0, dtype=np.int64)
    if record == "full":
        return np.arange(steps + 1)
    count = 1 + math.ceil(10 * math.log10(steps))
    spaced = space_logarithmically(Decimal(1), Decimal(steps), count) if steps > 1 else np.ones(1)
    return np.unique(np.concatenate([[0], np.rint(spaced), [steps]]).astype(np.int64))


class _Trace:
    """Keeps loss, gradient norm and, where it is small, x at the wanted steps; all stays on the device until told."""

    def __init__(self, cell: Cell, laned: bool, traced: Array, full: Oracle | None) -> None:
        self.full = full
        self.steps = trace_steps(cell.steps, cell.record)
        self.wanted = frozenset(self.steps.tolist() if len(traced) else [])
        self.marks: dict[int, bytes] | None = None if laned or not cell.seconds else {}
        self.marked = frozenset(mark_steps(cell.steps) if self.marks is not None else [])
        self.noted = self.wanted | self.marked
        self.traced, self.laned = traced, laned
        self.pick: Callable[[Tensor], Tensor] = lambda leaf: leaf
        if laned and len(traced) < cell.size:
            index = torch.from_numpy(traced).to(cell.device)
            self.pick = lambda leaf: leaf[index]
        self.keep_x = size(cell.start(int(cell.seeds[0]))) <= X_SIZE
        self.sign = -1.0 if cell.maximize else 1.0
        self.seen: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def look(self, k: int, crowd: Onlooker, x: Params, loss: Tensor, grad: Params) -> None:
        if k not in self.noted:
            return
        if self.marks is not None and k in self.marked:
            self.marks[k] = digest(x)
        if k not in self.wanted:
            return
        if self.full is not None:  # steps saw other gradients
            grad = self.full.grad(x, k)[1]
        x, loss, grad = crowd.spread((x, loss.detach(), grad))
        loss = self.pick(_judging(loss)) * self.sign
        norm = _norm(tree_map(self.pick, grad), self.laned)
        point = flat(tree_map(lambda leaf: self.pick(leaf.detach()), x), self.laned).clone() if self.keep_x else None
        self.seen.append((loss, norm, point))

    def kept(self) -> dict[str, Any]:
        runs = len(self.traced)
        losses = [np.atleast_1d(_numpy(loss)) for loss, _, _ in self.seen]
        norms = [np.atleast_1d(_numpy(norm)) for _, norm, _ in self.seen]
        points = [_numpy(point).reshape(runs, -1) for _, _, point in self.seen if point is not None]
        return {
            "traced": self.traced,
            "steps": self.steps,
            "losses": np.array(losses, dtype=np.float64).reshape(len(self.steps), runs),
            "grad_norms": np.array(norms, dtype=np.float64).reshape(len(self.steps), runs),
            "points": np.stack(points, axis=1) if points else np.empty((runs, len(self.steps), 0)),
            "marks": () if self.marks is None else (self.marks,),
        }


def _judging(loss: Tensor) -> Tensor:
    """Losses are judged in float32 at least."""
    return loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss


def _numpy(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _runs_last(array: Array, laned: bool) -> Array:
    """A solo run gets the axis of runs that lanes have."""
    return array if laned else array[..., None]


def _widest(tensor: Tensor) -> Tensor:
    """Float64 where the device has it."""
    return tensor.float() if tensor.device.type == "mps" else tensor.double()


def _norm(tree: Params, laned: bool) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(_widest(flat(tree, laned).detach()), dim=-1)
    return norm


def _distance(cell: Cell, x: Params, laned: bool) -> Tensor:
    """Distance of each run to its nearest minimiser; NaN where none is known."""
    point = flat(x, laned)
    if not cell.objective.minimisers or cell.maximize:
        return torch.full(point.shape[:-1], torch.nan)
    each = [_widest(point) - _widest(flat(minimiser, False)) for minimiser in cell.objective.minimisers]
    return torch.stack([torch.linalg.vector_norm(gap, dim=-1) for gap in each]).amin(0)


def _denormals(tree: Any, runs: int | None, device: torch.device) -> Tensor:
    """How many numbers of x and state are subnormal, a lane; state that is not laned counts for none."""
    total = torch.zeros([] if runs is None else [runs], dtype=torch.int64, device=device)
    for leaf in _tensors(tree):
        if not leaf.is_floating_point() or (runs is not None and leaf.shape[:1] != (runs,)):
            continue
        tiny = (leaf != 0) & (leaf.abs() < torch.finfo(leaf.dtype).tiny)
        total = total + (tiny.sum() if runs is None else tiny.reshape(runs, -1).sum(-1)).to(device)
    return total


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree.detach()]
    if isinstance(tree, torch.optim.Optimizer):
        return _tensors(dict(tree.state))
    if isinstance(tree, dict):
        return [leaf for each in tree.values() for leaf in _tensors(each)]
    if isinstance(tree, (tuple, list)):
        return [leaf for each in tree for leaf in _tensors(each)]
    return []
