"""Targets on metrics: whether a workload has them, when a run first reaches them, and how near it comes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.search_metric import is_training_metric
from gdbench.config.spec import CellSpec
from gdbench.config.target_metric import TargetMetric
from gdbench.errors import UsageError, did_you_mean
from gdbench.objectives.base import Objective
from gdbench.objectives.training import HELD_OUT, LOSS, TRAIN, Training

__all__ = ["check_metrics", "choose_target", "compute_shortfall", "find_reached", "list_metrics"]

Array = npt.NDArray[Any]
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {">=": operator.ge, "<=": operator.le}


def list_metrics(training: Training) -> list[str]:
    """The names of the metrics that are judged: ``train.loss``, ``held_out.accuracy`` ...."""
    splits = [TRAIN, HELD_OUT] if training.held_out is not None else [TRAIN]
    return [f"{split}.{name}" for split in splits for name in (LOSS, *training.metrics)]


def choose_target(spec: CellSpec, objective: Objective) -> TargetMetric | None:
    """The target of a cell's runs on metrics; ``auto`` is the workload's own, unless there is a target_loss."""
    if spec.target_metric is None or isinstance(spec.target_metric, TargetMetric):
        return spec.target_metric
    training = objective.training
    if training is None or training.target_metric is None or spec.target_loss is not None:
        return None
    return TargetMetric.parse(training.target_metric)


def check_metrics(spec: CellSpec, objective: Objective) -> None:
    """Raise UsageError for a target on, or a search by, a metric that the objective does not have."""
    target, metric = choose_target(spec, objective), spec.metric
    names = {} if target is None else dict.fromkeys((name for name, _, _ in target.conditions), "target_metric")
    if is_training_metric(metric):
        names[metric.removeprefix("final.")] = "metric"
    if not names:
        return
    if objective.training is None:
        raise UsageError(
            "target_metric is for training workloads, whose metrics it names: give target or target_loss instead."
            if target is not None
            else f"metric={metric} is for training workloads, whose metrics it names: take metric=final_loss instead."
        )
    known = list_metrics(objective.training)
    for name, setting in names.items():
        if name not in known:
            raise UsageError(
                f"{setting}: {name} is not a metric of this workload.{did_you_mean(name, known)} Its metrics:"
                f" {', '.join(known)}."
            )


def find_reached(target: TargetMetric, values: Mapping[str, Array]) -> Array:
    """Where all conditions hold: ``[K, runs]`` for metrics ``[K, runs]``."""
    parts = [COMPARISONS[comparison](values[name], number) for name, comparison, number in target.conditions]
    reached: Array = np.logical_and.reduce(parts)
    return reached


def compute_shortfall(target: TargetMetric, values: Mapping[str, Array]) -> Array:
    """How near each run came, ``[runs]``: the least over judged steps of the largest part lacking to a condition.

    The part is relative to the condition's number, absolute where that is 0. It is 0 where all conditions held, and
    infinite where no judged step has all of the metrics.
    """
    lacking = []
    for name, comparison, number in target.conditions:
        sign = 1.0 if comparison == "<=" else -1.0
        apart = sign * (values[name] - number) / (abs(number) or 1.0)
        lacking.append(np.where(np.isnan(apart), np.inf, apart.clip(min=0.0)))
    shortfall: Array = np.maximum.reduce(lacking).min(0)
    return shortfall
