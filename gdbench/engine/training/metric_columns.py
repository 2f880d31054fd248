"""Columns of a training run: last and best value of each metric, test metrics, and the steps to a target metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.config.target_metric import TargetMetric
from gdbench.engine.observations import Observations
from gdbench.engine.training.metric_log import BATCH_LOSS
from gdbench.engine.training.target_metric import find_reached
from gdbench.engine.training.training_run import TrainingMetrics
from gdbench.objectives.training import Training

__all__ = ["make_metric_columns", "make_metric_traces", "replace_target"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]


def make_metric_columns(metrics: TrainingMetrics, training: Training) -> Columns:
    """``final.NAME`` and ``best.NAME`` of each judged metric, ``final.test.*`` and ``selected.test.*``."""
    columns: Columns = {}
    for name, values in metrics.values.items():
        if name == BATCH_LOSS:
            continue
        columns[f"final.{name}"] = values[-1]
        columns[f"best.{name}"] = find_best(values, training.find_sign(name))
    columns |= {f"final.{name}": values for name, values in metrics.final_test.items()}
    columns |= {f"selected.{name}": values for name, values in metrics.selected_test.items()}
    masked: Columns = {name: np.ma.masked_invalid(values) for name, values in columns.items()}
    if metrics.selected_step is not None:
        masked["selected_step"] = metrics.selected_step
    return masked


def find_best(values: Array, sign: float) -> Array:
    """The best of the finite values ``[K, runs]`` of each run; NaN where none is finite."""
    signed = np.where(np.isfinite(values), sign * values, np.inf)
    best: Array = sign * signed.min(0)
    return best


def make_metric_traces(metrics: TrainingMetrics, steps: Array) -> Columns:
    """The metrics at some of the judged steps, ``[steps, runs]``."""
    places = np.searchsorted(metrics.steps, steps)
    return {name: values[places] for name, values in metrics.values.items()}


def replace_target(
    seen: Observations[Array], metrics: TrainingMetrics, target: TargetMetric, steps: int
) -> Observations[Array]:
    """The observations with the run's own target, the last, hit where all conditions on metrics first hold.

    A step costs one gradient: the work to the target is that of the steps to it.
    """
    reached = find_reached(target, metrics.values)
    first = np.where(reached.any(0), metrics.steps[reached.argmax(0)], steps + 1)
    missed = ~reached
    after = len(missed) - missed[::-1].argmax(0)  # the judged point after the last miss
    settled = np.where(missed.any(0), np.append(metrics.steps, -1)[np.minimum(after, len(missed))], 0)
    hits = seen.first_hits.copy()
    hits[-1] = first
    per_step = seen.gradients / np.maximum(np.minimum(seen.finite_points, steps), 1)
    to_target = np.rint(np.minimum(first, steps) * per_step).astype(seen.gradient_evals_to_target.dtype)
    return seen._replace(
        first_hits=hits,
        settled_since=np.where(seen.finite_points > steps, settled, -1),
        gradient_evals_to_target=to_target,
    )
