"""The batches of lanes: samples of each run's own seed, gathered from tensors in one operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gdbench.objectives.training_data import compute_epoch_order

__all__ = ["LaneBatches"]


class LaneBatches:
    """The batches of runs with the seeds ``[L]``, from tensors whose first axis counts samples.

    The order of an epoch is computed once for each distinct seed: to sort 1,400 numbers takes as long as a step.
    """

    def __init__(self, tensors: Sequence[Tensor], size: int, seeds: Tensor) -> None:
        """``size`` is the number of samples of a batch."""
        self.tensors, self.size = tuple(tensors), size
        self.samples = len(self.tensors[0])
        self.per_epoch = self.samples // size
        distinct, which = torch.unique(seeds, return_inverse=True)
        self.seeds = distinct.tolist()
        self.which = which if len(distinct) > 1 else None
        """The index of each lane among the distinct seeds; None where all lanes share one, and its batches."""
        self.epoch = -1
        self.order = torch.empty(0)

    def batch(self, k: int) -> tuple[Tensor, ...]:
        """The batch of step k: ``[L, B, ...]``, or ``[B, ...]`` where all lanes share it."""
        epoch, place = divmod(k, self.per_epoch)
        if epoch != self.epoch:
            device = self.tensors[0].device
            orders = [compute_epoch_order(torch.tensor(seed), epoch, self.samples) for seed in self.seeds]
            self.epoch, self.order = epoch, torch.stack(orders).to(device)
        chosen = self.order[:, place * self.size : (place + 1) * self.size]
        chosen = chosen[0] if self.which is None else chosen[self.which]
        return tuple(tensor[chosen] for tensor in self.tensors)
