"""What is seen of a run while it goes: first hits, best loss, status, work. Pure, so that it can fuse into a step."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from gdbench.optimizers import Seen
from gdbench.params import Params, leaves

__all__ = ["Watch", "Watched", "begin", "update"]


class Watch(NamedTuple):
    """What a run is judged by, in the dtype of its losses; ``[L]`` in lanes, ``[]`` solo."""

    thresholds: Tensor
    """``[T, ...]``: the losses that are the targets; -inf for one that cannot be told. The last is the run's own."""
    start: Tensor
    """The loss at x_0, above which a run counts as risen."""
    sign: float
    """-1 where the method maximises: everything is judged on -f."""
    laned: bool


T = TypeVar("T")


class Watched(NamedTuple, Generic[T]):
    """What has been seen so far, as tensors or, once told, as arrays; every field has one number a lane."""

    best: T
    best_step: T
    last: T
    """The latest loss; the first non-finite one stays."""
    lived: T
    """How many points were finite before the first that was not: its step, if there is one."""
    alive: T
    above_since: T
    """First step of the unbroken stretch above the start's loss that reaches to now; -1 outside of one."""
    missed: T
    """``[T, ...]``: at how many points the best loss was still above the target: the first-hit step, once it is hit."""
    gradients: T
    evaluations: T
    gradients_to_target: T
    evaluations_to_target: T


def begin(watch: Watch) -> Watched[Tensor]:
    """Nothing has been seen."""
    loss = watch.start
    zero = torch.zeros_like(loss, dtype=torch.int32)
    return Watched(
        best=torch.full_like(loss, torch.inf),
        best_step=zero,
        last=loss,
        lived=zero,
        alive=torch.ones_like(loss, dtype=torch.bool),
        above_since=zero - 1,
        missed=torch.zeros_like(watch.thresholds, dtype=torch.int32),
        gradients=zero,
        evaluations=zero,
        gradients_to_target=zero,
        evaluations_to_target=zero,
    )


def update(watch: Watch, k: int, x: Params, seen: Seen, w: Watched[Tensor]) -> Watched[Tensor]:
    """Look at x_k, which is finite or ends its lane's story, and at the work of the step that starts there."""
    loss = _judged(seen.loss, watch)
    alive = w.alive & _finite(loss, x, seen.grad, watch.laned)
    usable = torch.where(alive, loss, torch.inf)
    best = torch.minimum(w.best, usable)
    above = torch.where(w.above_since < 0, k, w.above_since)
    open_ = best > watch.thresholds
    return Watched(
        best=best,
        best_step=torch.where(usable < w.best, k, w.best_step),
        last=torch.where(w.alive, loss, w.last),
        lived=w.lived + alive,
        alive=alive,
        above_since=torch.where(alive & (loss > watch.start), above, -1),
        missed=w.missed + open_,
        gradients=w.gradients + seen.gradients * alive,
        evaluations=w.evaluations + seen.evaluations * alive,
        gradients_to_target=w.gradients_to_target + seen.gradients * (open_[-1] & alive),
        evaluations_to_target=w.evaluations_to_target + seen.evaluations * (open_[-1] & alive),
    )


def _judged(loss: Tensor, watch: Watch) -> Tensor:
    """The loss as it is judged; half precisions are widened, which loses nothing."""
    loss = loss.detach().to(watch.start.dtype)
    return -loss if watch.sign < 0 else loss


def _finite(loss: Tensor, x: Params, grad: Params, laned: bool) -> Tensor:
    """Whether loss, gradient and x are all finite: only then is zero times each still zero."""
    probe = loss * 0
    for leaf in (*leaves(x), *leaves(grad)):
        zeros = leaf.detach() * 0
        probe = probe + (zeros.reshape(zeros.shape[0], -1).sum(-1) if laned else zeros.sum())
    return probe == 0
