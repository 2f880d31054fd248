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
    """The parameters and buffers of the judged step with the best held-out score so far, of every run."""

    def __init__(self, name: str, sign: float) -> None:
        """``name`` is the metric that selects; the best has the lowest ``sign`` times its value."""
        self.name, self.sign = name, sign
        self.best = torch.empty(0)
        self.step: Tensor | None = None
        """The selected step; -1 where no score was finite, None where nothing has the metric."""
        self.x: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}

    def update(
        self,
        k: int,
        values: Mapping[str, Tensor],
        x: dict[str, Tensor],
        buffers: dict[str, Tensor],
        rows: Tensor | None = None,
    ) -> None:
        """Take the point of step k where its score is finite and below the best so far.

        ``rows`` are the lanes that are left, None while all are; the others keep what they have.
        """
        if self.name not in values:
            return
        score = values[self.name].detach() * self.sign
        if self.step is None:
            self.best, self.step = torch.full_like(score, torch.inf), torch.full_like(score, -1, dtype=torch.int64)
            self.x, self.buffers = (
                {name: leaf.detach().clone() for name, leaf in leaves.items()} for leaves in (x, buffers)
            )
        lanes: Any = ... if rows is None else rows
        better = score.isfinite() & (score < self.best[lanes])

        def write(whole: Tensor, new: Tensor) -> None:
            old = whole[lanes]
            where = better.reshape(better.shape + (1,) * (old.dim() - better.dim()))
            whole[lanes] = torch.where(where, new.detach(), old)

        write(self.best, score)
        write(self.step, torch.full_like(better, k, dtype=torch.int64))
        for whole, new in ((self.x, x), (self.buffers, buffers)):
            for name, leaf in new.items():
                write(whole[name], leaf)
