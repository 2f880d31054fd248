"""Observer of the runs of a pass: best loss, first hits of the targets, status steps and work, one number a run.

``observe_point`` is a pure function of tensors. A compiled step contains it, a single run and eager lanes call it after
each step; ``Observer`` holds its state there. Eager lanes record first hits in a ``HitLog`` and may drop lanes that are
no longer finite, because in lanes observing costs as much as the steps themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from gdbench.engine.first_hits import HitLog, count_misses
from gdbench.engine.observations import Observations, summarize
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params, leaves

__all__ = [
    "Observations",
    "Observer",
    "ObserverSpec",
    "ObserverState",
    "compute_judged_loss",
    "count_work",
    "observe_point",
]

MIN_LANES = 1024
"""Below this many lanes the dispatch of operations dominates, so that dropping lanes saves nothing."""
MAX_FINITE_SHARE = 0.75
"""Lanes are dropped when at most this share of them is finite: to copy the others costs about a step."""


class ObserverSpec(NamedTuple):
    """What runs are compared with, in the dtype of their losses."""

    targets: tuple[Tensor, ...]
    """The targets whose misses are counted: one ``[T]`` of a single run, T of ``[]`` or ``[L]`` in lanes; or none."""
    run_target: Tensor
    """The run's own target, a tensor of its own: a compiler makes another graph where it is one of ``targets``."""
    start: Tensor
    """The loss at x_0, above which a run counts as diverging; ``[L]`` in lanes, ``[]`` of a single run."""
    maximize: bool
    """Whether -f is judged."""
    laned: bool
    counts: bool
    """Whether work must be counted; if not, every step costs one gradient."""


class ObserverState(NamedTuple):
    """What was observed so far; every field has one number a run."""

    best: Tensor
    best_step: Tensor
    last: Tensor
    """The latest loss; the first non-finite one stays."""
    finite_points: Tensor
    """How many points were finite before the first that was not: all so far where there is none."""
    last_at_or_below_start: Tensor
    """The latest step whose loss was not above the start's; -1 before there is one."""
    last_above_target: Tensor
    """The latest step whose loss was above the run's own target; -1 before there is one."""
    misses: tuple[Tensor, ...]
    """At how many points the best loss was still above each of ``ObserverSpec.targets``."""
    gradients: Tensor
    evaluations: Tensor
    gradient_evals_to_target: Tensor
    function_evals_to_target: Tensor


def make_spec(
    thresholds: Tensor, start: Tensor, maximize: bool, counts: bool, *, counts_misses: bool = True
) -> ObserverSpec:
    """The spec for the targets ``thresholds`` ``[T, ...]``, -inf where unresolvable; the last is the run's own.

    Lanes compare target by target, with plain numbers where they share them: that is fastest.
    """
    laned = start.dim() > 0
    rows = tuple(row.reshape([]) if row.numel() == 1 else row for row in thresholds)
    targets = (rows if laned else (thresholds,)) if counts_misses else ()
    return ObserverSpec(targets, rows[-1].clone(), start, maximize, laned, counts)


def make_state(spec: ObserverSpec) -> ObserverState:
    """The state before the first point. No two tensors are one object: a compiler would take them for one."""
    loss = spec.start

    def zeros() -> Tensor:
        return torch.zeros_like(loss, dtype=torch.int32)

    return ObserverState(
        best=torch.full_like(loss, torch.inf),
        best_step=zeros(),
        last=loss.clone(),
        finite_points=zeros(),
        last_at_or_below_start=zeros() - 1,
        last_above_target=zeros() - 1,
        misses=tuple(torch.zeros_like(loss > target, dtype=torch.int32) for target in spec.targets),
        gradients=zeros(),
        evaluations=zeros(),
        gradient_evals_to_target=zeros(),
        function_evals_to_target=zeros(),
    )


def observe_point(
    spec: ObserverSpec, k: int | Tensor, x: Params, seen: StepInfo, state: ObserverState
) -> ObserverState:
    """The state after x_k and the work of the step that starts there; a non-finite point freezes its run.

    k is a number, or in a compiled step a 0-d int32 tensor. Whether a run is still finite is told by
    ``finite_points == k``: with a bool of its own in the state a compiled step takes 1.4 times as long.
    """
    loss = compute_judged_loss(seen.loss, spec.start.dtype, spec.maximize)
    now, after = (k, k + 1) if isinstance(k, Tensor) else _make_counters(k, loss.device)
    was_alive = alive = state.finite_points == now
    eager_lanes = spec.laned and isinstance(k, int)
    if not (eager_lanes and is_finite(loss, x, seen.grad, laned=False)):  # a third of the time of lane by lane
        alive = alive & is_finite(loss, x, seen.grad, spec.laned)
    improved = alive & (loss < state.best)
    best = torch.where(improved, loss, state.best)
    state = state._replace(
        best=best,
        best_step=torch.where(improved, now, state.best_step),
        last=torch.where(was_alive, loss, state.last),
        finite_points=torch.where(alive, after, state.finite_points),
        last_at_or_below_start=torch.where(loss > spec.start, state.last_at_or_below_start, now),
        last_above_target=torch.where(loss > spec.run_target, now, state.last_above_target),
        misses=count_misses(best, spec.targets, after, state.misses),
    )
    return count_work(seen, alive, alive & (best > spec.run_target), state) if spec.counts else state


def _make_counters(k: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The numbers k and k + 1 as tensors: beside a Python number an operation takes two to three times as long."""
    now, after = (torch.scalar_tensor(number, dtype=torch.int32, device=device) for number in (k, k + 1))
    return now, after


def count_work(seen: StepInfo, alive: Tensor, searching: Tensor, state: ObserverState) -> ObserverState:
    """The state with a step's work added, in all and, where ``searching``, on the way to the target."""
    return state._replace(
        gradients=state.gradients + seen.gradients * alive,
        evaluations=state.evaluations + seen.evaluations * alive,
        gradient_evals_to_target=state.gradient_evals_to_target + seen.gradients * searching,
        function_evals_to_target=state.function_evals_to_target + seen.evaluations * searching,
    )


def compute_judged_loss(loss: Tensor, dtype: torch.dtype, maximize: bool) -> Tensor:
    """The loss in the dtype in which it is judged, negated to maximize; half precisions are widened, which is exact."""
    loss = loss.detach().to(dtype)
    return -loss if maximize else loss


def is_finite(loss: Tensor, x: Params, grad: Params, laned: bool) -> Tensor:
    """Whether loss, gradient and x are all finite, ``[L]`` if ``laned``, else ``[]``: of one run, or of all lanes.

    x - x is 0 if x is finite, else NaN.

    Zero times each would do as well, but torch's compiler takes that for zero, whatever it is. NaN alone is not
    equal to itself; beside a Python number a comparison would take twice as long. Sums in place save the allocation of
    lanes: 0.34 ms instead of 0.46 for 125,000 lanes of two numbers.
    """
    probe = (loss - loss).sum() if loss.dim() and not laned else loss - loss
    for leaf, slope in zip(leaves(x), leaves(grad), strict=True):
        leaf, slope = leaf.detach(), slope.detach()
        zeros = (leaf - leaf).add_(slope).sub_(slope)
        event = range(1, zeros.dim()) if laned else range(zeros.dim())
        probe.add_(zeros.sum() if event and not laned else zeros.sum(tuple(event)) if event else zeros)
    return probe == probe


class Observer:
    """The observer of one run, of compiled lanes, or of eager lanes, of which some may be dropped."""

    def __init__(
        self, thresholds: Tensor, start: Tensor, maximize: bool, counts: bool, *, eager_lanes: bool = False
    ) -> None:
        """``thresholds`` is ``[T]`` of a single run, else ``[T, L]``, or ``[T, 1]`` where the lanes share them."""
        self.start = start
        self.hit_log = HitLog(thresholds, start) if eager_lanes else None
        self.all_spec = self.spec = make_spec(thresholds, start, maximize, counts, counts_misses=not eager_lanes)
        self.all_state = self.state = make_state(self.spec)
        """``all_*`` are of all lanes, ``state`` and ``spec`` of those that are left."""
        self.points = 0
        self.rows: Tensor | None = None
        """Which lanes are left; None while all are."""

    def observe(self, k: int, x: Params, seen: StepInfo) -> None:
        """Observe x_k of the lanes that are left."""
        self.state, self.points = observe_point(self.spec, k, x, seen, self.state), k + 1
        if self.hit_log is not None:
            self.hit_log.record(k, self.state.best, self.rows)

    def add_work(self, seen: StepInfo) -> None:
        """Add the work of a step whose point is not judged, while its run is finite and, so far, above its target."""
        alive = self.state.finite_points == self.points
        self.state = count_work(seen, alive, alive & (self.state.best > self.spec.run_target), self.state)

    @property
    def count(self) -> int:
        """How many lanes are left."""
        return len(self.state.best)

    def find_finite_lanes(self) -> Tensor | None:
        """The lanes that are still finite, at least one, where it pays to drop the others; else None."""
        alive = self.state.finite_points == self.points
        if len(alive) < MIN_LANES or int(alive.sum()) > MAX_FINITE_SHARE * len(alive):
            return None
        lanes = alive.nonzero()[:, 0]
        return lanes if len(lanes) else lanes.new_zeros(1)

    def keep_lanes(self, lanes: Tensor) -> Tensor:
        """Drop all other lanes, whose observations are complete. Returns which of the first lanes are left."""
        count = self.count
        self._store_state()
        self.rows = lanes if self.rows is None else self.rows[lanes]

        def pick(leaf: Tensor) -> Tensor:
            return leaf[lanes] if leaf.shape[:1] == (count,) else leaf

        self.spec, self.state = tree_map_only(Tensor, pick, (self.spec, self.state))
        if self.hit_log is not None:
            self.hit_log.keep_lanes(lanes)
        return self.rows

    def _store_state(self) -> None:
        """Write the state of the lanes that are left into that of all lanes."""
        if self.rows is None:
            self.all_state = self.state
            return
        for whole, part in zip(tree_leaves(self.all_state), tree_leaves(self.state), strict=True):
            whole[self.rows] = part

    def summarize(self, steps: int) -> Observations[Tensor]:
        """The observations of all runs, after x_steps was observed."""
        self._store_state()
        hits = None if self.hit_log is None else self.hit_log.list_first_hits(steps)
        return summarize(self.all_spec, steps, self.all_state, hits)

    def expand(self, values: Any) -> Any:
        """Values of the lanes that are left as values of all, NaN (or 0, of integers) for those that were dropped."""
        if self.rows is None:
            return values

        def expand_leaf(leaf: Tensor) -> Tensor:
            fill = torch.nan if leaf.is_floating_point() else 0
            whole = leaf.new_full((len(self.start), *leaf.shape[1:]), fill)
            whole[self.rows] = leaf
            return whole

        return tree_map_only(Tensor, expand_leaf, values)
