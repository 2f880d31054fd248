"""Run jobs: check and run cells with torch, and write their rows."""

from __future__ import annotations

import contextlib
import datetime
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.config.schema import AROUND
from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import USER_ERRORS, import_from
from gdbench.engine import build
from gdbench.engine.device import resolve_device
from gdbench.engine.environment import make_process_key
from gdbench.engine.failure_isolation import Failure
from gdbench.engine.hyper_parameters import make_hyper_columns
from gdbench.engine.objective_factory import load_objective
from gdbench.engine.runner import CellResult, ProgressCallback, ignore_progress, run_cell
from gdbench.engine.torch_globals import isolate_settings
from gdbench.engine.training.judging_schedule import choose_interval
from gdbench.engine.training.metric_columns import make_selection_columns
from gdbench.engine.training.target_reached import choose_target
from gdbench.errors import TimeLimitReached, Unavailable, UsageError
from gdbench.objectives.base import Objective
from gdbench.results import sweep_folder
from gdbench.results.columns import COLUMNS
from gdbench.results.constant_column import is_constant, make_constant
from gdbench.results.parquet_files import Table
from gdbench.results.run_ids import compute_run_ids
from gdbench.results.running_cells import mark_running
from gdbench.sweeps import fingerprint
from gdbench.sweeps.job import Job
from gdbench.sweeps.machine_lock import lock_process
from gdbench.sweeps.progress import Progress
from gdbench.sweeps.time_limit import TimeLimit, find_cell_limit, find_sweep_limit, interrupt_after
from gdbench.sweeps.weight_files import check_weight_files, write_weight_files

__all__ = ["check_cells", "compute_run_keys", "gather_parts", "make_empty_answer", "run_here", "run_job", "write_lost"]


def run_here(jobs: Sequence[Job], folder: Path, progress: Progress, limit: TimeLimit | None = None) -> None:
    """Run cells one after the other in this process; the rows of each are on disk when it ends.

    Those that have not begun when the sweep's ``limit`` is reached become rows that say so.
    """
    progress.begin(jobs)
    try:
        for job in jobs:
            progress.start_job(job)
            progress.finish_job(job, run_job(job, folder, progress.add_lane_steps, limit))
    finally:
        progress.close()
    gather_parts(jobs, folder)  # an interrupted sweep keeps its parts as they are, to be read or resumed


@lock_process()
def check_cells(jobs: Sequence[Job], here: bool = True) -> None:
    """``UsageError`` for any cell that cannot be run as configured, before anything runs.

    A missing device, or a constant that its objective does not state, only makes a cell ``unavailable`` while others of
    the sweep can run; where no cell can, it is an error. With a launcher (not ``here``) devices are not checked.
    """
    fingerprint.forget_changes()
    for job in jobs:
        _check_within_limit(job)
    check_weight_files(jobs)
    if here:
        _require_runnable(jobs)


def _check_within_limit(job: Job) -> None:
    """Check a cell; where there is a limit, ``UsageError`` for a factory that takes longer, and f is not called."""
    limit = find_cell_limit(job.config, find_sweep_limit(job.config))
    try:
        with interrupt_after(limit):
            build.check_cell(job.spec, evaluate=limit is None)
    except TimeLimitReached as reached:
        raise UsageError(
            f"objective={job.spec.objective} optimizer={job.spec.optimizer}: making them {reached}."
        ) from None


def _require_runnable(jobs: Sequence[Job]) -> None:
    """``UsageError`` with the first cell's reason where every cell lacks its device or a constant of its objective."""
    reasons = []
    for job in jobs:
        if (reason := _find_missing(job.spec)) is None:
            return
        reasons.append(reason)
    raise UsageError(reasons[0] if reasons[0].endswith(".") else f"{reasons[0]}.")


def _find_missing(spec: CellSpec) -> str | None:
    """Why a cell cannot run here, as far as is known before it runs; else None."""
    try:
        resolve_device(spec.device)
        make_hyper_columns(spec, load_objective(spec))
    except Unavailable as reason:
        return str(reason)
    return None


def gather_parts(jobs: Sequence[Job], folder: Path, lost: Mapping[int, Failure] | None = None) -> None:
    """Write one table of all parts; ``lost`` cells, with their reasons, become rows that say so."""
    for job in jobs:
        if reason := (lost or {}).get(job.cell):
            write_lost(job, folder, reason)
    sweep_folder.merge_parts(folder)


def write_lost(job: Job, folder: Path, reason: Failure) -> None:
    """Write the rows of a cell that left none; without a fingerprint, by which a resumed sweep runs it again."""
    answer = make_empty_answer(job.spec, reason.status, reason.error, reason.traceback)
    _write_part(job if reason.is_final else replace(job, key=""), folder, answer, _Start.now())


@lock_process()
def run_job(
    job: Job, folder: Path, pulse: ProgressCallback = ignore_progress, of_sweep: TimeLimit | None = None
) -> list[str]:
    """The statuses of a cell's runs, which are run and written as a part; ``pulse`` is called with run-steps done.

    A cell that does not end within its limit, or that of its sweep, gets rows that say so.
    """
    started, spec, limit = _Start.now(), job.spec, find_cell_limit(job.config, of_sweep)
    if fingerprint.fingerprint_after_run(job.key, spec) != job.key:
        fingerprint.forget_changes()  # a worker that ran another sweep before may have imported older sources
    with mark_running(folder, job.cell, job.label) as mark:
        with import_from(spec.code), isolate_settings():
            torch.set_num_threads(spec.threads)
            answer = _run_within_limit(spec, pulse, limit, mark)
        job = replace(job, key=fingerprint.fingerprint_after_run(job.key, spec))
        if of_sweep and limit is of_sweep and "timeout" in answer.columns["status"]:
            job = replace(job, key="")  # through no fault of its own: a resumed sweep runs it again
        _write_part(job, folder, answer, started)
    return [str(status) for status in answer.columns["status"]]


def _run_within_limit(spec: CellSpec, pulse: ProgressCallback, limit: TimeLimit | None, mark: Path) -> CellResult:
    """The columns of a cell's runs; of one that does not end within a limit, rows that say so.

    Runs that had ended keep their results. ``mark`` is the file that marks the cell as running.
    """

    def advance(lane_steps: int) -> None:
        pulse(lane_steps)
        if limit:
            limit.check()

    try:
        with interrupt_after(limit, mark):
            return _run_cell_spec(spec, advance)
    except TimeLimitReached as error:
        failure = Failure.from_exception(error)
        return make_empty_answer(spec, failure.status, failure.error)


def _run_cell_spec(spec: CellSpec, pulse: ProgressCallback) -> CellResult:
    """The columns of a cell's runs; of one that fails or is unavailable, rows that say why."""
    try:
        cell = build.build_cell(spec)
        answer = run_cell(cell, progress=pulse)
    except USER_ERRORS as error:
        failure = Failure.from_exception(error)
        return make_empty_answer(spec, failure.status, failure.error, failure.traceback)
    decays = cell.hyper.get("weight_decay", make_constant(0.0, cell.size))
    shifts = cell.stated.minimum is not None
    shifted = make_constant(bool(decays[0]) and shifts, cell.size) if is_constant(decays) else (decays != 0) & shifts
    resolved: dict[str, Any] = {
        "dtype": str(cell.dtype).removeprefix("torch."),
        "device": str(cell.device),
        "lr": cell.hyper["lr"],
        "minimum_kind": "unknown" if cell.maximize else cell.stated.minimum_kind,
        "smoothness": cell.stated.smoothness,
        "shifted_minimum": shifted,
        "judge_every": cell.judge_every,
        **_describe_targets(spec, cell.stated, answer.columns),
    }
    return replace(answer, columns={**answer.columns, **resolved})


def make_empty_answer(spec: CellSpec, status: str, error: str, traceback: str | None = None) -> CellResult:
    """Rows with a status and its reason, and no results."""
    runs = spec.size
    columns: dict[str, Any] = {
        "status": make_constant(status, runs),
        "error": error,
        "traceback": traceback,
        **_resolve_key_columns(spec),
        "timed": False,
    }
    return CellResult(columns, {}, {})


def _resolve_key_columns(spec: CellSpec) -> dict[str, Any]:
    """lr, dtype and device of a cell that could not be built, as far as known: its run keys need them."""
    lr, dtype, device, interval = spec.lanes()["lr"], spec.dtype, spec.device, spec.judge_every
    targets: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        stated = load_objective(spec)
        dtype = str(stated.dtype).removeprefix("torch.") if dtype == "auto" else dtype
        interval = choose_interval(spec.judge_every, stated)
        targets = _describe_targets(spec, stated, {})
        lr = make_hyper_columns(spec, stated)["lr"]
    with contextlib.suppress(Unavailable):
        device = str(resolve_device(device))
    interval = 1 if interval == "auto" else interval
    device = "cuda:0" if device == "cuda" else device
    return {"lr": lr, "dtype": dtype, "device": device, "judge_every": interval, **targets}


def _describe_targets(spec: CellSpec, objective: Objective, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say what ranks the runs of a training workload: the target metric, else what selects."""
    target = choose_target(spec, objective)
    has_target = target is not None or spec.target_loss is not None
    selection = make_selection_columns(objective.training, spec.metric, has_target, columns)
    return selection if target is None else {**selection, "target_metric": str(target)}


@dataclass(frozen=True)
class _Start:
    """When a cell began: by the calendar, and by the monotonic clock, as the other may be set back."""

    date: datetime.datetime
    seconds: float

    @classmethod
    def now(cls) -> _Start:
        return cls(datetime.datetime.now(datetime.UTC), time.monotonic())


def _write_part(job: Job, folder: Path, answer: CellResult, started: _Start) -> None:
    """Write an answer's rows, with their keys and settings, as the part of a cell."""
    spec, run = job.spec, compute_run_keys(job.spec, answer)
    asked = {
        "run_id": run,
        **AROUND,
        **spec.constants(),
        **_number_columns(spec, answer),
        **_lr_scale_columns(spec),
        "seed": spec.seeds(),
        "sweep": f"{folder.parent.name}/{folder.name}",
        "cell": job.cell,
        "cell_fingerprint": job.key or None,
        "process": make_process_key(),
        "overrides": shlex.join(job.overrides),
        "cell_s": time.monotonic() - started.seconds,
        "started_at": started.date,
    }
    weights = write_weight_files(folder, answer.weights, run)
    runs = {**dict.fromkeys(COLUMNS), **asked, **answer.columns, "weights": weights}  # unknown columns are null
    tables: dict[Table, Mapping[str, Any]] = {
        "runs": runs,
        "traces": _add_run_ids(answer.traces, run),
        "blocks": _add_run_ids(answer.blocks, run),
    }
    sweep_folder.write_part(folder, job.cell, tables)


def _lr_scale_columns(spec: CellSpec) -> dict[str, Any]:
    """The scale columns of runs whose lr was computed; the same lr has the same run key, however it was given."""
    lanes = spec.lanes()
    if not np.isnan(lanes["lr"]).any():
        return {}
    return {"lr_scale": lanes["lr_scale"], "lr_scale_of": spec.lr_scale_of or "default"}


def compute_run_keys(spec: CellSpec, answer: CellResult) -> npt.NDArray[np.bytes_]:
    """The keys of an answer's runs, from lr, dtype and device as resolved."""
    names = ("dtype", "device", "target_metric")
    resolved: dict[str, Any] = {name: answer.columns[name] for name in names if name in answer.columns}
    # what these do is part of a run where they differ from this
    optional: dict[str, Any] = {"target_metric": None, "judge_every": 1, "exact": False}
    given: dict[str, Any] = {**spec.constants(), "judge_every": answer.columns["judge_every"], **resolved}
    named = {name: value for name, value in given.items() if name not in optional or value != optional[name]}
    return compute_run_ids(named, _number_columns(spec, answer))


def _number_columns(spec: CellSpec, answer: CellResult) -> dict[str, Any]:
    """The numeric columns of a cell: seed, the lr that was used, and every float of the optimizer."""
    lanes = spec.lanes()
    hyper = {name: values for name, values in lanes.items() if name.startswith("optimizer.")}
    hyper.pop("optimizer.default_lr", None)
    return {"seed": lanes["seed"], "lr": answer.columns["lr"], **hyper}


def _add_run_ids(table: Mapping[str, Any], keys: Any) -> Mapping[str, Any]:
    """A table with the keys of its runs in place of their row numbers."""
    if not table:
        return {}
    return {"run_id": keys[table["row"]], **{name: column for name, column in table.items() if name != "row"}}
