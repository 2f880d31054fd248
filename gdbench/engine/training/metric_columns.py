"""Columns of a training run: last and best value of each metric, test metrics, selection, and the target metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gdbench.config.search_metric import find_metric_column, is_training_metric
from gdbench.config.target_metric import TargetMetric
from gdbench.engine.observations import Observations
from gdbench.engine.training.judge import TRAIN_LOSS
from gdbench.engine.training.metric_log import BATCH_LOSS
from gdbench.engine.training.target_reached import compute_shortfall, find_reached, list_metrics
from gdbench.engine.training.training_run import TrainingMetrics
from gdbench.objectives.training import LOSS, Training

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell

__all__ = ["find_judged_hits", "make_metric_columns", "make_metric_traces", "make_selection_columns", "replace_target"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]


def make_metric_columns(metrics: TrainingMetrics, training: Training, target: TargetMetric | None) -> Columns:
    """``final.NAME`` and ``best.NAME`` of judged metrics, tests', how near the target came, and steps of an epoch."""
    columns: Columns = {}
    for name, values in metrics.values.items():
        if name == BATCH_LOSS:
            continue
        columns[f"final.{name}"] = values[-1]
        columns[f"best.{name}"] = find_best(values, training.find_sign(name))
    if target is not None:
        columns["target_shortfall"] = compute_shortfall(target, metrics.values)
    finite = np.isfinite(metrics.values[TRAIN_LOSS][-1])
    columns |= {f"final.{name}": np.where(finite, values, np.nan) for name, values in metrics.final_test.items()}
    masked: Columns = {name: np.ma.masked_invalid(values) for name, values in columns.items()}
    if (count := training.steps_per_epoch) is not None:
        masked["steps_per_epoch"] = np.full(metrics.values[TRAIN_LOSS].shape[1], count)
    if metrics.selected_step is not None:
        nothing = metrics.selected_step < 0
        selected = {f"selected.{name}": np.where(nothing, np.nan, v) for name, v in metrics.selected_test.items()}
        masked |= {name: np.ma.masked_invalid(values) for name, values in selected.items()}
        masked["selected_step"] = np.ma.masked_array(metrics.selected_step, nothing)
    return masked


def make_selection_columns(
    training: Training | None, metric: str, has_target: bool, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """What ranks the runs of a workload that no target decides, from their columns: the metric, and its value.

    ``metric`` is that of ``metric=``; where it is none of training workloads, the workload's own.
    """
    if training is None:
        return {}
    directions = {"lower_is_better": ", ".join((LOSS, *sorted(training.lower_is_better)))}
    name = metric if is_training_metric(metric) else training.selection_metric
    if has_target or name.removeprefix("final.") not in list_metrics(training):
        return directions
    return {**directions, "selection_metric": name, "selection_value": columns.get(find_metric_column(name))}


def find_best(values: Array, sign: float) -> Array:
    """The best of the finite values ``[K, runs]`` of each run; infinite where none is finite."""
    signed = np.where(np.isfinite(values), sign * values, np.inf)
    best: Array = sign * signed.min(0)
    return best


def make_metric_traces(metrics: TrainingMetrics, steps: Array) -> Columns:
    """The metrics at some of the judged steps, ``[steps, runs]``."""
    places = np.searchsorted(metrics.steps, steps)
    return {name: values[places] for name, values in metrics.values.items()}


def find_judged_hits(cell: Cell, seen: Observations[Array], metrics: TrainingMetrics | None) -> Array:
    """The first judged step of every run at its own target; one more than the last step without one."""
    if cell.target_metric is None or metrics is None:
        hits: Array = seen.first_hits[-1]
        return hits
    reached = find_reached(cell.target_metric, metrics.values)
    return np.where(reached.any(0), metrics.steps[reached.argmax(0)], cell.steps + 1)


def replace_target(
    seen: Observations[Array], metrics: TrainingMetrics, target: TargetMetric, steps: int
) -> Observations[Array]:
    """The observations with the run's own target, the last, hit where all conditions on metrics first hold.

    The work to the target is that of the steps before.
    """
    reached = find_reached(target, metrics.values)
    first = np.where(reached.any(0), metrics.steps[reached.argmax(0)], steps + 1)
    missed = ~reached
    after = len(missed) - missed[::-1].argmax(0)  # the judged point after the last miss
    settled = np.where(missed.any(0), np.append(metrics.steps, -1)[after], 0)
    hits = seen.first_hits.copy()
    hits[-1] = first
    work = {
        name: np.where(reached.any(0), np.take_along_axis(counts, reached.argmax(0)[None], 0)[0], counts[-1])
        for name, counts in metrics.work.items()
    }
    return seen._replace(
        first_hits=hits,
        settled_since=np.where(seen.finite_points > steps, settled, -1),
        gradient_evals_to_target=work.get("gradients", np.minimum(first, seen.gradients)),
        function_evals_to_target=work.get("evaluations", seen.function_evals_to_target),
    )
