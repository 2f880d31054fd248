"""What is observed of the runs of a pass: best loss, first hits of targets, status steps and work, one number a run.

``observe_point`` is a pure function of tensors: a compiled step contains it, a single run calls it after each step.
``observe_lanes`` does the same in place, for eager lanes. ``Observer`` holds the state.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.engine.first_hits import count_misses
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params, leaves

__all__ = [
    "ObserverSpec",
    "ObserverState",
    "choose_step_dtype",
    "compute_judged_loss",
    "count_work",
    "is_finite",
    "make_spec",
    "make_state",
    "observe_lanes",
    "observe_point",
]

MAX_FLOAT32_COUNT = 2**24
"""Whole numbers up to here are exact in float32."""


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


def make_state(spec: ObserverSpec, step_dtype: torch.dtype = torch.int32) -> ObserverState:
    """The state before the first point. No two tensors are one object: a compiler would take them for one."""
    loss = spec.start

    def zeros(dtype: torch.dtype = torch.int32) -> Tensor:
        return torch.zeros_like(loss, dtype=dtype)

    return ObserverState(
        best=torch.full_like(loss, torch.inf),
        best_step=zeros(step_dtype),
        last=loss.clone(),
        finite_points=zeros(),
        last_at_or_below_start=zeros(step_dtype) - 1,
        last_above_target=zeros(step_dtype) - 1,
        misses=tuple(torch.zeros_like(loss > target, dtype=torch.int32) for target in spec.targets),
        gradients=zeros(),
        evaluations=zeros(),
        gradient_evals_to_target=zeros(),
        function_evals_to_target=zeros(),
    )


def choose_step_dtype(loss: torch.dtype, steps: int) -> torch.dtype:
    """The dtype of the steps that ``observe_lanes`` counts: that of losses, which is fastest, where it is exact."""
    return loss if steps < MAX_FLOAT32_COUNT else torch.float64


def observe_point(
    spec: ObserverSpec, k: int | Tensor, x: Params, seen: StepInfo, state: ObserverState
) -> ObserverState:
    """The state after x_k and the work of the step that starts there; a non-finite point freezes its run.

    k is a number, or in a compiled step a 0-d int32 tensor. Whether a run is still finite is told by
    ``finite_points == k``: with a bool of its own in the state a compiled step takes 1.4 times as long.
    """
    loss = compute_judged_loss(seen.loss, spec.start.dtype, spec.maximize)
    now, after = (k, k + 1) if isinstance(k, Tensor) else _make_counters(k, loss.device)
    was_alive = state.finite_points == now
    alive = was_alive & is_finite(loss, x, seen.grad, spec.laned)
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


def observe_lanes(
    spec: ObserverSpec, k: int, loss: Tensor, finite: Tensor | None, seen: StepInfo, state: ObserverState
) -> ObserverState:
    """The state of eager lanes after x_k, changed in place; ``finite``: which are, None where all are and always were.

    The numbers are those of ``observe_point`` in a third of the time (100,000 lanes): torch vectorises comparisons
    whose result is a number, and ``lerp_`` with these as weights, which puts k where they are 1; it vectorises neither
    comparisons whose result is a bool nor ``where``. So ``make_state`` has steps as floating-point numbers here.
    """
    now, usable, flags = state.best_step.new_full([], k), loss, torch.empty_like(state.best_step)
    if finite is None:
        state = state._replace(last=loss, finite_points=state.finite_points.fill_(k + 1))
    else:
        before, after = _make_counters(k, loss.device)
        was_alive = state.finite_points == before
        alive = was_alive & finite
        usable = torch.where(alive, loss, torch.inf)
        state = state._replace(
            last=torch.where(was_alive, loss, state.last),
            finite_points=torch.where(alive, after, state.finite_points),
        )
    state.best_step.lerp_(now, torch.lt(usable, state.best, out=flags))
    torch.minimum(state.best, usable, out=state.best)
    state.last_at_or_below_start.lerp_(now, torch.le(loss, spec.start, out=flags))
    state.last_above_target.lerp_(now, torch.gt(loss, spec.run_target, out=flags))
    if not spec.counts:
        return state
    alive = state.finite_points > k
    return count_work(seen, alive, alive & (state.best > spec.run_target), state)


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
