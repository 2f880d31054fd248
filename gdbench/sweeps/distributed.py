"""Run a sweep by a Hydra launcher; progress is read from the result files that its workers write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gdbench.engine.failure_isolation import Failure
from gdbench.errors import TimeLimitReached
from gdbench.results.folder_layout import find_finished_cells
from gdbench.results.load import load_statuses
from gdbench.results.running_cells import RunningCell, delete_marks, read_marks
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import gather_parts
from gdbench.sweeps.machine_lock import NOTE, is_exclusive
from gdbench.sweeps.progress import Progress
from gdbench.sweeps.time_limit import TimeLimit

__all__ = ["Launch", "explain_hang", "launch_all", "run_by_launcher"]

Launch = Callable[[Sequence[Job], Path, Callable[[], None]], Mapping[int, str]]
"""Runs jobs elsewhere, calling a function meanwhile; returns why cells left no result, as far as it knows."""

UNKNOWN = "its job left no result"


class CompletionTracker:
    """Reports cells to a progress as their results appear in the folder."""

    def __init__(self, jobs: Sequence[Job], folder: Path, progress: Progress) -> None:
        """``jobs`` are those that the launcher was given."""
        self.pending, self.folder, self.progress = {job.cell: job for job in jobs}, folder, progress

    def update(self) -> None:
        """Report the cells whose results are new."""
        for cell in sorted(find_finished_cells(self.folder) & set(self.pending)):
            self.progress.finish_job(self.pending.pop(cell), load_statuses(self.folder, cell))

    def give_up(self, lost: Mapping[int, Failure]) -> None:
        """Report the cells without a result."""
        self.update()
        for job in self.pending.values():
            self.progress.finish_job(job, [lost[job.cell].status] * job.spec.size)


def run_by_launcher(
    jobs: Sequence[Job], folder: Path, progress: Progress, launch: Launch, limit: TimeLimit | None = None
) -> None:
    """Run cells by a launcher and write one table of their results; a lost cell becomes rows that say why."""
    tracker = CompletionTracker(jobs, folder, progress)
    progress.begin(jobs)
    try:
        if sum(is_exclusive(job.spec.timing) for job in jobs) > 1:
            progress.note(NOTE)
        lost = launch_all(jobs, folder, launch, tracker.update, limit)
        tracker.give_up(lost)
    finally:
        progress.close()
    gather_parts(jobs, folder, lost)


def launch_all(
    jobs: Sequence[Job],
    folder: Path,
    launch: Launch,
    meanwhile: Callable[[], None] = lambda: None,
    limit: TimeLimit | None = None,
) -> dict[int, Failure]:
    """Run cells by a launcher; returns why cells left no result, by their numbers.

    Where one cell took the whole launcher down, as joblib's ends with any of its workers, those that had not begun are
    launched again, and those that ran beside it one by one. A ``limit`` ends all.
    """

    def check() -> None:
        meanwhile()
        if limit:
            limit.check()

    lost: dict[int, Failure] = {}
    batches = [list(jobs)]
    while batches:
        batch = batches.pop(0)
        try:
            check()
            reasons = launch(batch, folder, check)
        except TimeLimitReached as reached:
            return lost | _explain_timeouts([job for jobs in (batch, *batches) for job in jobs], folder, reached)
        failures, again = _explain_batch(batch, folder, reasons)
        lost |= failures
        batches += again
    return lost


def _explain_batch(
    batch: Sequence[Job], folder: Path, reasons: Mapping[int, str]
) -> tuple[dict[int, Failure], list[list[Job]]]:
    """Why cells of a launch left no result, by their numbers, and the batches in which others are launched again."""
    ended, marks = find_finished_cells(folder), read_marks(folder)
    delete_marks(folder)
    left = [job for job in batch if job.cell not in ended]
    hung = {job.cell: explain_hang(marks[job.cell]) for job in left if job.cell in marks and marks[job.cell].limit}
    left = [job for job in left if job.cell not in hung]
    running = [job for job in left if job.cell in marks]
    waiting = [job for job in left if job.cell not in marks]
    went_on = bool(running) or len(left) < len(batch)
    if len(batch) == 1 or not went_on or not _died_as_whole(batch, reasons):
        return hung | _explain_failures(left, reasons), []
    if len(running) == 1:  # it alone can have ended the launcher
        return hung | _explain_failures(running, reasons), [waiting] * bool(waiting)
    return hung, [[job] for job in running] + [waiting] * bool(waiting)


def _explain_failures(jobs: Sequence[Job], reasons: Mapping[int, str]) -> dict[int, Failure]:
    """The launcher's reason for each of these cells, by their numbers."""
    return {job.cell: Failure("failed", reasons.get(job.cell) or UNKNOWN) for job in jobs}


def explain_hang(cell: RunningCell) -> Failure:
    """Why a cell has no result whose process was killed at its limit; at that of the sweep it may run again."""
    error = f"did not end within {cell.limit}, and its process was killed"
    return Failure("timeout", error, is_final=str(cell.limit).startswith("max_seconds="))


def _died_as_whole(batch: Sequence[Job], reasons: Mapping[int, str]) -> bool:
    """Whether a launcher gave one reason for all of its cells: those that have ended too."""
    return len(reasons) == len(batch) and len(set(reasons.values())) == 1


def _explain_timeouts(jobs: Sequence[Job], folder: Path, reached: TimeLimitReached) -> dict[int, Failure]:
    """Why cells of a launch that was ended have no result: they had begun, or not."""
    ended, marks = find_finished_cells(folder), read_marks(folder)
    delete_marks(folder)
    verb = {True: "did not end", False: "had not begun"}
    limit = str(reached).partition(" within ")[2]
    return {
        job.cell: Failure("timeout", f"{verb[job.cell in marks]} within {limit}")
        for job in jobs
        if job.cell not in ended
    }
