"""What is seen of a run while it goes: first hits, best loss, status, work. Pure, so that it can fuse into a step.

In lanes this costs as much as the steps themselves, so it does without whatever can be told afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from gdbench.optimizers import Seen
from gdbench.params import Params, leaves

__all__ = ["Told", "Watch", "Watched", "begin", "told", "update"]

FLUSH = 255
"""Misses are counted in a byte a target, which is moved on before it can overflow: an eighth of the traffic."""


@dataclass(frozen=True)
class Watch:
    """What a run is judged by, in the dtype of its losses; ``[L]`` in lanes, ``[]`` solo."""

    thresholds: Tensor
    """``[T, ...]``: the losses that are the targets; -inf for one that cannot be told. The last is the run's own."""
    start: Tensor
    """The loss at x_0, above which a run counts as risen."""
    sign: float
    """-1 where the method maximises: everything is judged on -f."""
    laned: bool
    counts: bool = True
    """Whether work must be counted; if not, every step costs one gradient."""
    targets: tuple[Tensor, ...] = field(init=False)
    """The thresholds as they are fastest compared: solo all at once, in lanes one by one, as numbers if they may."""

    def __post_init__(self) -> None:
        """Lay out the targets."""
        rows = tuple(each.reshape([]) if each.numel() == 1 else each for each in self.thresholds)
        object.__setattr__(self, "targets", rows if self.laned else (self.thresholds,))


class Watched(NamedTuple):
    """What has been seen so far; every field has one number a lane."""

    best: Tensor
    best_step: Tensor
    last: Tensor
    """The latest loss; the first non-finite one stays."""
    lived: Tensor
    """How many points were finite before the first that was not: its step, if there is one."""
    alive: Tensor
    level: Tensor
    """The latest step whose loss was not above the start's."""
    missed: tuple[Tensor, ...]
    """At how many points, up to the last flush, the best loss was still above each of ``Watch.targets``."""
    recent: tuple[Tensor, ...]
    """The same since then, in bytes."""
    gradients: Tensor
    evaluations: Tensor
    gradients_to_target: Tensor
    evaluations_to_target: Tensor


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
    missed: T
    """``[T, ...]``: the first-hit step of each target; one more than the last step where it was never hit."""
    gradients: T
    evaluations: T
    gradients_to_target: T
    evaluations_to_target: T


def begin(watch: Watch) -> Watched:
    """Nothing has been seen."""
    loss = watch.start
    zero = torch.zeros_like(loss, dtype=torch.int32)
    missed = tuple(torch.zeros_like(loss > target, dtype=torch.int32) for target in watch.targets)
    return Watched(
        best=torch.full_like(loss, torch.inf),
        best_step=zero,
        last=loss,
        lived=zero,
        alive=torch.ones_like(loss, dtype=torch.bool),
        level=zero - 1,
        missed=missed,
        recent=tuple(each.to(torch.uint8) for each in missed),
        gradients=zero,
        evaluations=zero,
        gradients_to_target=zero,
        evaluations_to_target=zero,
    )


def update(watch: Watch, k: int, x: Params, seen: Seen, w: Watched) -> Watched:
    """Look at x_k, which is finite or ends its lane's story, and at the work of the step that starts there."""
    loss = _judged(seen.loss, watch)
    alive = w.alive & _finite(loss, x, seen.grad, watch.laned)
    usable = torch.where(alive, loss, torch.inf)
    best = torch.minimum(w.best, usable)
    # A truth is a byte already: seen as one it is added without being converted.
    recent = tuple(n + (best > t).view(torch.uint8) for n, t in zip(w.recent, watch.targets, strict=True))
    w = w._replace(
        best=best,
        best_step=torch.where(usable < w.best, k, w.best_step),
        last=torch.where(w.alive, loss, w.last),
        lived=torch.where(alive, k + 1, w.lived),
        alive=alive,
        level=torch.where(loss > watch.start, w.level, k),
        recent=recent,
    )
    if (k + 1) % FLUSH == 0:
        w = _flushed(w)
    return _counted(seen, alive, alive & (best > watch.thresholds[-1]), w) if watch.counts else w


def _flushed(w: Watched) -> Watched:
    """Move the bytes on to where they cannot overflow."""
    missed = tuple(m + n for m, n in zip(w.missed, w.recent, strict=True))
    return w._replace(missed=missed, recent=tuple(torch.zeros_like(n) for n in w.recent))


def _counted(seen: Seen, alive: Tensor, searching: Tensor, w: Watched) -> Watched:
    """The work of a step, in all and on the way to the target."""
    return w._replace(
        gradients=w.gradients + seen.gradients * alive,
        evaluations=w.evaluations + seen.evaluations * alive,
        gradients_to_target=w.gradients_to_target + seen.gradients * searching,
        evaluations_to_target=w.evaluations_to_target + seen.evaluations * searching,
    )


def told(watch: Watch, steps: int, w: Watched) -> Told[Tensor]:
    """The whole story, after the point x_steps has been looked at."""
    rows = _flushed(w).missed
    missed = torch.stack(rows) if watch.laned else rows[0]
    risen = w.alive & (w.level < steps)
    if not watch.counts:
        worked = w.lived.clamp(max=steps)
        w = w._replace(gradients=worked, gradients_to_target=torch.minimum(worked, missed[-1]))
    return Told(
        best=w.best,
        best_step=w.best_step,
        last=w.last,
        lived=w.lived,
        alive=w.alive,
        above_since=torch.where(risen, w.level + 1, -1),
        missed=missed,
        gradients=w.gradients,
        evaluations=w.evaluations,
        gradients_to_target=w.gradients_to_target,
        evaluations_to_target=w.evaluations_to_target,
    )


def _judged(loss: Tensor, watch: Watch) -> Tensor:
    """The loss as it is judged; half precisions are widened, which loses nothing."""
    loss = loss.detach().to(watch.start.dtype)
    return -loss if watch.sign < 0 else loss


def _finite(loss: Tensor, x: Params, grad: Params, laned: bool) -> Tensor:
    """Whether loss, gradient and x are all finite: only then is zero times each still zero."""
    probe = loss * 0
    for leaf, slope in zip(leaves(x), leaves(grad), strict=True):
        zeros = leaf.detach() * 0 + slope.detach() * 0
        event = tuple(range(1, zeros.dim())) if laned else tuple(range(zeros.dim()))
        probe = probe + (zeros.sum(event) if event else zeros)
    return probe == 0
