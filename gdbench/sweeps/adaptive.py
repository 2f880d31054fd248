"""A sweep whose cells are not known beforehand: each batch follows from the answers to those before."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench.analysis.tuning_metric import is_cost_metric
from gdbench.config.overrides import read_text
from gdbench.engine.factories import load_objective
from gdbench.engine.runner import ProgressCallback, ignore_progress
from gdbench.errors import UsageError
from gdbench.results import sweep_folder
from gdbench.results.export import parse_trackers
from gdbench.results.folder_layout import PARTS, find_finished_cells
from gdbench.results.load import load_part
from gdbench.sweeps.distributed import UNKNOWN, Launch
from gdbench.sweeps.executor import describe, export, keep_configurations
from gdbench.sweeps.fingerprint import cell_fingerprint
from gdbench.sweeps.job import check, finish, run_job
from gdbench.sweeps.job_spec import Job
from gdbench.sweeps.resume import Wish

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Growing", "check_metric", "repeating"]

NOT_REPEATED = ("metric", "trials", "points", "outputs", "name", "code")
"""Overrides that a single run does not need."""


class Growing:
    """One folder and one table for cells that are asked for one after the other."""

    def __init__(
        self, likely: Sequence[Job], arguments: Sequence[str], kind: str, launch: Launch | None = None
    ) -> None:
        """``likely`` stand for all that may be asked: they are checked, and only then a folder is made."""
        for job in likely:
            check_metric(job)
        check(likely, here=launch is None)
        self.first = likely[0]
        self.trackers = parse_trackers(self.first.config)
        wish = Wish.parse(self.first.config, kind)
        if wish.resume is not None:
            raise UsageError(f"resume={wish.resume}: a search is begun anew each time; leave out resume=.")
        self.folder: Path = sweep_folder.create_folder(wish.outputs, wish.name or kind)
        describe(self.folder, likely, arguments)
        self.arguments, self.launch = arguments, launch
        self.jobs: list[Job] = []
        self.lost: dict[int, str] = {}

    def number(self, job: Job) -> Job:
        """The job with the next free number of a cell."""
        self.jobs.append(replace(job, cell=len(self.jobs), key=cell_fingerprint(job.question)))
        return self.jobs[-1]

    def ask(self, jobs: Sequence[Job], pulse: ProgressCallback = ignore_progress) -> None:
        """Run numbered cells, here or by the launcher; their rows are on disk when this returns."""
        keep_configurations(self.folder, jobs, self.arguments)
        if self.launch:
            reasons = self.launch(jobs, self.folder, lambda: None)
            gone = {job.cell for job in jobs} - find_finished_cells(self.folder)
            self.lost |= {cell: reasons.get(cell) or UNKNOWN for cell in gone}
        else:
            for job in jobs:
                run_job(job, self.folder, pulse)

    def trace(self, job: Job, cell: int, pulse: ProgressCallback = ignore_progress) -> None:
        """Run again a part of a cell that left no traces, and keep these alone: its rows are there already."""
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / PARTS).mkdir()
            run_job(replace(job, cell=cell), Path(scratch), pulse)
            sweep_folder.move_traces(Path(scratch), self.folder, cell)

    def answer(self, job: Job) -> pd.DataFrame | None:
        """The rows of a cell that was run; None where a launcher lost it."""
        return load_part(self.folder, job.cell) if job.cell in find_finished_cells(self.folder) else None

    def mark(self, columns: Mapping[str, Mapping[str, Any]]) -> None:
        """Add columns to the rows on disk: what is known of some runs, by their keys, when all have ended."""
        sweep_folder.add_run_columns(self.folder, columns)

    def close(self) -> None:
        """Make one table of all cells, and copy it to the trackers that were asked for."""
        finish(self.jobs, self.folder, self.lost)
        export(self.trackers, self.folder)


def repeating(job: Job, numbers: Mapping[str, float]) -> str:
    """The command line that runs a cell again, with these numbers for its axes."""
    options: list[str] = []
    words: list[str] = []
    for word in job.overrides:
        key, _, value = word.partition("=")
        if key == "code":
            options = ["--config-dir", read_text(value)]
        elif key not in (*NOT_REPEATED, *numbers):
            words.append(word)
    return shlex.join(["python", "-m", "gdbench", *options, *words, *(f"{key}={numbers[key]!r}" for key in numbers)])


def check_metric(job: Job) -> None:
    """``UsageError`` where no run of a cell can have the metric, whatever it does."""
    metric, question = str(job.config["metric"]), job.question
    relative = metric.endswith("_gap") or (is_cost_metric(metric) and question.target_loss is None)
    if relative and load_objective(question).minimum is None:
        absolute = "" if metric.endswith("_gap") else " give target_loss=, or"
        raise UsageError(
            f"metric={metric}: objective={question.objective} states no minimum, so gaps are unknown;{absolute}"
            " take metric=final_loss."
        )
