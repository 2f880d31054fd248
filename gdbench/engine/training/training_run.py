"""The convergence pass of a training workload: steps on batches, and a judgement of the module every so many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gdbench.engine.compile.state_structure import select_lanes
from gdbench.engine.descent import descent
from gdbench.engine.random_state import set_globals
from gdbench.engine.tensor_stats import put_runs_last, to_numpy
from gdbench.engine.training.best_weights import StateDict, make_state_dicts
from gdbench.engine.training.functional import read_judged_buffers
from gdbench.engine.training.judge import TRAIN_LOSS, Judge
from gdbench.engine.training.judging_schedule import list_judged_steps
from gdbench.engine.training.metric_log import BATCH_LOSS, MetricLog, Selection
from gdbench.objectives.training import TEST
from gdbench.optimizers.base import Method, StepInfo
from gdbench.tree import Params, tree_map

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell
    from gdbench.engine.observer import Observer
    from gdbench.engine.pass_inputs import Ended, PassInputs
    from gdbench.engine.trace_recorder import TraceRecorder

__all__ = ["TrainingMetrics", "TrainingRun", "concatenate_metrics"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TrainingMetrics:
    """The metrics of a pass; the last axis counts runs."""

    steps: Array
    """The judged steps ``[K]``."""
    values: Mapping[str, Array] = field(default_factory=dict)
    """By name, as ``held_out.accuracy``: ``[K, runs]``."""
    final_test: Mapping[str, Array] = field(default_factory=dict)
    """Metrics on the test data at the last step, ``[runs]``."""
    selected_test: Mapping[str, Array] = field(default_factory=dict)
    """The same at the step that the held-out data select."""
    selected_step: Array | None = None
    """The step that the held-out data select, -1 where no score was finite; None without held-out data."""
    work: Mapping[str, Array] = field(default_factory=dict)
    """Gradients and evaluations before the judged steps, ``[K, runs]``; empty where a step costs one gradient."""
    weights: tuple[StateDict | None, ...] = ()
    """Of every run the state of its module at the step that the held-out data select, where it is asked for."""


def concatenate_metrics(results: Sequence[TrainingMetrics]) -> TrainingMetrics | None:
    """Metrics side by side, as if their runs had been lanes of one pass."""
    if not results:
        return None

    def join(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}

    steps = [result.selected_step for result in results if result.selected_step is not None]
    return TrainingMetrics(
        results[0].steps,
        join([result.values for result in results]),
        join([result.final_test for result in results]),
        join([result.selected_test for result in results]),
        np.concatenate(steps, axis=-1) if steps else None,
        join([result.work for result in results]),
        tuple(state for result in results for state in result.weights),
    )


class TrainingRun:
    """One run of a training cell, or its runs as lanes."""

    def __init__(self, cell: Cell, oracle: Any) -> None:
        """``oracle`` is that of the batches, before the first step."""
        training = cell.objective.training
        assert training is not None
        self.cell, self.oracle, self.laned, self.interval = cell, oracle, oracle.laned, cell.judge_every
        self.judge: Judge = cell.training_judge(self.laned)
        self.log = MetricLog(self.laned)
        self.work: list[tuple[Tensor, Tensor]] = []
        self.selection = Selection(training.selection_metric, training.find_sign(training.selection_metric))
        self.buffers: dict[str, Tensor] = {}

    def start_loss(self, x: Params) -> Tensor:
        """The train loss at the start."""
        self._set_generators(0)
        return self.judge.judge(x, read_judged_buffers(self.oracle, None))[TRAIN_LOSS]

    def run(self, inputs: PassInputs) -> Ended:
        """All steps, judged at every ``interval``-th; lanes that are no longer finite may be dropped there."""
        cell, x, trace = inputs.cell, inputs.start, inputs.trace
        method = cell.make_method(cell.laned_hyper()) if self.laned else cell.solo_method(0)
        observer = inputs.make_observer(not method.constant_cost, eager_lanes=self.laned)
        state = method.begin(x, self.laned)
        judged = frozenset(list_judged_steps(cell.steps, self.interval)[:-1])
        for k, stop in pairwise(sorted({*judged, *trace.marked, cell.steps, 0})):
            inputs.before_steps(stop - k)
            first = k
            if k in judged:
                x, state = self._judge_and_step(method, k, x, state, observer, trace)
                first = k + 1
            else:
                trace.mark(k, method.output_at(x, state))
            look = None if method.constant_cost else lambda k, x, seen: observer.add_work(seen)
            x, state = descent(method, self.oracle, x, range(first, stop), state, look)
            lanes = observer.find_finite_lanes() if self.laned and k in judged else None
            if lanes is not None:
                x, state = select_lanes((x, state), observer.count, lanes)
                cell = cell.take(observer.keep_lanes(lanes).cpu().numpy())
                self.oracle = self.oracle.select(lanes)
                method = cell.make_method(cell.laned_hyper())
        self.buffers = read_judged_buffers(self.oracle, state)
        return method.output_at(x, state), (x, state), observer

    def _judge_and_step(
        self, method: Method, k: int, x: Params, state: Any, observer: Observer, trace: TraceRecorder
    ) -> tuple[Params, Any]:
        """Judge x_k, make the step from there, and record both."""
        at = tree_map(lambda leaf: leaf.detach().clone() if method.mutates else leaf, method.output_at(x, state))
        values = self._judge(k, at, read_judged_buffers(self.oracle, state), observer)
        x, state, info = method.step(self.oracle, k, x, state)
        seen = StepInfo(*info)
        self.log.record({**values, BATCH_LOSS: seen.loss}, observer.expand)
        observer.observe(k // self.interval, at, seen._replace(loss=values[TRAIN_LOSS]))
        trace.record(k, observer, at, values[TRAIN_LOSS], seen.grad)
        return x, state

    def _judge(self, k: int, at: Params, buffers: dict[str, Tensor], observer: Observer) -> dict[str, Tensor]:
        self._set_generators(k)
        values = self.judge.judge(at, buffers)
        self.selection.update(k, values, at, buffers, observer.rows)  # type: ignore[arg-type]
        if observer.spec.counts:
            self.work.append(observer.expand((observer.state.gradients, observer.state.evaluations)))
        return values

    def _set_generators(self, k: int) -> None:
        """Set what a single run draws from for step k; lanes have generators of their own."""
        if not self.laned:
            set_globals(self.cell.draws, int(self.cell.seeds[0]), k)

    def finish(self, x: Params, observer: Observer) -> tuple[Tensor, Params]:
        """Judge the last point: its train loss, and the gradient of the batch that would be next."""
        values = self._judge(self.cell.steps, x, self.buffers, observer)
        self._set_generators(self.cell.steps)
        _, grad = self.oracle.grad(x, self.cell.steps)
        self.log.record(values, observer.expand)
        return values[TRAIN_LOSS], grad

    def summarize(self, x: Params, observer: Observer) -> TrainingMetrics:
        """The metrics of the whole pass, and those on test data at its last and at its selected step."""

        def to_row(value: Tensor) -> Array:
            return put_runs_last(to_numpy(value), self.laned)

        final = observer.expand(self.judge.evaluate(TEST, x, self.buffers))
        chosen = self.selection
        selected = {} if chosen.step is None else self.judge.evaluate(TEST, chosen.x, chosen.buffers)
        work = zip(("gradients", "evaluations"), zip(*self.work, strict=True), strict=False)
        return TrainingMetrics(
            np.array(list_judged_steps(self.cell.steps, self.interval)),
            self.log.to_arrays(),
            {name: to_row(value) for name, value in final.items()},
            {name: to_row(value) for name, value in selected.items()},
            None if chosen.step is None else to_row(chosen.step),
            {name: np.stack([to_row(value) for value in values]) for name, values in work},
            make_state_dicts(self.cell, chosen, self.laned) if self.cell.keeps_weights else (),
        )
