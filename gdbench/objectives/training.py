"""The contract of a training workload: a module, its data, a loss and metrics.

``gdbench.objectives.training_objective`` makes of it the Objective whose point is the module's parameters; what a run
does with it is in ``gdbench/engine/training``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gdbench.errors import UsageError, format_count

__all__ = ["HELD_OUT", "JUDGED", "LOSS", "SPLITS", "TEST", "TRAIN", "DataSource", "Training"]

TRAIN, HELD_OUT, TEST, JUDGED = "train", "held_out", "test", "judged"
SPLITS = (TRAIN, HELD_OUT, TEST)
"""The data that a run is trained on, that on which it is selected, and that which no selection has seen."""

AUTOCAST_DTYPES = ("bfloat16", "float16")

DataSource = tuple[Tensor, ...] | Dataset[Any] | Callable[[torch.Generator], Iterable[Any]]
"""Tensors whose first axis counts samples, the last of them the targets; a map-style Dataset of such tuples; or, for
the training data, ``loader(generator)``: a DataLoader that draws from the generator."""
LOSS = "loss"


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
    lower_is_better: Collection[str] = ()
    """The metrics of which the lowest value is the best; of all others it is the highest. The loss is among these."""
    selection: str = "loss"
    """The held-out metric, or the loss, whose best value selects a step."""
    target_metric: str | None = None
    """The target of its runs unless another is given, as ``held_out.accuracy>=0.95``; None: none."""
    batch: int = 32
    """Samples of a batch. An epoch is ``len(train) // batch`` batches of a random order of the samples."""
    accumulate: int = 1
    """The micro-batches into which the batch of a step is split, each with a forward and backward pass of its own."""
    autocast: str | None = None
    """The dtype of forward passes where torch allows it, bfloat16 or float16; None: that of the run."""
    judged: int | None = None
    """The first so many samples of ``train`` are judged; None: as many as are held out, at least 256."""
    source: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked without the module."""
        given: Any = self
        for name in ("module", "loss"):
            if not callable(getattr(given, name)):
                raise UsageError(f"Training({name}=...) must be a function; {_describe(getattr(given, name))} came.")
        if isinstance(given.module, nn.Module):
            raise UsageError(
                "Training(module=...) is a module: give a function that makes it, such as lambda: MyModule(),"
                " as each run starts from weights of its own."
            )
        for name, metric in given.metrics.items():
            if not callable(metric) or not name.isidentifier():
                raise UsageError(
                    f"Training(metrics={{{name!r}: ...}}) must map names such as accuracy to functions of"
                    f" (outputs, targets); {_describe(metric)} came."
                )
        if LOSS in given.metrics:
            raise UsageError("Training(metrics={'loss': ...}): the loss is judged already; give it another name.")
        if given.judged is not None and (not isinstance(given.judged, int) or given.judged < 1):
            raise UsageError(f"Training(judged={given.judged!r}) must be a whole number of at least 1, or None.")
        if not isinstance(given.batch, int) or isinstance(given.batch, bool) or given.batch < 1:
            raise UsageError(f"Training(batch={self.batch!r}) must be a whole number of at least 1; try batch=32.")
        check_precision(given.accumulate, given.batch, given.autocast)
        for split in SPLITS:
            source = getattr(self, split)
            if source is not None:
                check_source(split, source)
        if self.samples is not None and self.samples < self.batch:
            raise UsageError(
                f"Training(batch={self.batch}) is more than the {format_count(self.samples, 'sample')} of train:"
                f" give batch={self.samples} or fewer."
            )
        for name in (*given.lower_is_better, *([] if given.selection == LOSS else [given.selection])):
            if name not in given.metrics:
                known = ", ".join(given.metrics) or "none: metrics={...} states them"
                raise UsageError(f"Training: {name} is not one of its metrics ({known}).")

    def find_sign(self, metric: str) -> float:
        """1 for a metric, as ``held_out.accuracy``, of which the lowest value is the best; -1 for the others."""
        name = metric.rpartition(".")[2]
        return 1.0 if name == LOSS or name in self.lower_is_better else -1.0

    @property
    def selection_metric(self) -> str:
        """The metric that selects a step, by its column's name."""
        return f"{HELD_OUT}.{self.selection}"

    @property
    def samples(self) -> int | None:
        """How many training samples there are; None where a loader gives the batches."""
        if isinstance(self.train, tuple):
            return len(self.train[0])
        return len(self.train) if isinstance(self.train, Dataset) else None  # type: ignore[arg-type]

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of an epoch; None where a loader has no length."""
        if self.samples is not None:
            return self.samples // self.batch
        loader: Any = self.train(torch.Generator())  # type: ignore[operator]
        try:
            return len(loader) or None
        except TypeError:
            return None

    def list_splits(self) -> list[str]:
        """The names of the splits that there are."""
        return [split for split in SPLITS if getattr(self, split) is not None]


def _describe(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def check_precision(accumulate: Any, batch: int, autocast: Any) -> None:
    """Raise UsageError unless a batch can be split into so many micro-batches, and the dtype of autocast is known."""
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or not 1 <= accumulate <= batch:
        raise UsageError(
            f"Training(accumulate={accumulate!r}) must be a whole number of micro-batches, from 1 to batch={batch}."
        )
    if autocast not in (None, *AUTOCAST_DTYPES):
        allowed = ", ".join(map(repr, AUTOCAST_DTYPES))
        raise UsageError(f"Training(autocast={autocast!r}) is not known. Allowed: None, {allowed}.")


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
