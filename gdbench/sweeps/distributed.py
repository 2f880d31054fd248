"""Run a sweep by a Hydra launcher; progress is read from the result files that its workers write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gdbench.results.folder_layout import find_finished_cells
from gdbench.results.load import load_statuses
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import gather_parts
from gdbench.sweeps.machine_lock import NOTE, is_exclusive
from gdbench.sweeps.progress import Progress

__all__ = ["UNKNOWN", "Launch", "run_by_launcher"]

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

    def give_up(self, reasons: Mapping[int, str]) -> dict[int, str]:
        """Report the cells without a result as failed; returns the reason of each."""
        self.update()
        for job in self.pending.values():
            self.progress.finish_job(job, ["failed"] * job.spec.size)
        return {cell: reasons.get(cell) or UNKNOWN for cell in self.pending}


def run_by_launcher(jobs: Sequence[Job], folder: Path, progress: Progress, launch: Launch) -> None:
    """Run cells by a launcher and write one table of their results; a lost cell becomes failed rows."""
    tracker = CompletionTracker(jobs, folder, progress)
    progress.begin(jobs)
    try:
        if sum(is_exclusive(job.spec.timing) for job in jobs) > 1:
            progress.note(NOTE)
        lost = tracker.give_up(launch(jobs, folder, tracker.update))
    finally:
        progress.close()
    gather_parts(jobs, folder, lost)
