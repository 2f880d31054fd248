"""Adaptive sweep: each batch of cells is chosen from the results of earlier ones; all share a folder and a table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench.analysis.tuning_score import is_cost_metric
from gdbench.config.overrides import write_command
from gdbench.engine.failure_isolation import Failure
from gdbench.engine.objective_factory import load_objective
from gdbench.engine.runner import ProgressCallback, ignore_progress
from gdbench.engine.training.target_reached import choose_target
from gdbench.errors import UsageError
from gdbench.results import sweep_folder
from gdbench.results.export import parse_trackers
from gdbench.results.folder_layout import PARTS, find_finished_cells
from gdbench.results.load import load_part
from gdbench.sweeps.distributed import Launch, launch_all
from gdbench.sweeps.executor import export, write_configurations, write_environment
from gdbench.sweeps.fingerprint import cell_fingerprint
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import check_cells, gather_parts, run_job
from gdbench.sweeps.resume import ResumeRequest
from gdbench.sweeps.sweep_spec import SweepSpec
from gdbench.sweeps.time_limit import find_sweep_limit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AdaptiveSweep", "write_run_command"]

NOT_REPEATED = ("metric", "trials", "points", "outputs", "name")
"""Overrides that a single run does not need."""


class AdaptiveSweep:
    """The folder and the cells so far of a sweep whose cells are not known beforehand."""

    def __init__(self, spec: SweepSpec, likely: Sequence[Job], launch: Launch | None = None) -> None:
        """``likely`` are cells that stand for all that may be run: they are checked, and only then a folder is made."""
        for job in likely:
            _check_metric(job)
        check_cells(likely, here=launch is None)
        self.spec, self.launch, self.first = spec, launch, likely[0]
        self.trackers = parse_trackers(self.first.config)
        request = ResumeRequest.parse(self.first.config, spec.kind)
        if request.resume is not None:
            raise UsageError(f"resume={request.resume}: a search is begun anew each time; leave out resume=.")
        self.folder: Path = sweep_folder.create_folder(request.outputs, request.name or spec.kind)
        write_environment(self.folder, likely, spec)
        sweep_folder.begin_parts(self.folder)
        self.jobs: list[Job] = []
        self.lost: dict[int, Failure] = {}
        self.limit = find_sweep_limit(self.first.config)

    def add(self, job: Job) -> Job:
        """The job with the next free number of a cell, and its fingerprint."""
        self.jobs.append(replace(job, cell=len(self.jobs), key=cell_fingerprint(job.spec)))
        return self.jobs[-1]

    def run(self, jobs: Sequence[Job], pulse: ProgressCallback = ignore_progress) -> None:
        """Run cells that were added, here or by the launcher; their rows are on disk when this returns."""
        write_configurations(self.folder, jobs, self.spec)
        if self.launch:
            self.lost |= launch_all(jobs, self.folder, self.launch, limit=self.limit)
        else:
            for job in jobs:
                run_job(job, self.folder, pulse, self.limit)

    def add_traces(self, job: Job, cell: int, pulse: ProgressCallback = ignore_progress) -> None:
        """Run part of an earlier cell again for its traces alone: its rows are on disk already."""
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / PARTS).mkdir()
            run_job(replace(job, cell=cell), Path(scratch), pulse)
            sweep_folder.move_traces(Path(scratch), self.folder, cell)

    def load_runs(self, job: Job) -> pd.DataFrame | None:
        """The rows of a cell; None where a launcher lost it."""
        return load_part(self.folder, job.cell) if job.cell in find_finished_cells(self.folder) else None

    def add_columns(self, columns: Mapping[str, Mapping[str, Any]]) -> None:
        """Add columns to the rows on disk: values of some runs, by their keys."""
        sweep_folder.add_run_columns(self.folder, columns)

    def close(self) -> None:
        """Write one table of all cells, and export it."""
        gather_parts(self.jobs, self.folder, self.lost)
        export(self.trackers, self.folder)


def write_run_command(job: Job, numbers: Mapping[str, float]) -> str:
    """The command line that runs a cell again, with these numbers for its axes."""
    added = [f"{key}={number!r}" for key, number in numbers.items()]
    return write_command(job.overrides, (*NOT_REPEATED, *numbers), added)


def _check_metric(job: Job) -> None:
    """``UsageError`` where no run of a cell can have the metric."""
    metric, spec = job.spec.metric, job.spec
    if not (metric.endswith("_gap") or is_cost_metric(metric)):
        return
    objective = load_objective(spec)
    is_absolute = spec.target_loss is not None or choose_target(spec, objective) is not None
    if objective.minimum is None and (metric.endswith("_gap") or not is_absolute):
        absolute = "" if metric.endswith("_gap") else " give target_loss=, or"
        raise UsageError(
            f"metric={metric}: objective={spec.objective} states no minimum, so gaps are unknown;{absolute}"
            " take metric=final_loss."
        )
