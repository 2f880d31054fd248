"""Judgement of a module: loss and metrics on samples of its training data and on held-out data, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gdbench.engine.training.functional import split_batch
from gdbench.engine.training.module_function import ModuleFunction
from gdbench.objectives.base import Objective
from gdbench.objectives.training import HELD_OUT, JUDGED, LOSS, TEST, TRAIN
from gdbench.objectives.training_data import list_tensors
from gdbench.objectives.training_objective import check_loss
from gdbench.tree import Params

__all__ = ["JUDGED_SPLITS", "TRAIN_LOSS", "Judge"]

TRAIN_LOSS = f"{TRAIN}.{LOSS}"
JUDGED_SPLITS = {TRAIN: JUDGED, HELD_OUT: HELD_OUT, TEST: TEST}
"""The data on which each split is judged: of the training data some samples alone."""
MAX_SAMPLES = 1024
"""Samples of one evaluation: memory is then bounded, whatever the size of a split."""
MAX_LANE_SAMPLES = 2**17
"""The same, over all lanes."""

Score = Callable[[Any, Any], Tensor]


class Judge:
    """Evaluates a module's loss and metrics on a split: means over its samples, ``[]`` of one run, ``[L]`` in lanes."""

    def __init__(self, module: ModuleFunction, objective: Objective, laned: bool) -> None:
        """``module`` must be in evaluation mode."""
        assert objective.training is not None
        self.module, self.laned = module, laned
        self.scores: dict[str, Score] = {LOSS: objective.training.loss, **objective.training.metrics}
        self.data = {split: list_tensors(objective.data, data) for split, data in JUDGED_SPLITS.items()}

    def judge(self, x: Params, buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Loss and metrics on the training and held-out data, as ``train.loss``, ``held_out.accuracy`` ....

        All others are NaN where the train loss is not finite: outputs that are NaN have an accuracy too.
        """
        values = {**self.evaluate(TRAIN, x, buffers), **self.evaluate(HELD_OUT, x, buffers)}
        train_loss = values.pop(TRAIN_LOSS)
        finite = train_loss.isfinite()
        return {TRAIN_LOSS: train_loss} | {name: torch.where(finite, values[name], torch.nan) for name in values}

    def evaluate(self, split: str, x: Params, buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Loss and metrics on one split; none where the workload has no such data."""
        tensors = self.data[split]
        if not tensors:
            return {}
        count = len(tensors[0])
        lanes = len(next(iter(x.values()))) if self.laned else 1
        size = min(MAX_SAMPLES, max(1, MAX_LANE_SAMPLES // lanes))
        totals: dict[str, Tensor] = {}
        with torch.no_grad():
            for parts in zip(*(torch.split(tensor, size) for tensor in tensors), strict=True):
                for name, value in self._score(x, dict(buffers), parts).items():
                    weighted = value.detach() * (len(parts[0]) / count)
                    totals[name] = totals[name] + weighted if name in totals else weighted
        return {f"{split}.{name}": total for name, total in totals.items()}

    def _score(self, x: Params, buffers: dict[str, Tensor], batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        def score(x: Params, buffers: dict[str, Tensor], batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
            inputs, targets = split_batch(batch)
            outputs = self.module(x, buffers, inputs)
            return {
                name: check_loss(function(outputs, targets), None if name == LOSS else name)
                for name, function in self.scores.items()
            }

        if self.laned:
            score = torch.func.vmap(score, in_dims=(0, 0, None))
        return score(x, buffers, batch)
