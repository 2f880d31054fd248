"""A sweep that a launcher carries out: followed through the parts that come back, whatever becomes of its workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gdbench.results.folder_layout import find_finished_cells
from gdbench.results.load import load_statuses
from gdbench.sweeps.job import finish
from gdbench.sweeps.job_spec import Job, Progress
from gdbench.sweeps.machine_lock import NOTE, takes_turns

__all__ = ["UNKNOWN", "Launch", "elsewhere"]

Launch = Callable[[Sequence[Job], Path, Callable[[], None]], Mapping[int, str]]
"""Has jobs carried out elsewhere, calling a function meanwhile; returns why cells left no part, where it knows."""

UNKNOWN = "its job left no result"


class Returned:
    """Tells of cells as their parts come back."""

    def __init__(self, jobs: Sequence[Job], folder: Path, progress: Progress) -> None:
        """Nothing has come back yet."""
        self.away, self.folder, self.progress = {job.cell: job for job in jobs}, folder, progress

    def look(self) -> None:
        """Tell of the parts that are new."""
        for cell in sorted(find_finished_cells(self.folder) & set(self.away)):
            self.progress.done(self.away.pop(cell), load_statuses(self.folder, cell))

    def lose(self, reasons: Mapping[int, str]) -> dict[int, str]:
        """Tell of the cells that will not come back; returns the reason of each."""
        self.look()
        for job in self.away.values():
            self.progress.done(job, ["failed"] * job.question.size)
        return {cell: reasons.get(cell) or UNKNOWN for cell in self.away}


def elsewhere(jobs: Sequence[Job], folder: Path, progress: Progress, launch: Launch) -> None:
    """Run cells by a launcher and gather what they left; a cell that is lost becomes failed rows."""
    returned = Returned(jobs, folder, progress)
    progress.begin(jobs)
    try:
        if sum(takes_turns(job.question.timing) for job in jobs) > 1:
            progress.note(NOTE)
        lost = returned.lose(launch(jobs, folder, returned.look))
    finally:
        progress.close()
    finish(jobs, folder, lost)
