"""Metrics and losses of the workloads, each a mean over samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["accuracy", "cross_entropy", "mean_absolute_error"]


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of targets ``[m, ...]`` that are the largest of the outputs ``[m, ..., classes]``."""
    return (outputs.argmax(-1) == targets).to(outputs.dtype).mean()


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of outputs ``[m, ..., classes]`` and targets ``[m, ...]``."""
    return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def mean_absolute_error(outputs: Any, targets: Tensor) -> Tensor:
    """The mean of |output - target|."""
    difference: Tensor = (outputs - targets).abs().mean()
    return difference
