"""Targets on metrics: whether a workload has them, and the judged step at which a run first reaches them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.target_metric import TargetMetric
from gdbench.errors import UsageError, did_you_mean
from gdbench.objectives.base import Objective
from gdbench.objectives.training import HELD_OUT, LOSS, TRAIN, Training

__all__ = ["check_target", "find_reached", "list_metrics"]

Array = npt.NDArray[Any]
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {">=": operator.ge, "<=": operator.le}


def list_metrics(training: Training) -> list[str]:
    """The names of the metrics that are judged: ``train.loss``, ``held_out.accuracy`` ...."""
    splits = [TRAIN, HELD_OUT] if training.held_out is not None else [TRAIN]
    return [f"{split}.{name}" for split in splits for name in (LOSS, *training.metrics)]


def check_target(target: TargetMetric | None, objective: Objective) -> None:
    """Raise UsageError for a target on a metric that the objective does not have."""
    if target is None:
        return
    if objective.training is None:
        raise UsageError(
            "target_metric is for training workloads, whose metrics it names: give target or target_loss instead."
        )
    known = list_metrics(objective.training)
    for name, _, _ in target.conditions:
        if name not in known:
            raise UsageError(
                f"target_metric: {name} is not a metric of this workload.{did_you_mean(name, known)} Its metrics:"
                f" {', '.join(known)}."
            )


def find_reached(target: TargetMetric, values: Mapping[str, Array]) -> Array:
    """Where all conditions hold: ``[K, runs]`` for metrics ``[K, runs]``."""
    parts = [COMPARISONS[comparison](values[name], number) for name, comparison, number in target.conditions]
    reached: Array = np.logical_and.reduce(parts)
    return reached
