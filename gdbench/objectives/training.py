"""The contract of a training workload: a module, its data, a loss and metrics, as one Objective.

``Training(module=..., train=..., loss=...)`` describes the workload; ``build_training_objective`` makes the Objective
whose point is the module's parameters. What a run does with it is in ``gdbench/engine/training``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gdbench.errors import UsageError, format_count
from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import random_bits

__all__ = [
    *("HELD_OUT", "JUDGED", "SPLITS", "TEST", "TRAIN", "DataSource", "Training"),
    *("build_training_objective", "check_loss", "collate_samples", "compute_epoch_order", "list_tensors", "make_module"),
    *("name_data", "to_tensors"),
]

TRAIN, HELD_OUT, TEST, JUDGED = "train", "held_out", "test", "judged"
SPLITS = (TRAIN, HELD_OUT, TEST)
"""The data that a run is trained on, that on which it is selected, and that which no selection has seen."""

DataSource = tuple[Tensor, ...] | Dataset[Any] | Callable[[torch.Generator], Iterable[Any]]
"""Tensors whose first axis counts samples, the last of them the targets; a map-style Dataset of such tuples; or, for
the training data, ``loader(generator)``: a DataLoader that draws from the generator."""
MIN_JUDGED = 1024
"""The train loss is judged on this many samples at least, where there are so many."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """A workload: ``module()`` is trained on batches of ``train`` to a low ``loss(outputs, targets)``.

    The module is called as ``module(*inputs)`` in training mode; it is judged in evaluation mode, on ``judged`` samples
    of ``train`` and on all of ``held_out`` and ``test``.
    """

    module: Callable[[], nn.Module]
    """Makes the module. Its parameters are drawn from torch's generator, which is set from the seed beforehand."""
    train: DataSource
    held_out: DataSource | None = None
    """Validation data: targets, tuning and the best step refer to it."""
    test: DataSource | None = None
    """Data that no selection sees: its metrics are reported at the last step and at the best step of ``held_out``."""
    loss: Callable[[Any, Any], Tensor] = nn.functional.cross_entropy
    """``loss(outputs, targets)``, a scalar: the mean over the samples of a batch."""
    metrics: Mapping[str, Callable[[Any, Any], Tensor]] = field(default_factory=dict)
    """``metric(outputs, targets)`` by name, each a mean over samples; judged beside the loss."""
    batch: int = 32
    """Samples of a batch. An epoch is ``len(train) // batch`` batches of a random order of the samples."""
    judged: int | None = None
    """The first so many samples of ``train`` are judged; None: as many as are held out, at least 1,024."""
    source: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked without the module."""
        for name in ("module", "loss"):
            if not callable(getattr(self, name)):
                raise UsageError(f"Training({name}=...) must be a function; {_describe(getattr(self, name))} came.")
        if isinstance(self.module, nn.Module):
            raise UsageError(
                "Training(module=...) is a module: give a function that makes it, such as lambda: MyModule(),"
                " as each run starts from weights of its own."
            )
        for name, metric in self.metrics.items():
            if not callable(metric) or not name.isidentifier():
                raise UsageError(
                    f"Training(metrics={{{name!r}: ...}}) must map names such as accuracy to functions of"
                    f" (outputs, targets); {_describe(metric)} came."
                )
        if not isinstance(self.batch, int) or isinstance(self.batch, bool) or self.batch < 1:
            raise UsageError(f"Training(batch={self.batch!r}) must be a whole number of at least 1; try batch=32.")
        for split in SPLITS:
            source = getattr(self, split)
            if source is not None:
                check_source(split, source)
        if self.samples is not None and self.samples < self.batch:
            raise UsageError(
                f"Training(batch={self.batch}) is more than the {format_count(self.samples, 'sample')} of train:"
                f" give batch={self.samples} or fewer."
            )

    @property
    def samples(self) -> int | None:
        """How many training samples there are; None where a loader gives the batches."""
        if isinstance(self.train, tuple):
            return len(self.train[0])
        return len(self.train) if isinstance(self.train, Dataset) else None  # type: ignore[arg-type]

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of an epoch; None where a loader gives them."""
        return None if self.samples is None else self.samples // self.batch

    def list_splits(self) -> list[str]:
        """The names of the splits that there are."""
        return [split for split in SPLITS if getattr(self, split) is not None]


def _describe(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def check_source(split: str, source: Any) -> None:
    """Raise UsageError unless a split holds tensors of equal length, a non-empty Dataset, or (train) a loader."""
    if isinstance(source, tuple) and source and all(isinstance(part, Tensor) for part in source):
        lengths = [len(part) if part.dim() else 0 for part in source]
        if len(set(lengths)) > 1:
            raise UsageError(f"Training({split}=...) has tensors of {lengths} samples: their first axes must be equal.")
        if not lengths[0]:
            raise UsageError(f"Training({split}=...) is empty: give at least one sample.")
    elif isinstance(source, Dataset):
        if not len(source):  # type: ignore[arg-type]
            raise UsageError(f"Training({split}=...) is empty: give at least one sample.")
    elif not (split == TRAIN and callable(source)):
        loader = ", or a function of a torch.Generator that makes a DataLoader" if split == TRAIN else ""
        raise UsageError(
            f"Training({split}=...) must be a tuple of tensors (inputs, targets) or a Dataset{loader};"
            f" {_describe(source)} came."
        )


def name_data(split: str, index: int) -> str:
    """Name the tensor ``index`` of a split, as it stands in ``Objective.data``."""
    return f"{split}.{index}"


def gather_tensors(source: Any) -> tuple[Tensor, ...] | None:
    """The tensors of a split; None of a loader, and of a Dataset whose samples are made anew at each access."""
    if isinstance(source, torch.utils.data.TensorDataset):
        return source.tensors
    return source if isinstance(source, tuple) else None


def compute_epoch_order(seed: Tensor, epoch: int, samples: int) -> Tensor:
    """The order of the samples in an epoch: a permutation ``[samples]``, a pure function of seed ``[]`` and epoch.

    The samples are sorted by 64 random bits of a stream that no step uses.
    """
    return random_bits(seed, -1 - epoch, samples).argsort(stable=True)


def build_training_objective(training: Training) -> Objective:
    """The Objective of a workload: its point holds the module's parameters, its value is the judged train loss.

    The start of a seed is what ``torch.manual_seed(seed); module()`` makes. The data are ``train.0``, ``train.1`` ...
    (where they are tensors), ``judged.0`` ..., ``held_out.0`` ... and ``test.0`` .... The value is in evaluation mode
    with the buffers of a new module. Raises UsageError for a module without parameters, or that torch refuses.
    """
    module, _ = make_module(training, 0)
    module.eval()
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    dtypes = {leaf.dtype for leaf in module.parameters()}
    if not dtypes:
        raise UsageError(f"Training(module=...) makes {type(module).__name__}, which has no parameters to train.")

    def fn(params: Any, **data: Tensor) -> Tensor:
        *inputs, targets = list_tensors(data, JUDGED)
        outputs = torch.func.functional_call(module, {**buffers, **params}, tuple(inputs))
        return check_loss(training.loss(outputs, targets))

    return Objective(
        fn=fn,
        start=lambda seed: make_module(training, seed)[1],
        data=build_data(training),
        dtype=max(dtypes, key=lambda dtype: torch.finfo(dtype).bits),
        source=training.source,
        training=training,
    )


def make_module(training: Training, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """The module of a seed, as ``torch.manual_seed(seed); module()`` makes it, and its parameters by name."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = training.module()
    if not isinstance(module, nn.Module):
        raise UsageError(f"Training(module=...) returned {type(module).__name__}; it must return a torch.nn.Module.")
    return module, {name: leaf.detach() for name, leaf in module.named_parameters()}


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
        raise UsageError("Training(train=...): the loader gives no batch; drop_last=True drops a batch that is not full.")
    return tuple(torch.cat(parts)[:most] for parts in zip(*batches, strict=True))


def collate_samples(source: Any, indices: Iterable[int]) -> tuple[Tensor, ...]:
    """The samples of a Dataset as tensors whose first axis counts them."""
    return to_tensors(torch.utils.data.default_collate([source[int(i)] for i in indices]))


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


def check_loss(loss: Tensor) -> Tensor:
    """The loss itself. Raises UsageError unless it is a scalar."""
    if not isinstance(loss, Tensor) or loss.dim():
        shape = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(f"Training(loss=...) returned {shape}; it must be a scalar, such as the mean over the batch.")
    return loss
