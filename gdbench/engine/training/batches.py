"""The batches of a training run, step by step: pure functions of seed and step, whatever the data come from."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gdbench.engine.random_state import compute_number, seed_globals
from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.training import JUDGED, TRAIN, Training
from gdbench.objectives.training_data import collate_samples, compute_epoch_order, list_tensors, to_tensors

__all__ = ["BatchSource"]

Batch = tuple[Tensor, ...]
BATCH_STREAM = 0x2545F491
"""XORed into a seed, so that what a batch draws is independent of what a step draws, a dropout mask for example."""
CACHED_ORDERS = 8
"""Epochs whose order is held at most: timed blocks of steps alternate between a few of them."""


class BatchSource:
    """The batches of one run: ``batch(k)`` has the tensors of step k, on the run's device and in its dtype."""

    batch: Callable[[int], Batch]

    def __init__(self, objective: Objective, seed: int, device: torch.device | str) -> None:
        """``objective`` is that of a workload, in the run's dtype and on its device."""
        assert objective.training is not None
        tensors = list_tensors(objective.data, TRAIN)
        if tensors:
            self.batch = TensorBatches(objective.training, tensors, seed).batch
            return
        dtypes = [part.dtype for part in list_tensors(objective.data, JUDGED)]
        draw: Any = LoaderBatches if objective.training.samples is None else DatasetBatches
        self.batch = LastBatch(draw(objective.training, seed).batch, partial(place_batch, device, dtypes)).batch


class TensorBatches:
    """Batches of tensors, which are indexed by the order of their epoch."""

    def __init__(self, training: Training, tensors: Batch, seed: int) -> None:
        self.tensors, self.size = tensors, training.batch
        self.orders = EpochOrders(seed, len(tensors[0]), tensors[0].device)
        self.steps_per_epoch = len(tensors[0]) // self.size

    def batch(self, k: int) -> Batch:
        """The samples of step k; the last samples of an epoch that do not fill a batch are left out."""
        epoch, place = divmod(k, self.steps_per_epoch)
        indices = self.orders[epoch][place * self.size : (place + 1) * self.size]
        return tuple([part.index_select(0, indices) for part in self.tensors])


class DatasetBatches:
    """Batches of a map-style Dataset, whose samples are made under generators set from (seed, step)."""

    def __init__(self, training: Training, seed: int) -> None:
        assert training.samples is not None
        self.dataset, self.size, self.seed = training.train, training.batch, seed
        self.orders = EpochOrders(seed, training.samples, "cpu")
        self.steps_per_epoch = training.samples // self.size

    def batch(self, k: int) -> Batch:
        """The samples of step k, collated as a DataLoader does."""
        epoch, place = divmod(k, self.steps_per_epoch)
        indices = self.orders[epoch][place * self.size : (place + 1) * self.size]
        with seed_globals(self.seed ^ BATCH_STREAM, k):
            return collate_samples(self.dataset, indices.tolist())


class EpochOrders(OrderedDict[int, Tensor]):
    """The order of the samples in each epoch; the last few are held."""

    def __init__(self, seed: int, samples: int, device: torch.device | str) -> None:
        super().__init__()
        self.seed, self.samples = torch.tensor(seed, device=device), samples

    def __missing__(self, epoch: int) -> Tensor:
        """Compute the order of an epoch that is not held."""
        if len(self) >= CACHED_ORDERS:
            self.popitem(last=False)
        order = self[epoch] = compute_epoch_order(self.seed, epoch, self.samples)
        return order


class LoaderBatches:
    """Batches of ``loader(generator)``: an epoch is one iteration, its generator set from (seed, epoch).

    They come in order. An earlier step than the last one starts the epoch anew, and what comes before it is skipped.
    """

    def __init__(self, training: Training, seed: int) -> None:
        self.make, self.seed = training.train, seed ^ BATCH_STREAM
        self.generator = make_generator(seed)
        self.loader: Iterable[Any] | None = None
        self.batches: Iterator[Any] = iter(())
        self.ends: list[int] = []
        """The step after the last of each epoch that has been iterated to its end."""
        self.epoch, self.next = -1, 0

    def batch(self, k: int) -> Batch:
        """The batch of step k."""
        epoch = bisect_right(self.ends, k)
        if k < self.next or epoch > self.epoch:
            self.start_epoch(epoch)
        while True:
            batch = self.take()
            if self.next > k:
                return to_tensors(batch)

    def take(self) -> Any:
        """The next batch, in the next epoch where this one has ended."""
        with seed_globals(self.seed, self.next):
            batch = next(self.batches, None)
        if batch is None:
            self.end_epoch()
            return self.take()
        self.next += 1
        return batch

    def end_epoch(self) -> None:
        """Go on to the next epoch. Raises UsageError where this one gave no batch."""
        first = self.ends[self.epoch - 1] if self.epoch else 0
        if self.next == first:
            raise UsageError(
                f"Training(train=...): the loader gives no batch in epoch {self.epoch}; drop_last=True drops a batch"
                " that is not full."
            )
        self.ends[self.epoch :] = [self.next]
        self.start_epoch(self.epoch + 1)

    def start_epoch(self, epoch: int) -> None:
        """Start the iteration of an epoch; a loader that can be iterated once only is made anew."""
        self.epoch, self.next = epoch, self.ends[epoch - 1] if epoch else 0
        self.generator.manual_seed(compute_number(self.seed, epoch))
        with seed_globals(self.seed, -1 - epoch):
            if self.loader is None or self.loader is self.batches:
                self.loader = self.make(self.generator)  # type: ignore[operator]
            self.batches = iter(self.loader)


class LastBatch:
    """The last batch, held for steps that evaluate it more than once, and placed where the run computes."""

    def __init__(self, draw: Callable[[int], Batch], place: Callable[[Batch], Batch]) -> None:
        self.draw, self.place = draw, place
        self.step: int | None = None
        self.last: Batch = ()

    def batch(self, k: int) -> Batch:
        """The batch of step k."""
        if k != self.step:
            self.last, self.step = self.place(self.draw(k)), k
        return self.last


def place_batch(device: torch.device | str, dtypes: list[torch.dtype], batch: Batch) -> Batch:
    """A batch on a device, its tensors in the dtypes of those that are judged."""
    return tuple(part.to(device, dtype) for part, dtype in zip(batch, dtypes, strict=True))
