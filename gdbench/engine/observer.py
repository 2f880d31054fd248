"""What is seen of a run while it goes: first hits, best loss, status, work. Pure, so that it can fuse into a step.

Lanes that no compiler carries are looked at by a ``Crowd``, which keeps to what has changed and tells the same.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params, leaves

__all__ = ["Told", "Watch", "Watched", "begin", "finite", "judged", "told", "update", "watching"]


class Watch(NamedTuple):
    """What a run is judged by, in the dtype of its losses; made by ``watching``."""

    targets: tuple[Tensor, ...]
    """The targets as they are fastest compared: solo all at once, in lanes one by one, as numbers if they may."""
    own: Tensor
    """The run's own target, a tensor of its own: a compiler makes another graph where it is one of ``targets``."""
    start: Tensor
    """The loss at x_0, above which a run counts as risen; ``[L]`` in lanes, ``[]`` solo."""
    maximize: bool
    """Whether everything is judged on -f."""
    laned: bool
    counts: bool
    """Whether work must be counted; if not, every step costs one gradient."""


def watching(thresholds: Tensor, start: Tensor, maximize: bool = False, *, laned: bool, counts: bool = True) -> Watch:
    """The watch for losses ``thresholds`` ``[T, ...]``, -inf where one cannot be told; the last is the run's own."""
    rows = tuple(each.reshape([]) if each.numel() == 1 else each for each in thresholds)
    return Watch(rows if laned else (thresholds,), rows[-1].clone(), start, maximize, laned, counts)


class Watched(NamedTuple):
    """What has been seen so far; every field has one number a lane."""

    best: Tensor
    best_step: Tensor
    last: Tensor
    """The latest loss; the first non-finite one stays."""
    lived: Tensor
    """How many points were finite before the first that was not: all so far where there is none."""
    level: Tensor
    """The latest step whose loss was not above the start's."""
    above_target: Tensor
    """The latest step whose loss was above the run's own target."""
    missed: tuple[Tensor, ...]
    """At how many points the best loss was still above each of ``Watch.targets``."""
    gradients: Tensor
    evaluations: Tensor
    gradient_evals_to_target: Tensor
    function_evals_to_target: Tensor


T = TypeVar("T")


class Told(NamedTuple, Generic[T]):
    """What was seen of a whole run, one number a lane."""

    best: T
    best_step: T
    last: T
    lived: T
    alive: T
    above_since: T
    """First step of the unbroken stretch above the start's loss that reaches to the end; -1 where there is none."""
    settled_since: T
    """First step of the unbroken stretch at or below the run's own target that reaches to the end; -1 without one."""
    missed: T
    """``[T, ...]``: the first-hit step of each target; one more than the last step where it was never hit."""
    gradients: T
    evaluations: T
    gradient_evals_to_target: T
    function_evals_to_target: T


def begin(watch: Watch) -> Watched:
    """Nothing has been seen. Every tensor is one of its own: a compiler takes one that it meets twice for one."""
    loss = watch.start

    def zeros() -> Tensor:
        return torch.zeros_like(loss, dtype=torch.int32)

    return Watched(
        best=torch.full_like(loss, torch.inf),
        best_step=zeros(),
        last=loss.clone(),
        lived=zeros(),
        level=zeros() - 1,
        above_target=zeros() - 1,
        missed=tuple(torch.zeros_like(loss > target, dtype=torch.int32) for target in watch.targets),
        gradients=zeros(),
        evaluations=zeros(),
        gradient_evals_to_target=zeros(),
        function_evals_to_target=zeros(),
    )


def update(watch: Watch, k: int | Tensor, x: Params, seen: StepInfo, w: Watched) -> Watched:
    """Look at x_k, which is finite or ends its lane's story, and at the work of the step that starts there.

    k is a number, or in a compiled step a 0-d int32 tensor.
    """
    loss = judged(seen.loss, watch.start.dtype, watch.maximize)
    now, after = (k, k + 1) if isinstance(k, Tensor) else _counters(k, loss.device)
    lived = w.lived == now
    alive = lived & finite(loss, x, seen.grad, watch.laned)
    improved = alive & (loss < w.best)
    best = torch.where(improved, loss, w.best)
    w = w._replace(
        best=best,
        best_step=torch.where(improved, now, w.best_step),
        last=torch.where(lived, loss, w.last),
        lived=torch.where(alive, after, w.lived),
        level=torch.where(loss > watch.start, w.level, now),
        above_target=torch.where(loss > watch.own, now, w.above_target),
        missed=tuple(torch.where(best > target, after, n) for n, target in zip(w.missed, watch.targets, strict=True)),
    )
    return _counted(seen, alive, alive & (best > watch.own), w) if watch.counts else w


def _counters(k: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The numbers k and k + 1 as tensors: beside a Python number an operation takes two to three times as long."""
    now, after = (torch.scalar_tensor(number, dtype=torch.int32, device=device) for number in (k, k + 1))
    return now, after


def _counted(seen: StepInfo, alive: Tensor, searching: Tensor, w: Watched) -> Watched:
    """The work of a step, in all and on the way to the target."""
    return w._replace(
        gradients=w.gradients + seen.gradients * alive,
        evaluations=w.evaluations + seen.evaluations * alive,
        gradient_evals_to_target=w.gradient_evals_to_target + seen.gradients * searching,
        function_evals_to_target=w.function_evals_to_target + seen.evaluations * searching,
    )


def told(watch: Watch, steps: int, w: Watched) -> Told[Tensor]:
    """The whole story, after the point x_steps has been looked at."""
    missed = torch.stack(w.missed) if watch.laned else w.missed[0]
    alive = w.lived > steps
    risen = alive & (w.level < steps)
    if not watch.counts:
        worked = w.lived.clamp(max=steps)
        w = w._replace(gradients=worked, gradient_evals_to_target=torch.minimum(worked, missed[-1]))
    return Told(
        best=w.best,
        best_step=w.best_step,
        last=w.last,
        lived=w.lived,
        alive=alive,
        above_since=torch.where(risen, w.level + 1, -1),
        settled_since=torch.where(alive & (w.above_target < steps), w.above_target + 1, -1),
        missed=missed,
        gradients=w.gradients,
        evaluations=w.evaluations,
        gradient_evals_to_target=w.gradient_evals_to_target,
        function_evals_to_target=w.function_evals_to_target,
    )


def judged(loss: Tensor, dtype: torch.dtype, maximize: bool) -> Tensor:
    """The loss as it is judged; half precisions are widened, which loses nothing."""
    loss = loss.detach().to(dtype)
    return -loss if maximize else loss


def finite(loss: Tensor, x: Params, grad: Params, laned: bool) -> Tensor:
    """Whether loss, gradient and x are all finite: only then is zero, and not NaN, what is left of each without itself.

    Zero times each would tell the same, but torch's compiler takes that for zero, whatever it is. NaN alone is not
    equal to itself; beside a Python number a comparison would take twice as long.
    """
    probe = loss - loss
    for leaf, slope in zip(leaves(x), leaves(grad), strict=True):
        leaf, slope = leaf.detach(), slope.detach()
        zeros = (leaf - leaf) + (slope - slope)
        event = range(1, zeros.dim()) if laned else range(zeros.dim())
        total = zeros.sum() if event and not laned else zeros.sum(tuple(event)) if event else zeros
        probe = probe + total
    return probe == probe
