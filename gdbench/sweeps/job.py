"""Cell configuration to records: the one place where torch meets the table."""

from __future__ import annotations

import contextlib
import datetime
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gdbench.config.schema import AROUND
from gdbench.config.spec import Question
from gdbench.config.user_modules import USER_ERRORS, importing
from gdbench.engine import build
from gdbench.engine.device import resolve_device
from gdbench.engine.environment import make_process_key
from gdbench.engine.factories import load_objective
from gdbench.engine.failure_isolation import Failure
from gdbench.engine.hyper_parameters import make_hyper_columns
from gdbench.engine.runner import CellResult, ProgressCallback, ignore_progress, run_cell
from gdbench.engine.torch_globals import isolate_settings
from gdbench.errors import Unavailable, UsageError
from gdbench.results import sweep_folder
from gdbench.results.columns import COLUMNS
from gdbench.results.constant_column import is_constant, make_constant
from gdbench.results.parquet_files import Table
from gdbench.results.run_ids import compute_run_ids
from gdbench.sweeps import fingerprint
from gdbench.sweeps.job_spec import Job, Progress
from gdbench.sweeps.machine_lock import one_at_a_time

__all__ = ["Job", "Progress", "check", "finish", "keys", "nothing", "run_job", "sweep"]


def sweep(jobs: Sequence[Job], folder: Path, progress: Progress) -> None:
    """Run cells one after the other in this process; each one's rows are on disk when it ends."""
    progress.begin(jobs)
    try:
        for job in jobs:
            progress.now(job)
            progress.done(job, run_job(job, folder, progress.worked))
    finally:
        progress.close()
    finish(jobs, folder)  # a sweep that was interrupted keeps its parts as they are, to be read or resumed


@one_at_a_time()
def check(jobs: Sequence[Job], here: bool = True) -> None:
    """Check all cells before anything runs, by the sources and data as they are now.

    A device that is not there, or a fact that its objective does not state, makes a cell ``unavailable`` and no more,
    while others of its sweep can run; where that leaves none, it is a mistake in the command. Not ``here``, but where a
    launcher carries the cells, there may be other devices.
    """
    fingerprint.refresh()
    for job in jobs:
        build.check_cell(job.question)
    if here:
        _insist_on_one(jobs)


def _insist_on_one(jobs: Sequence[Job]) -> None:
    """``UsageError``, with the first cell's reason, where every cell lacks its device or a fact of its objective."""
    reasons = []
    for job in jobs:
        if (reason := _find_lack(job.question)) is None:
            return
        reasons.append(reason)
    raise UsageError(reasons[0] if reasons[0].endswith(".") else f"{reasons[0]}.")


def _find_lack(question: Question) -> str | None:
    """Why a cell cannot run here, as far as it can be told before it runs; None where nothing is known against it."""
    try:
        resolve_device(question.device)
        make_hyper_columns(question, load_objective(question))
    except Unavailable as reason:
        return str(reason)
    return None


def finish(jobs: Sequence[Job], folder: Path, lost: Mapping[int, str] | None = None) -> None:
    """Gather the parts; cells that left none, and the reason for it, become failed rows, without a key: nothing ran."""
    for job in jobs:
        if reason := (lost or {}).get(job.cell):
            answer = nothing(job.question, "failed", reason)
            _write(replace(job, key=""), folder, answer, datetime.datetime.now(datetime.UTC))
    sweep_folder.merge_parts(folder)


@one_at_a_time()
def run_job(job: Job, folder: Path, pulse: ProgressCallback = ignore_progress) -> list[str]:
    """Run one cell, write its part, and return the statuses of its runs; ``pulse`` hears of its lane-steps."""
    started, question = datetime.datetime.now(datetime.UTC), job.question
    if fingerprint.key_of_what_ran(job.key, question) != job.key:
        fingerprint.refresh()  # a worker that ran another sweep before: what it has imported is older than the question
    with importing(question.code), isolate_settings():
        torch.set_num_threads(question.threads)
        answer = _answer(question, pulse)
    job = replace(job, key=fingerprint.key_of_what_ran(job.key, question))
    _write(job, folder, answer, started)
    return [str(status) for status in answer.columns["status"]]


def _answer(question: Question, pulse: ProgressCallback) -> CellResult:
    """The cell's answer; what it cannot have and what went wrong are answers too."""
    try:
        cell = build.build_cell(question)
        answer = run_cell(cell, pulse=pulse)
    except USER_ERRORS as error:
        failure = Failure.of(error)
        return nothing(question, failure.status, failure.error, failure.traceback)
    decays = cell.hyper.get("weight_decay", make_constant(0.0, cell.size))
    shifts = cell.stated.minimum is not None
    shifted = make_constant(bool(decays[0]) and shifts, cell.size) if is_constant(decays) else (decays != 0) & shifts
    told: dict[str, Any] = {
        "dtype": str(cell.dtype).removeprefix("torch."),
        "device": str(cell.device),
        "lr": cell.hyper["lr"],
        "minimum_kind": "unknown" if cell.maximize else cell.stated.minimum_kind,
        "smoothness": cell.stated.smoothness,
        "shifted_minimum": shifted,
    }
    return CellResult({**answer.columns, **told}, answer.traces, answer.blocks)


def nothing(question: Question, status: str, error: str, traceback: str | None = None) -> CellResult:
    """One row a run, with a status, its reason, and nothing else to tell."""
    runs = question.size
    columns: dict[str, Any] = {
        "status": make_constant(status, runs),
        "error": error,
        "traceback": traceback,
        **_resolved(question),
        "timed": False,
    }
    return CellResult(columns, {}, {})


def _resolved(question: Question) -> dict[str, Any]:
    """lr, dtype and device as far as they can be told of a cell that could not be built: its keys need them."""
    lr, dtype, device = question.lanes()["lr"], question.dtype, question.device
    with contextlib.suppress(Exception):
        stated = load_objective(question)
        dtype = str(stated.dtype).removeprefix("torch.") if dtype == "auto" else dtype
        lr = make_hyper_columns(question, stated)["lr"]
    with contextlib.suppress(Unavailable):
        device = str(resolve_device(device))
    return {"lr": lr, "dtype": dtype, "device": "cuda:0" if device == "cuda" else device}


def _write(job: Job, folder: Path, answer: CellResult, started: datetime.datetime) -> None:
    """Give the answer's rows their keys and their question, and put them on disk."""
    question, run = job.question, keys(job.question, answer)
    asked = {
        "run_id": run,
        **AROUND,
        **question.constants(),
        **_numbers(question, answer),
        **_scale(question),
        "seed": question.seeds(),
        "sweep": f"{folder.parent.name}/{folder.name}",
        "cell": job.cell,
        "cell_fingerprint": job.key or None,
        "process": make_process_key(),
        "overrides": shlex.join(job.overrides),
        "cell_s": (datetime.datetime.now(datetime.UTC) - started).total_seconds(),
        "started_at": started,
    }
    runs = {**dict.fromkeys(COLUMNS), **asked, **answer.columns}  # what nobody could tell is null, but there
    tables: dict[Table, Mapping[str, Any]] = {
        "runs": runs,
        "traces": _keyed(answer.traces, run),
        "blocks": _keyed(answer.blocks, run),
    }
    sweep_folder.write_part(folder, job.cell, tables)


def _scale(question: Question) -> dict[str, Any]:
    """What made the lr of each run, where it was not given: the same lr is the same question, however it was asked."""
    lanes = question.lanes()
    if not np.isnan(lanes["lr"]).any():
        return {}
    return {"lr_scale": lanes["lr_scale"], "lr_scale_of": question.lr_scale_of or "default"}


def keys(question: Question, answer: CellResult) -> npt.NDArray[np.bytes_]:
    """The keys of an answer's runs, which count lr, dtype and device as they turned out."""
    told = {name: answer.columns[name] for name in ("dtype", "device")}
    return compute_run_ids({**question.constants(), **told}, _numbers(question, answer))


def _numbers(question: Question, answer: CellResult) -> dict[str, Any]:
    """The numeric columns of a question: seed, the lr that was used, and every float of the optimizer."""
    lanes = question.lanes()
    hyper = {name: values for name, values in lanes.items() if name.startswith("optimizer.")}
    hyper.pop("optimizer.default_lr", None)
    return {"seed": lanes["seed"], "lr": answer.columns["lr"], **hyper}


def _keyed(table: Mapping[str, Any], keys: Any) -> Mapping[str, Any]:
    return (
        {"run_id": keys[table["row"]], **{name: each for name, each in table.items() if name != "row"}} if table else {}
    )
