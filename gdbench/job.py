"""Cell configuration to records: the one place where torch meets the table."""

from __future__ import annotations

import contextlib
import datetime
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from gdbench import build, records
from gdbench.columns import COLUMNS
from gdbench.environment import environment
from gdbench.runner import Answer, explained, run_cell
from gdbench.schema import Question, Unavailable, UsageError, run_keys

__all__ = ["Job", "Progress", "begin", "finish", "run_job", "sweep"]


@dataclass(frozen=True)
class Job:
    """A cell of a sweep: its question, its number, the overrides that repeat it and the configuration they make."""

    question: Question
    cell: int = 0
    overrides: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The cell in a few words."""
        asked = self.question
        return " ".join((asked.objective, asked.optimizer, asked.impl, asked.dtype)).removesuffix(" auto")


class Labelled(Protocol):
    """What goes on, in a few words."""

    @property
    def label(self) -> str: ...


class Progress(Protocol):
    """Hears how a sweep goes on."""

    def begin(self, jobs: Sequence[Job]) -> None: ...  # noqa: D102
    def now(self, job: Labelled) -> None: ...  # noqa: D102
    def done(self, job: Job, statuses: Sequence[str]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def sweep(jobs: Sequence[Job], folder: Path, progress: Progress) -> None:
    """Run cells one after the other in this process; each one's rows are on disk when it ends."""
    progress.begin(jobs)
    try:
        for job in jobs:
            progress.now(job)
            progress.done(job, run_job(job, folder))
    finally:
        progress.close()
    finish(jobs, folder)  # a sweep that was interrupted keeps its parts as they are, to be read or resumed


def begin(jobs: Sequence[Job], outputs: str, name: str | None) -> Path:
    """Check all cells, and only then make the sweep's folder and write down where it runs."""
    for job in jobs:
        build.check(job.question)
    if len(jobs) == 1:
        _insist_on_device(jobs[0].question.device)
    folder = records.new_folder(outputs, name)
    records.write_json(folder / "environment.json", environment())
    return folder


def _insist_on_device(name: str) -> None:
    """A sweep goes on without a device that is not there; a single cell has nothing else to do."""
    try:
        build.device_of(name)
    except Unavailable as reason:
        raise UsageError(str(reason)) from None


def finish(jobs: Sequence[Job], folder: Path, missing: str = "") -> None:
    """Gather the parts; with a reason for it, cells that left none become failed rows."""
    if missing:
        for job in jobs:
            if job.cell not in records.part_numbers(folder):
                _write(job, folder, _nothing(job.question, "failed", missing), datetime.datetime.now(datetime.UTC))
    if records.part_numbers(folder):
        records.gather(folder)


def run_job(job: Job, folder: Path) -> list[str]:
    """Run one cell, write its part, and return the statuses of its runs."""
    started, threads = datetime.datetime.now(datetime.UTC), torch.get_num_threads()
    torch.set_num_threads(job.question.threads)
    try:
        answer = _answer(job.question)
    finally:
        torch.set_num_threads(threads)  # in a notebook they are somebody else's
    _write(job, folder, answer, started)
    return [str(status) for status in answer.columns["status"]]


def _answer(question: Question) -> Answer:
    """The cell's answer; what it cannot have and what went wrong are answers too."""
    try:
        cell = build.build(question)
        answer = run_cell(cell)
    except Unavailable as reason:
        return _nothing(question, "unavailable", str(reason))
    except UsageError as error:
        return _nothing(question, "failed", str(error))
    except Exception as error:
        return _nothing(question, "failed", explained(error))
    decays = cell.hyper.get("weight_decay", np.zeros(cell.size)) != 0
    told: dict[str, Any] = {
        "dtype": str(cell.dtype).removeprefix("torch."),
        "device": str(cell.device),
        "lr": cell.hyper["lr"],
        "f_star_kind": "unknown" if cell.maximize else cell.stated.f_star_kind,
        "shifted_minimum": decays & (cell.stated.minimum is not None),
    }
    return Answer({**answer.columns, **told}, answer.traces, answer.blocks)


def _nothing(question: Question, status: str, error: str) -> Answer:
    """One row a run, with a status and nothing else to tell."""
    runs = question.size
    columns: dict[str, Any] = {
        "status": np.full(runs, status, dtype=object),
        "error": error,
        **_resolved(question),
        "timed": False,
    }
    return Answer(columns, {}, {})


def _resolved(question: Question) -> dict[str, Any]:
    """lr, dtype and device as far as they can be told of a cell that could not be built: its keys need them."""
    lr, dtype, device = question.lanes()["lr"], question.dtype, question.device
    with contextlib.suppress(Exception):
        stated = build.stated_objective(question)
        dtype = str(stated.dtype).removeprefix("torch.") if dtype == "auto" else dtype
        lr = build.hyper(question, stated)["lr"]
    with contextlib.suppress(Unavailable):
        device = str(build.device_of(device))
    return {"lr": lr, "dtype": dtype, "device": "cuda:0" if device == "cuda" else device}


def _write(job: Job, folder: Path, answer: Answer, started: datetime.datetime) -> None:
    """Give the answer's rows their keys and their question, and put them on disk."""
    question = job.question
    constants, numbers = question.constants(), _numbers(question, answer)
    told = {"dtype": answer.columns["dtype"], "device": answer.columns["device"]}
    keys = run_keys({**constants, **told}, numbers)
    asked = {
        "run": keys,
        **constants,
        **numbers,
        "seed": numbers["seed"].astype(np.int64),
        "sweep": f"{folder.parent.name}/{folder.name}",
        "cell": job.cell,
        "overrides": shlex.join(job.overrides),
        "started_at": started,
    }
    runs = {**dict.fromkeys(COLUMNS), **asked, **answer.columns}  # what nobody could tell is null, but there
    tables: dict[records.Table, Mapping[str, Any]] = {
        "runs": runs,
        "traces": _keyed(answer.traces, keys),
        "blocks": _keyed(answer.blocks, keys),
    }
    records.write_part(folder, job.cell, tables)


def _numbers(question: Question, answer: Answer) -> dict[str, Any]:
    """The numeric columns of a question: seed, the lr that was used, and every float of the optimizer."""
    lanes = question.lanes()
    hyper = {name: values for name, values in lanes.items() if name.startswith("optimizer.")}
    hyper.pop("optimizer.default_lr", None)
    return {"seed": lanes["seed"], "lr": answer.columns["lr"], **hyper}


def _keyed(table: Mapping[str, Any], keys: Any) -> Mapping[str, Any]:
    return {"run": keys[table["row"]], **{name: each for name, each in table.items() if name != "row"}} if table else {}
