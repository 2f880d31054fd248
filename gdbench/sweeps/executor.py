"""Run the cells of a sweep: check them, run what is missing here or by a launcher, write one table, export it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gdbench.config.libyaml import to_yaml
from gdbench.config.trust import add_stamp
from gdbench.engine.environment import describe_environment, read_git_diff
from gdbench.results import sweep_folder
from gdbench.results.atomic import explain_write_errors, write_json, write_text
from gdbench.results.export import export_to_all, parse_trackers
from gdbench.results.running_cells import delete_marks, read_marks
from gdbench.sweeps.distributed import Launch, explain_hang, run_by_launcher
from gdbench.sweeps.fingerprint import list_data_digests, list_source_digests
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import check_cells, run_here, write_lost
from gdbench.sweeps.machine_lock import lock_process
from gdbench.sweeps.progress import Progress
from gdbench.sweeps.resume import (
    ResumeRequest,
    SweepStatus,
    find_folder,
    find_status,
    open_folder,
    record_command,
    with_fingerprints,
)
from gdbench.sweeps.sweep_result import SweepResult, interruptible
from gdbench.sweeps.sweep_spec import SweepSpec, list_code_override, list_repeated, to_command
from gdbench.sweeps.time_limit import find_sweep_limit
from gdbench.sweeps.torchrun import is_follower

__all__ = ["execute", "export", "find_cell_states", "write_configurations", "write_environment"]


def execute(spec: SweepSpec, jobs: Sequence[Job], progress: Progress, launch: Launch | None = None) -> SweepResult:
    """Run the cells that are missing, here or by ``launch``, in a new folder or in that of a sweep to continue.

    Raises ``UsageError`` before anything runs, and ``Interrupted`` where Ctrl-C comes after there is a folder.
    """
    check_cells(jobs, here=launch is None)
    trackers = [] if is_follower() else parse_trackers(jobs[0].config)
    jobs, request = with_fingerprints(jobs), ResumeRequest.parse(jobs[0].config, spec.kind)
    limit = find_sweep_limit(jobs[0].config)
    with open_folder(jobs, request) as (folder, status), interruptible(SweepResult(folder, status)) as result:
        missing = _order_jobs(status, folder, progress)
        if missing:
            write_environment(folder, missing, spec)
        write_configurations(folder, missing, spec)
        record_command(folder, status.jobs, to_command(spec))
        sweep_folder.begin_parts(folder)
        if status.begun:
            progress.note(f"Going on with {folder}: {status.summary()}.")
        if launch is None or not missing:
            run_here(missing, folder, progress, limit)
        else:
            run_by_launcher(missing, folder, progress, launch, limit)
    with interruptible(result):
        export(trackers, folder)
    return result


def _order_jobs(status: SweepStatus, folder: Path, progress: Progress) -> list[Job]:
    """The cells to run. Those in which the process ended the last time come last, so that the others have their turn.

    One that was killed at its own limit because it hung is not run again, but with retry=failed.
    """
    marks = read_marks(folder)
    delete_marks(folder)
    first = [job for job in status.to_run if job.cell not in marks]
    last = []
    for job in status.to_run:
        if (mark := marks.get(job.cell)) is None:
            continue
        hang = explain_hang(mark) if mark.limit else None
        if hang and hang.is_final and not status.retry:
            write_lost(job, folder, hang)
            progress.note(f"{mark.text} hung, and is not run again without retry=failed.".capitalize())
        else:
            progress.note(f"The process ended within {mark.text} before: it runs last.")
            last.append(job)
    return [*first, *last]


def find_cell_states(jobs: Sequence[Job], here: bool = True) -> SweepResult:
    """How far the sweep of these cells has come, after checking them; nothing is run or written.

    ``here`` is false where a launcher would run them.
    """
    check_cells(jobs, here)
    jobs, request = with_fingerprints(jobs), ResumeRequest.parse(jobs[0].config, "sweep")
    folder = find_folder(jobs, request)
    return SweepResult(folder, find_status(jobs, folder, request.retry))


def export(trackers: Sequence[str], folder: Path) -> None:
    """Copy a sweep to trackers, one sweep at a time: their libraries keep the open run for the whole process."""
    with lock_process():
        export_to_all(trackers, folder)


def write_environment(folder: Path, jobs: Sequence[Job], spec: SweepSpec) -> None:
    """Record the command, the machine, and the digests of source and data; anew each time that a sweep is continued.

    Uncommitted changes of a git checkout are written beside it, as a patch.
    """
    count = len(list(folder.glob("environment*.json")))
    ending = f"_{count + 1}" if count else ""
    cells = [job.spec for job in jobs]
    facts = {
        **describe_environment([*spec.given, *list_code_override(spec.config_dir)]),
        "sources": {name: digest for cell in cells for name, digest in list_source_digests(cell).items()},
        "data": list_data_digests(cells),
    }
    write_json(folder / f"environment{ending}.json", facts)
    for name, diff in _diff_checkouts(facts).items():
        write_text(folder / f"{name}{ending}.diff", diff, is_outputs=True)


def _diff_checkouts(facts: Mapping[str, Any]) -> dict[str, str]:
    """The uncommitted changes of gdbench's checkout, and of the working folder's where that is another."""
    places = {"gdbench": Path(__file__).parents[1], "folder": Path(facts["folder"])}
    dirty = {name: place for name, place in places.items() if (facts["git"][name] or {}).get("dirty")}
    diffs = {name: read_git_diff(place) for name, place in dirty.items()}
    if diffs.get("folder") == diffs.get("gdbench"):
        diffs.pop("folder", None)
    return diffs


def write_configurations(folder: Path, jobs: Sequence[Job], spec: SweepSpec) -> None:
    """Write what repeats any cell: the overrides as they came, and each cell's whole configuration."""
    with explain_write_errors(folder):
        hydra = folder / ".hydra"
        hydra.mkdir(exist_ok=True)
        overrides = OmegaConf.to_yaml(OmegaConf.create(list_repeated(spec)))
        (hydra / "overrides.yaml").write_text(overrides, encoding="utf-8")
        for job in jobs:
            (hydra / f"cell-{job.cell:05d}.yaml").write_text(add_stamp(to_yaml(job.config)), encoding="utf-8")
