"""The data of a training workload as named tensors, and the order in which an epoch takes its samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from gdbench.errors import UsageError
from gdbench.objectives.base import make_generator
from gdbench.objectives.counter_rng import random_bits
from gdbench.objectives.training import HELD_OUT, JUDGED, TEST, TRAIN, Training

__all__ = ["build_data", "collate_samples", "compute_epoch_order", "list_tensors", "name_data", "to_tensors"]

MIN_JUDGED = 256
"""The train loss is judged on this many samples at least, where there are so many."""


def build_data(training: Training) -> dict[str, Tensor]:
    """All tensors of a workload by name; ``judged`` holds the samples of ``train`` on which its loss is judged."""
    splits = {JUDGED: gather_judged(training)}
    whole = gather_tensors(training.train)
    if whole is not None:
        splits[TRAIN] = whole
    for split in (HELD_OUT, TEST):
        source = getattr(training, split)
        if source is not None:
            splits[split] = gather_tensors(source) or collate_samples(source, range(len(source)))
    return {name_data(split, i): part for split, parts in splits.items() for i, part in enumerate(parts)}


def gather_judged(training: Training) -> tuple[Tensor, ...]:
    """The samples of the training data that are judged: the first ones, or of a loader its first batches."""
    held_out = training.held_out
    size = 0 if held_out is None else len(held_out[0] if isinstance(held_out, tuple) else held_out)  # type: ignore[arg-type]
    most = training.judged or max(size, MIN_JUDGED)
    whole = gather_tensors(training.train)
    if whole is not None:
        return tuple(part[:most] for part in whole)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if isinstance(training.train, Dataset):
            return collate_samples(training.train, range(min(most, training.samples or 0)))
        batches, count = [], 0
        for batch in training.train(make_generator(0)):  # type: ignore[operator]
            batches.append(to_tensors(batch))
            count += len(batches[-1][0])
            if count >= most:
                break
    if not batches:
        raise UsageError(
            "Training(train=...): the loader gives no batch; drop_last=True drops a batch that is not full."
        )
    return tuple(torch.cat(parts)[:most] for parts in zip(*batches, strict=True))


def gather_tensors(source: Any) -> tuple[Tensor, ...] | None:
    """The tensors of a split; None of a loader, and of a Dataset whose samples are made anew at each access."""
    if isinstance(source, TensorDataset):
        return source.tensors
    return source if isinstance(source, tuple) else None


def collate_samples(source: Any, indices: Iterable[int]) -> tuple[Tensor, ...]:
    """The samples of a Dataset as tensors whose first axis counts them."""
    return to_tensors(default_collate([source[int(i)] for i in indices]))


def to_tensors(batch: Any) -> tuple[Tensor, ...]:
    """A batch as a tuple of tensors. Raises UsageError for one that is not made of tensors alone."""
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if not all(isinstance(part, Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise UsageError(f"Training: a batch is ({kinds}); it must be tensors, (inputs, targets).")
    return parts


def list_tensors(data: Mapping[str, Tensor], split: str) -> tuple[Tensor, ...]:
    """The tensors of a split among the data of an objective, in their order; empty where it has none."""
    count = sum(name.partition(".")[0] == split for name in data)
    return tuple(data[name_data(split, i)] for i in range(count))


def name_data(split: str, index: int) -> str:
    """Name the tensor ``index`` of a split, as it stands in ``Objective.data``."""
    return f"{split}.{index}"


def compute_epoch_order(seed: Tensor, epoch: int, samples: int) -> Tensor:
    """The order of the samples in an epoch: a permutation ``[samples]``, a pure function of seed ``[]`` and epoch.

    The samples are sorted by 64 random bits of a stream that no step uses.
    """
    return random_bits(seed, -1 - epoch, samples).argsort(stable=True)
