"""Find which cells of a sweep are done, failed, stale or missing in its folder, by comparing fingerprints."""

from __future__ import annotations

import contextlib
import hmac
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdbench.config.trust import check_command, compute_stamp
from gdbench.config.validation import format_for_message
from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results import sweep_folder
from gdbench.results.atomic import write_json
from gdbench.results.damaged_files import DamagedFile, read_json
from gdbench.results.environment_file import read_start_time
from gdbench.results.labels import check_label
from gdbench.results.load import load_cells
from gdbench.results.statuses import WITHOUT_RESULT
from gdbench.results.user_paths import expand_user
from gdbench.sweeps.fingerprint import cell_fingerprint, explain_incomparable, spec_half
from gdbench.sweeps.job import Job
from gdbench.sweeps.torchrun import find_scratch_folder, has_torchrun, is_follower
from gdbench.sweeps.weight_files import find_cells_without_files

__all__ = [
    "ResumeRequest",
    "SweepStatus",
    "find_folder",
    "find_status",
    "open_folder",
    "read_command",
    "record_command",
    "with_fingerprints",
]

CELLS = ".hydra/cells.json"
"""The fingerprints of all cells of a sweep, by number."""
COMMAND = ".hydra/command.json"
"""The words of the command line that repeats a sweep."""
STATES = ("done", "failed", "stale", "missing")


@dataclass(frozen=True)
class ResumeRequest:
    """Where a sweep is stored, and which earlier one it continues."""

    outputs: str
    kind: str
    name: str | None
    resume: str | None
    retry: bool

    @classmethod
    def parse(cls, config: Mapping[str, Any], kind: str) -> ResumeRequest:
        """From a cell's configuration; ``UsageError`` in one line if something is amiss."""
        retry = config["retry"]
        if retry not in (None, "failed"):
            raise UsageError(
                f"retry={format_for_message(retry)} is not known.{did_you_mean(str(retry), ('failed',))}"
                " Allowed: null, failed."
            )
        name, resume = (None if config[key] is None else str(config[key]) for key in ("name", "resume"))
        if name:
            check_label("name", name)
        if resume and has_torchrun():
            raise UsageError(
                f"resume={resume} is not possible under torchrun, whose processes must all run the same cells: leave it"
                " out, or run without torchrun."
            )
        outputs, resume = (None if place is None else str(expand_user(place)) for place in (config["outputs"], resume))
        if is_follower():
            outputs = find_scratch_folder()
        return cls(outputs or "outputs", kind, name, resume, retry == "failed")


@dataclass(frozen=True)
class SweepStatus:
    """The state of each cell of a sweep."""

    begun: bool
    """Whether it has a folder already."""
    jobs: Sequence[Job]
    """All cells, under the numbers that they have in the folder."""
    states: Sequence[str]
    """For each: ``done``, ``failed`` (or unavailable), ``missing``, or ``stale`` (source, data, torch, device)."""
    retry: bool

    @property
    def to_run(self) -> list[Job]:
        """The cells that are missing, stale or, with retry=failed, failed."""
        runnable = ("missing", "stale", "failed") if self.retry else ("missing", "stale")
        return [job for job, state in zip(self.jobs, self.states, strict=True) if state in runnable]

    def summary(self) -> str:
        """The number of cells in each state, and what happens to them, in one line."""
        counted = Counter(self.states)
        notes = {
            "failed": "" if self.retry else " (retry=failed runs them again)",
            "stale": " (their source or data changed)",
        }
        counts = [f"{counted[state]} {state}{notes.get(state, '')}" for state in STATES if counted[state]]
        cells = format_count(len(self.jobs), "cell")
        if counted["missing"] == len(self.jobs):
            return f"{cells}, none run yet{self._describe_incomparable()}"
        return f"{cells}: {', '.join(counts)}{'' if self.to_run else '; nothing to run'}{self._describe_incomparable()}"

    def _describe_incomparable(self) -> str:
        """Why some cells run each time; empty where none does."""
        reasons = {job.spec.objective: explain_incomparable(job.spec) for job in self.jobs}
        return "".join(
            f"; objective={name} runs each time, as it cannot be told whether it is what it was ({reason})"
            for name, reason in reasons.items()
            if reason
        )

    def rows(self) -> list[dict[str, Any]]:
        """The table of a plan, one row a cell: number, the overrides that others lack, size and state."""
        words = [job.overrides for job in self.jobs]
        shared = set.intersection(*map(set, words)) if len(words) > 1 else set()
        running = {job.cell for job in self.to_run}
        return [
            {
                "cell": job.cell,
                "what": " ".join(word for word in job.overrides if word not in shared) or job.label,
                "objective": job.spec.objective,
                "optimizer": job.spec.optimizer,
                "impl": job.spec.impl,
                "dtype": job.spec.dtype,
                "runs": job.spec.size,
                "run_steps": job.spec.size * job.spec.steps,
                "timing_s": job.spec.timing.seconds,
                "state": state,
                "runs_now": job.cell in running,
            }
            for job, state in zip(self.jobs, self.states, strict=True)
        ]


def with_fingerprints(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with the fingerprints of their cells."""
    return [replace(job, key=cell_fingerprint(job.spec)) for job in jobs]


@contextlib.contextmanager
def open_folder(jobs: Sequence[Job], request: ResumeRequest) -> Iterator[tuple[Path, SweepStatus]]:
    """The folder of a sweep, new or continued, locked against other processes until this ends."""
    earlier = find_folder(jobs, request)
    folder = earlier or sweep_folder.create_folder(request.outputs, request.name or request.kind)
    with sweep_folder.lock_folder(folder):
        if earlier:
            sweep_folder.prepare_resume(folder)
        status = find_status(jobs, earlier, request.retry)
        sweep_folder.delete_parts(folder, [job.cell for job in status.to_run])
        yield folder, status


def record_command(folder: Path, jobs: Sequence[Job], words: Sequence[str]) -> None:
    """Write the fingerprints and the command of a sweep, by which it can be continued."""
    write_json(folder / CELLS, {str(job.cell): job.key for job in jobs})
    write_json(folder / COMMAND, {"words": list(words), "stamp": compute_stamp(json.dumps(list(words)))})


def find_folder(jobs: Sequence[Job], request: ResumeRequest) -> Path | None:
    """The folder that ``resume=`` names, or the latest of this ``name=`` with the same cells; None for a new one.

    A folder with other cells too is another sweep: ``UsageError`` where it was named, else it is passed over.
    """
    known = {spec_half(job.key) for job in jobs}
    if request.resume is not None:
        folder = Path(request.resume)
        foreign = [cell for cell, key in _read_fingerprints(folder).items() if spec_half(key) not in known]
        if foreign:
            raise UsageError(
                f"resume={folder} holds {format_count(len(foreign), 'cell that is', 'cells that are')} not asked for"
                f" here (cell {foreign[0]} first):"
                " leave out all other words, which repeats its own command, or begin another sweep."
            )
        return folder
    if request.name is None:
        return None
    for folder in sorted(
        sweep_folder.find_named_folders(request.outputs, request.name), key=read_start_time, reverse=True
    ):
        with contextlib.suppress(UsageError):
            if known.issuperset(map(spec_half, _read_fingerprints(folder).values())):
                return folder
    return None


def find_status(jobs: Sequence[Job], folder: Path | None, retry: bool = False) -> SweepStatus:
    """The state of each cell in a folder; without one all are missing."""
    if folder is None:
        return SweepStatus(False, jobs, ["missing"] * len(jobs), retry)
    jobs = _assign_numbers(jobs, _read_fingerprints(folder))
    held = {cell: (key, statuses) for cell, key, statuses in load_cells(folder).itertuples(index=False)}
    if held and any(job.spec.keep for job in jobs):
        for cell in find_cells_without_files(folder):
            held.pop(cell, None)
    return SweepStatus(True, jobs, [_find_state(job, held) for job in jobs], retry)


def _find_state(job: Job, held: Mapping[int, tuple[Any, str]]) -> str:
    key, statuses = held.get(job.cell, (None, ""))
    if not isinstance(key, str):  # not there, or a row that stands for a job that left nothing
        return "missing"
    if key != job.key:
        return "stale"
    return "failed" if any(status in WITHOUT_RESULT for status in statuses.split()) else "done"


def _read_fingerprints(folder: Path) -> dict[int, str]:
    """The fingerprints of a sweep's cells, by number, as its folder records them."""
    try:
        return {int(cell): str(key) for cell, key in read_json(folder / CELLS, dict).items()}
    except (FileNotFoundError, DamagedFile, ValueError) as error:
        raise _make_folder_error(folder, CELLS, error) from None


def _make_folder_error(folder: str | Path, name: str, error: Exception) -> UsageError:
    """The error line for a folder without a file that a sweep has, or with a damaged one."""
    fault = "is not there" if isinstance(error, FileNotFoundError) else f"is damaged ({error})"
    return UsageError(f"resume={folder} is no folder of a sweep that can go on: {name} {fault}.")


def _assign_numbers(jobs: Sequence[Job], known: Mapping[int, str]) -> list[Job]:
    """The jobs with the numbers that their cells have in the folder; new cells take the next that are free."""
    if not known:
        return list(jobs)
    taken: dict[str, list[int]] = {}
    for cell, key in sorted(known.items(), reverse=True):
        taken.setdefault(spec_half(key), []).append(cell)
    fresh = itertools.count(max(known) + 1)
    return [
        replace(job, cell=taken[half].pop() if taken.get(half := spec_half(job.key)) else next(fresh)) for job in jobs
    ]


def read_command(folder: str | Path, given_code: bool = False, trust: bool = False) -> list[str]:
    """The command line that repeats the sweep in a folder; without its --config-dir where another one is given.

    ``UsageError`` where it would run code that is neither gdbench's nor the user's own, without ``trust``.
    """
    file = expand_user(folder) / COMMAND
    try:
        held = read_json(file, dict)
        if not isinstance(held.get("words"), list):
            raise DamagedFile("its words are not a list")
    except (FileNotFoundError, DamagedFile) as error:
        raise _make_folder_error(folder, COMMAND, error) from None
    words, mark = [str(word) for word in held["words"]], str(held.get("stamp"))
    own = hmac.compare_digest(mark.encode(), (compute_stamp(json.dumps(words)) or "").encode())
    if given_code and "--config-dir" in words:
        place = words.index("--config-dir")
        words = words[:place] + words[place + 2 :]
    check_command(file, words, own, trust, f"resume={folder}")
    return words
