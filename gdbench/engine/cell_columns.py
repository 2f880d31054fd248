"""The tables of a cell (columns, traces, timing blocks) from the results of its runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gdbench.engine.cell import Cell
from gdbench.engine.convergence_pass import PassResult
from gdbench.engine.targets import Ladder
from gdbench.engine.timing_columns import Timings
from gdbench.engine.training.metric_columns import make_metric_traces
from gdbench.results.constant_column import make_constant, take_rows

__all__ = ["make_block_columns", "make_failed_columns", "make_null_column", "make_trace_columns", "spread_columns"]


Array = npt.NDArray[Any]
Columns = dict[str, Array]


def make_null_column(runs: int, dtype: Any) -> Array:
    """A column of nulls of a dtype."""
    return np.ma.masked_array(np.zeros(runs, dtype), mask=True)


def make_failed_columns(runs: int) -> Columns:
    """The columns of a cell of which every run failed."""
    return {
        "status": make_constant("failed", runs),
        "error": make_constant(None, runs),
        "steps_to_target": make_null_column(runs, np.int64),
    }


def spread_columns(columns: Columns, rows: Array, runs: int) -> Columns:
    """Columns of the runs ``rows`` as columns of all runs, null elsewhere."""
    if len(rows) == runs:  # in the order in which they ran
        in_order = bool((np.diff(rows) == 1).all())
        return columns if in_order else {name: take_rows(column, np.argsort(rows)) for name, column in columns.items()}
    spread: Columns = {}
    for name, column in columns.items():
        whole: Array = np.full(runs, None, dtype=object)
        if column.dtype != object:
            whole = make_null_column(runs, column.dtype)
        whole[rows] = column
        spread[name] = whole
    spread["status"][np.setdiff1d(np.arange(runs), rows)] = "failed"
    return spread


def make_trace_columns(cell: Cell, result: PassResult, rows: Array, back: Array) -> Columns:
    """The traces, one run after the other, up to the step at which a run stopped being finite."""
    place = np.full(cell.size, -1)
    place[rows[result.traced]] = np.arange(len(result.traced))
    wanted = np.flatnonzero(place[back] >= 0)
    traced = place[back[wanted]]
    ended = result.observations.finite_points[result.traced][traced]
    keep = result.steps[None, :] <= ended[:, None]
    gaps = Ladder(cell.f_star, np.empty(0), result.floor).gap(result.losses, result.start[result.traced][None, :])
    metrics = make_metric_traces(result.metrics, result.steps) if result.metrics else {}
    table = {"loss": result.losses.T[traced], "gap": gaps.T[traced], "grad_norm": result.grad_norms.T[traced]}
    table |= {name: values[:, result.traced].T[traced] for name, values in metrics.items()}
    return {
        "row": np.repeat(wanted, keep.sum(1)),
        "step": np.broadcast_to(result.steps, keep.shape)[keep],
        **{name: values[keep] for name, values in table.items()},
        "x": result.points[traced][keep],
    }


def make_block_columns(timings: Timings, back: Array) -> Columns:
    """The raw timing blocks of every timed run."""
    timed = [(int(np.flatnonzero(back == row)[0]), samples) for row, samples in timings.blocks]
    if not timed:
        return {}
    return {
        "row": np.concatenate([np.full(len(samples.work), row) for row, samples in timed]),
        "block": np.concatenate([np.arange(len(samples.work)) for _, samples in timed]),
        "step_s": np.concatenate([samples.work for _, samples in timed]),
        "reference_s": np.concatenate([samples.reference for _, samples in timed]),
    }
