"""Metrics of a training pass: their values at the judged steps, and the point that the held-out data select."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.engine.tensor_stats import put_runs_last, to_numpy

__all__ = ["BATCH_LOSS", "MetricLog", "Selection"]

Array = npt.NDArray[Any]
BATCH_LOSS = "batch.loss"
"""The loss of the step's own batch at the judged point, in training mode."""
Expand = Callable[[Any], Any]


class MetricLog:
    """Values of the metrics, one number a run, at every judged step; all stay on the device meanwhile."""

    def __init__(self, laned: bool) -> None:
        self.laned = laned
        self.values: list[dict[str, Tensor]] = []

    def record(self, values: Mapping[str, Tensor], expand: Expand) -> None:
        """Record the metrics of a judged step; ``expand`` gives lanes that were dropped NaN."""
        self.values.append({name: expand(value.detach()) for name, value in values.items()})

    def to_arrays(self) -> dict[str, Array]:
        """Every metric as ``[judged steps, runs]``, NaN where a step has none."""
        names = dict.fromkeys(name for values in self.values for name in values)
        nothing = torch.full_like(next(iter(self.values[0].values())), torch.nan)
        columns = {name: [values.get(name, nothing) for values in self.values] for name in names}
        return {name: np.stack([self._to_row(value) for value in column]) for name, column in columns.items()}

    def _to_row(self, value: Tensor) -> Array:
        row: Array = put_runs_last(to_numpy(value), self.laned).astype(np.float64)
        return row


class Selection:
    """The parameters and buffers of the judged step with the best held-out score so far, of each run."""

    def __init__(self, name: str, sign: float) -> None:
        """``name`` is the metric that selects; the best has the lowest ``sign`` times its value."""
        self.name, self.sign = name, sign
        self.best: Tensor | None = None
        self.step: Tensor | None = None
        self.x: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}

    def update(self, k: int, values: Mapping[str, Tensor], x: dict[str, Tensor], buffers: dict[str, Tensor]) -> None:
        """Take the point of step k where its score is below the best so far."""
        if self.name not in values:
            return
        score = values[self.name].detach() * self.sign
        if self.best is None or self.step is None:
            self.best, self.step = score.clone(), torch.full_like(score, k, dtype=torch.int64)
            self.x = {name: leaf.detach().clone() for name, leaf in x.items()}
            self.buffers = {name: leaf.detach().clone() for name, leaf in buffers.items()}
            return
        better = score < self.best
        self.best = torch.where(better, score, self.best)
        self.step = torch.where(better, k, self.step)

        def pick(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(better.reshape(better.shape + (1,) * (new.dim() - better.dim())), new.detach(), old)

        self.x = {name: pick(leaf, self.x[name]) for name, leaf in x.items()}
        self.buffers = {name: pick(leaf, self.buffers[name]) for name, leaf in buffers.items()}

    def select(self, lanes: Tensor) -> None:
        """Keep some of the lanes."""
        if self.best is not None and self.step is not None:
            self.best, self.step = self.best[lanes], self.step[lanes]
            self.x = {name: leaf[lanes] for name, leaf in self.x.items()}
            self.buffers = {name: leaf[lanes] for name, leaf in self.buffers.items()}
