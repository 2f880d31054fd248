"""Run a cell and return its columns: an untimed pass that is observed, a timed pass that records nothing."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.engine.batching import choose_execution_mode, find_overflowing_runs, split_into_chunks
from gdbench.engine.cell import Cell
from gdbench.engine.cell_columns import make_block_columns, make_failed_columns, make_trace_columns, spread_columns
from gdbench.engine.convergence_metrics import convergence_columns
from gdbench.engine.convergence_pass import PassResult, concatenate
from gdbench.engine.failure_isolation import Failure, Isolation, Piece, observe_runs
from gdbench.engine.pass_inputs import StepCallback
from gdbench.engine.random_state import read_states
from gdbench.engine.randomness_check import ProgressCallback, find_late_draws, is_seed_effective, run_seeded
from gdbench.engine.timer import WALL, Clock
from gdbench.engine.timing_columns import Timings, make_timing_columns
from gdbench.engine.timing_pass import time_runs
from gdbench.engine.timing_verification import ObservedRuns
from gdbench.engine.trace_recorder import select_traced_runs
from gdbench.engine.training.best_weights import StateDict, spread_weights
from gdbench.errors import TimeLimitReached, UsageError
from gdbench.objectives.base import find_changed_data
from gdbench.results.constant_column import make_constant, take_rows

__all__ = ["CellResult", "ProgressCallback", "ignore_progress", "run_cell"]


Array = npt.NDArray[Any]
Columns = dict[str, Array]


@dataclass(frozen=True)
class CellResult:
    """The columns of a cell's runs; its traces and timing blocks name their run by its number, ``row``."""

    columns: Columns
    traces: Columns
    blocks: Columns
    weights: Mapping[int, StateDict] = field(default_factory=dict)
    """The state of the module at the selected step of some runs, where the cell keeps it."""


def ignore_progress(lane_steps: int) -> None:
    """No-op progress callback."""


def run_cell(cell: Cell, clock: Clock | None = None, progress: ProgressCallback = ignore_progress) -> CellResult:
    """The result of a cell: all runs observed, then some timed.

    Runs that differ only in a seed without effect are executed once. A run that raises, or that torch refuses, is a
    row that says so; its siblings have the rows that they have without it. Raises ``Unavailable`` if the method cannot
    be compiled at all, for any hyper-parameters.
    """
    return run_seeded(cell, progress, lambda cell, repeats, progress: _run_checked(cell, repeats, clock, progress))


def _run_checked(cell: Cell, repeats: bool, clock: Clock | None, progress: ProgressCallback) -> CellResult:
    """The result of a cell whose random draws are known; ``repeats``: whether its first steps repeat."""
    distinct, back = _select_distinct(cell)
    overflowing = find_overflowing_runs(distinct)
    some_overflow = bool(overflowing.any() and not overflowing.all())
    laned, how = choose_execution_mode(distinct.take(np.flatnonzero(~overflowing)) if some_overflow else distinct)
    started, before = time.perf_counter(), read_states()
    observed = _observe(distinct, laned, overflowing, progress)
    convergence_pass_s = time.perf_counter() - started
    find_late_draws(distinct, before)
    result, rows = observed.result, observed.rows
    columns = (
        spread_columns(convergence_columns(distinct, result), rows, distinct.size)
        if result
        else make_failed_columns(distinct.size)
    )
    timings = _time_within_limit(distinct, ObservedRuns(columns, observed.marks), clock, progress)
    _set_failures(columns, observed.failures)
    columns.update(make_timing_columns(timings, columns["steps_to_target"]))
    compile_s = cell.make_method.compile_s
    shared: dict[str, Any] = {} if compile_s is None else {"compile_s": compile_s}
    shared |= {
        "convergence_pass_s": convergence_pass_s,
        "seed_used": is_seed_effective(distinct, columns),
        "deterministic": repeats,
    }
    columns.update({name: make_constant(value, distinct.size) for name, value in shared.items()})
    columns.update(_make_execution_columns(distinct, laned, how, observed.alone))
    if changed := find_changed_data(distinct.objective, distinct.stated):
        raise UsageError(
            f"{changed} changed in place while the cell ran, so that runs saw what others had left there:"
            " the objective or the optimizer must compute with new tensors."
        )
    return CellResult(
        columns if distinct is cell else {name: take_rows(column, back) for name, column in columns.items()},
        make_trace_columns(distinct, result, rows, back) if result else {},
        make_block_columns(timings, back) if timings else {},
        spread_weights(result.metrics.weights, rows, back) if result and result.metrics else {},
    )


def _time_within_limit(
    cell: Cell, observed: ObservedRuns, clock: Clock | None, progress: ProgressCallback
) -> Timings | None:
    """The times of a cell's runs; None where nothing was timed, or its time limit was reached: its results stay."""
    try:
        progress(0)
        return time_runs(cell, observed, clock or _choose_clock(cell.device))
    except TimeLimitReached:
        return None


def _make_execution_columns(cell: Cell, laned: bool, how: str, alone: Mapping[int, str]) -> Columns:
    """The columns ``lanes`` and ``implementation``; ``alone`` holds why some runs were executed one by one."""
    remark = (
        f"; gap_floor from the start: f fails near its minimisers ({failure})"
        if (failure := _explain_unknown_rounding(cell))
        else ""
    )
    columns: Columns = {
        "lanes": make_constant(cell.size - len(alone) if laned else 1, cell.size),
        "implementation": make_constant(f"{cell.make_method.implementation}, {how}{remark}", cell.size),
    }
    if alone:
        columns = {name: column.copy() for name, column in columns.items()}
    for row, reason in alone.items():
        columns["lanes"][row] = 1
        columns["implementation"][row] = f"{cell.make_method.implementation}, run by run: {reason}{remark}"
    return columns


def _explain_unknown_rounding(cell: Cell) -> str:
    """Why the rounding at the stated minimisers is unknown; empty where it is known or not needed."""
    with contextlib.suppress(Exception):  # an objective that cannot be had in this dtype: its runs say so
        return cell.rounding_failure if cell.f_star is not None else ""
    return ""


def _set_failures(columns: Columns, failures: Mapping[int, Failure]) -> None:
    """Set status, error and traceback of the runs that failed or were unavailable; their ``status_step`` is null."""
    if not failures:
        return
    columns.update({name: columns[name].copy() for name in ("status", "error")})
    columns["traceback"] = np.full(len(columns["status"]), None, dtype=object)
    if "status_step" in columns:
        columns["status_step"] = np.ma.copy(columns["status_step"])
        columns["status_step"][list(failures)] = np.ma.masked
    for row, failure in failures.items():
        columns["status"][row], columns["error"][row] = failure.status, failure.error
        columns["traceback"][row] = failure.traceback


def _choose_clock(device: torch.device) -> Clock:
    """The wall clock, synchronising with the device where it is not the CPU."""
    if device.type == "cuda":
        return Clock(WALL.now, lambda: torch.cuda.synchronize(device))
    return Clock(WALL.now, torch.mps.synchronize) if device.type == "mps" else WALL


def _select_distinct(cell: Cell) -> tuple[Cell, Array]:
    """The cell without copies that differ in an ineffective seed only, and for each run its row there."""
    every = np.arange(cell.size)
    if cell.seed_matters() or (cell.seeds == cell.seeds[0]).all():
        return cell, every
    table = np.column_stack(list(cell.hyper.values()))
    _, first, back = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return cell.take(first), back.reshape(-1)


@dataclass(frozen=True)
class _ObservedCell:
    """The results of the convergence pass of a cell, by run."""

    result: PassResult | None
    """Of the runs ``rows``, in this order; None where every run failed."""
    rows: Array
    failures: dict[int, Failure]
    alone: dict[int, str]
    """Why runs were executed one by one where the others ran in lanes."""
    marks: dict[int, dict[int, bytes]]
    """Of runs executed one by one: the digests of their points at marked steps."""


def _observe(cell: Cell, laned: bool, overflowing: Array, progress: ProgressCallback) -> _ObservedCell:
    """Observe all runs of a cell: in chunks of lanes, or one by one, as those ``overflowing`` always are."""
    traced = select_traced_runs(cell)
    chunks = split_into_chunks(cell, np.flatnonzero(~overflowing), laned)
    with contextlib.suppress(Exception):  # what raises here raises in every run, whose row says so
        # Made once, before the chunks share them.
        _ = cell.objective, cell.one_seed, cell.rounding, cell.varying_hyper, cell.steps_per_call
        _ = cell.objective.training is not None or cell.oracle(laned)  # that of a module belongs to one chunk
    isolation = Isolation()
    progress(0)  # the pass begins
    attempts = _run_chunks(
        lambda rows, before_steps: observe_runs(cell, rows, laned, traced, before_steps, isolation),
        chunks,
        cell,
        progress,
    )
    attempts += _run_chunks(
        lambda rows, before_steps: observe_runs(cell, rows, False, traced, before_steps, isolation),
        list(np.flatnonzero(overflowing)[:, None]),
        cell,
        progress,
    )
    with contextlib.suppress(TimeLimitReached):  # runs beyond it have said so, and the others keep their results
        progress(0)  # it has ended: steps are reported before they are made
    pieces = [piece for attempt in attempts for piece in attempt]
    results = [result for _, result in pieces if isinstance(result, PassResult)]
    rows = [rows for rows, result in pieces if isinstance(result, PassResult)]
    failures = {int(row): result for rows, result in pieces if isinstance(result, Failure) for row in rows}
    marks = {
        int(row): digests
        for rows, result in pieces
        if isinstance(result, PassResult) and result.marks
        for row, digests in zip(rows, result.marks, strict=True)
    }
    beyond = f"a number of it is beyond {str(cell.dtype).removeprefix('torch.')}"
    alone = dict.fromkeys(np.flatnonzero(overflowing).tolist(), beyond) if laned else {}
    return _ObservedCell(
        concatenate(results) if results else None,
        np.concatenate([np.empty(0, np.int64), *rows]),
        failures,
        alone | isolation.reasons,
        marks,
    )


def _run_chunks(
    work: Callable[[Array, StepCallback], list[Piece]], chunks: list[Array], cell: Cell, progress: ProgressCallback
) -> list[list[Piece]]:
    """Run chunks of lanes on all cores, as nothing is timed meanwhile; single runs and devices one after the other."""
    halted = threading.Event()

    def before_steps(lanes: int, steps: int) -> None:
        progress(lanes * steps)
        if halted.is_set():
            raise KeyboardInterrupt

    # Only plain tensor code is thread-safe, and the modules of a workload, of which every thread has its own.
    is_safe = cell.objective.laned or cell.objective.training is not None
    if len(chunks) < 2 or len(chunks[0]) == 1 or cell.device.type != "cpu" or not is_safe:
        return [work(rows, partial(before_steps, len(rows))) for rows in chunks]
    threads = torch.get_num_threads()  # of every operation; a new thread would take all cores for each
    with ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        try:
            return list(pool.map(lambda rows: work(rows, partial(before_steps, len(rows))), chunks))
        except BaseException:
            halted.set()  # else the threads would finish their chunks
            pool.shutdown(cancel_futures=True)
            raise
