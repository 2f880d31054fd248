"""Samples that a held-out or test split shares with the training data: a metric there is no longer held out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Subset

from gdbench.errors import format_count
from gdbench.objectives.training import HELD_OUT, TEST, TRAIN, Training
from gdbench.objectives.training_data import gather_tensors

__all__ = ["SharedSamples", "count_shared", "warn_of_overlap"]

MAX_BYTES = 2**26
"""Of all samples together at most so many bytes are hashed; those whose hashes are equal are compared as a whole."""
MIN_NUMBERS = 8
"""Samples of fewer whole numbers are not compared: words and nodes are equal by chance."""


class SharedSamples(UserWarning):
    """Held-out or test data hold samples of the training data."""


def warn_of_overlap(training: Training) -> None:
    """Warn of samples of a split that are also in the one before it, as far as that is known without drawing them."""
    for first, second in ((TRAIN, HELD_OUT), (TRAIN, TEST), (HELD_OUT, TEST)):
        shared = count_shared(getattr(training, first), getattr(training, second))
        if shared:
            warnings.warn(
                f"{format_count(shared, 'sample')} of {second} are also in {first}: what is measured there was seen"
                " before; split the data anew.",
                SharedSamples,
                stacklevel=4,
            )


def count_shared(source: Any, other: Any) -> int:
    """How many samples of ``other`` are also in ``source``; 0 where one of them is missing, or not of tensors.

    Subsets of one Dataset are compared by their indices.
    """
    if source is None or other is None:
        return 0
    if isinstance(source, Subset) and isinstance(other, Subset) and source.dataset is other.dataset:
        return len(set(source.indices) & set(other.indices))
    parts, others = _gather_rows(source), _gather_rows(other)
    if not parts or not others or [_describe(part) for part in parts] != [_describe(part) for part in others]:
        return 0
    if not any(part.is_floating_point() for part in parts) and sum(part[0].numel() for part in parts) < MIN_NUMBERS:
        return 0
    rows, other_rows = _to_bytes(parts), _to_bytes(others)
    stride = -(-(rows.nbytes + other_rows.nbytes) // MAX_BYTES) | 1  # odd: else one byte of each number alone is read
    hashes, other_hashes = _hash_rows(rows, stride), _hash_rows(other_rows, stride)
    candidates = set(hashes) & set(other_hashes)
    known = {row.tobytes() for row, key in zip(rows, hashes, strict=True) if key in candidates}
    pairs = zip(other_rows, other_hashes, strict=True)
    return sum(key in candidates and row.tobytes() in known for row, key in pairs)


def _hash_rows(rows: npt.NDArray[np.uint8], stride: int) -> list[int]:
    """The hash of each row's bytes, of which every ``stride``-th is read."""
    part = np.ascontiguousarray(rows[:, ::stride])
    return [hash(row) for row in part.view(f"V{part.shape[1]}")[:, 0].tolist()]


def _gather_rows(source: Any) -> tuple[Tensor, ...]:
    """The tensors of a split; none where they are not known without drawing samples."""
    if isinstance(source, Subset):
        whole = gather_tensors(source.dataset)
        return tuple(part[torch.as_tensor(source.indices)] for part in whole) if whole else ()
    return gather_tensors(source) or ()


def _describe(part: Tensor) -> tuple[torch.dtype, torch.Size]:
    """What equal samples agree in: dtype and shape of one."""
    return part.dtype, part.shape[1:]


def _to_bytes(parts: tuple[Tensor, ...]) -> npt.NDArray[np.uint8]:
    """The samples as rows of bytes ``[samples, bytes]``."""
    rows = [part.detach().cpu().contiguous().reshape(len(part), -1).view(torch.uint8) for part in parts]
    joined: npt.NDArray[np.uint8] = torch.cat(rows, 1).numpy()
    return joined
