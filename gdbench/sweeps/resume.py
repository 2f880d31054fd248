"""What of a sweep is there already: which of its cells are done, failed, stale or missing, told by content keys."""

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

from gdbench.config.trust import check_words, stamp
from gdbench.config.validation import written
from gdbench.errors import UsageError, did_you_mean, format_count
from gdbench.results import sweep_folder
from gdbench.results.atomic import write_json
from gdbench.results.environment_file import read_start_time
from gdbench.results.load import load_cells
from gdbench.results.user_paths import expand_user
from gdbench.sweeps.fingerprint import asked, cell_fingerprint, not_comparable
from gdbench.sweeps.job_spec import Job

__all__ = ["Standing", "Wish", "find", "keyed", "opened", "record", "recorded", "standing"]

CELLS = ".hydra/cells.json"
"""The content keys of all cells that a sweep asks for, by number."""
COMMAND = ".hydra/command.json"
"""The words of the command line that repeats a sweep."""
STATES = ("done", "failed", "stale", "missing")
RETRIED = ("failed", "unavailable")


@dataclass(frozen=True)
class Wish:
    """Where a sweep is to be kept, and which earlier one it goes on with."""

    outputs: str
    kind: str
    name: str | None
    resume: str | None
    retry: bool

    @classmethod
    def parse(cls, config: Mapping[str, Any], kind: str) -> Wish:
        """From a cell's configuration; ``UsageError`` in one line if something is amiss."""
        retry = config["retry"]
        if retry not in (None, "failed"):
            raise UsageError(
                f"retry={written(retry)} is not known.{did_you_mean(str(retry), ('failed',))} Allowed: null, failed."
            )
        name, resume = (None if config[key] is None else str(config[key]) for key in ("name", "resume"))
        outputs, resume = (None if place is None else str(expand_user(place)) for place in (config["outputs"], resume))
        return cls(outputs or "outputs", kind, name, resume, retry == "failed")


@dataclass(frozen=True)
class Standing:
    """How far a sweep has come."""

    begun: bool
    """Whether there is a folder of it already."""
    jobs: Sequence[Job]
    """All cells asked for, under the numbers that they have in the folder."""
    states: Sequence[str]
    """For each: ``done``, ``failed`` (or unavailable), ``missing``, or ``stale`` (source, data, torch, device)."""
    retry: bool

    @property
    def to_run(self) -> list[Job]:
        """What is missing, stale or, if that was asked for, failed."""
        wanted = ("missing", "stale", "failed") if self.retry else ("missing", "stale")
        return [job for job, state in zip(self.jobs, self.states, strict=True) if state in wanted]

    def summary(self) -> str:
        """How many cells are in each state, and what becomes of them, in one line."""
        counted = Counter(self.states)
        words = {
            "failed": "" if self.retry else " (retry=failed runs them again)",
            "stale": " (their source or data changed)",
        }
        told = [f"{counted[state]} {state}{words.get(state, '')}" for state in STATES if counted[state]]
        cells = format_count(len(self.jobs), "cell")
        if counted["missing"] == len(self.jobs):
            return f"{cells}, none run yet{self._never_done()}"
        return f"{cells}: {', '.join(told)}{'' if self.to_run else '; nothing to run'}{self._never_done()}"

    def _never_done(self) -> str:
        """Why some cells run each time, where some do."""
        reasons = {job.question.objective: not_comparable(job.question) for job in self.jobs}
        return "".join(
            f"; objective={name} runs each time, as it cannot be told whether it is what it was ({reason})"
            for name, reason in reasons.items()
            if reason
        )

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell, for a plan: its number, what tells it from the others, its size and its state."""
        words = [job.overrides for job in self.jobs]
        shared = set.intersection(*map(set, words)) if len(words) > 1 else set()
        running = {job.cell for job in self.to_run}
        return [
            {
                "cell": job.cell,
                "what": " ".join(each for each in job.overrides if each not in shared) or job.label,
                "objective": job.question.objective,
                "optimizer": job.question.optimizer,
                "impl": job.question.impl,
                "dtype": job.question.dtype,
                "runs": job.question.size,
                "run_steps": job.question.size * job.question.steps,
                "timing_s": job.question.timing.seconds,
                "state": state,
                "runs_now": job.cell in running,
            }
            for job, state in zip(self.jobs, self.states, strict=True)
        ]


def keyed(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with their content keys."""
    return [replace(job, key=cell_fingerprint(job.question)) for job in jobs]


@contextlib.contextmanager
def opened(jobs: Sequence[Job], wish: Wish) -> Iterator[tuple[Path, Standing]]:
    """The folder of a sweep, new or gone on with, which no other process writes to until this ends."""
    earlier = find(jobs, wish)
    folder = earlier or sweep_folder.create_folder(wish.outputs, wish.name or wish.kind)
    with sweep_folder.lock_folder(folder):
        if earlier:
            sweep_folder.prepare_resume(folder)
        found = standing(jobs, earlier, wish.retry)
        sweep_folder.delete_parts(folder, [job.cell for job in found.to_run])
        yield folder, found


def record(folder: Path, jobs: Sequence[Job], words: Sequence[str]) -> None:
    """Write down what a sweep asks for, so that it can be gone on with."""
    write_json(folder / CELLS, {str(job.cell): job.key for job in jobs})
    write_json(folder / COMMAND, {"words": list(words), "stamp": stamp(json.dumps(list(words)))})


def find(jobs: Sequence[Job], wish: Wish) -> Path | None:
    """The folder that ``resume=`` names, or the latest of this ``name=`` with the same cells; None to begin anew.

    A folder with cells that are not asked for now is another sweep: named, it is refused; else it is passed over.
    """
    questions = {asked(job.key) for job in jobs}
    if wish.resume is not None:
        folder = Path(wish.resume)
        foreign = [cell for cell, key in _known(folder).items() if asked(key) not in questions]
        if foreign:
            raise UsageError(
                f"resume={folder} holds {format_count(len(foreign), 'cell that is', 'cells that are')} not asked for"
                f" here (cell {foreign[0]} first):"
                " leave out all other words, which repeats its own command, or begin another sweep."
            )
        return folder
    if wish.name is None:
        return None
    for folder in sorted(sweep_folder.find_named_folders(wish.outputs, wish.name), key=read_start_time, reverse=True):
        with contextlib.suppress(UsageError):
            if questions.issuperset(map(asked, _known(folder).values())):
                return folder
    return None


def standing(jobs: Sequence[Job], folder: Path | None, retry: bool = False) -> Standing:
    """Which cells are done, failed, stale or missing in a folder; without one all are missing."""
    if folder is None:
        return Standing(False, jobs, ["missing"] * len(jobs), retry)
    jobs = _numbered(jobs, _known(folder))
    held = {cell: (key, statuses) for cell, key, statuses in load_cells(folder).itertuples(index=False)}
    return Standing(True, jobs, [_state(job, held) for job in jobs], retry)


def _state(job: Job, held: Mapping[int, tuple[Any, str]]) -> str:
    key, statuses = held.get(job.cell, (None, ""))
    if not isinstance(key, str):  # not there, or a row that stands for a job that left nothing
        return "missing"
    if key != job.key:
        return "stale"
    return "failed" if any(status in RETRIED for status in statuses.split()) else "done"


def _known(folder: Path) -> dict[int, str]:
    """The content keys that a sweep's folder asked for, by number."""
    try:
        return {int(cell): str(key) for cell, key in json.loads((folder / CELLS).read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        raise UsageError(f"resume={folder} is no folder of a sweep: {CELLS} is not there, or is cut off.") from None


def _numbered(jobs: Sequence[Job], known: Mapping[int, str]) -> list[Job]:
    """Cells that the folder knows keep their number; others take the next that is free."""
    if not known:
        return list(jobs)
    taken: dict[str, list[int]] = {}
    for cell, key in sorted(known.items(), reverse=True):
        taken.setdefault(asked(key), []).append(cell)
    fresh = itertools.count(max(known) + 1)
    return [replace(job, cell=taken[each].pop() if taken.get(each := asked(job.key)) else next(fresh)) for job in jobs]


def recorded(folder: str | Path, given_code: bool = False, trust: bool = False) -> list[str]:
    """The command line that repeats the sweep in a folder; without its --config-dir where another one is given.

    ``UsageError`` where it would run code that is neither ours nor the user's own, unless there is ``trust`` in it.
    """
    file = expand_user(folder) / COMMAND
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        words = [str(word) for word in held["words"]]
        mark = str(held.get("stamp"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"resume={folder} is no folder of a sweep: {COMMAND} is not there, or is cut off.") from None
    own = hmac.compare_digest(mark.encode(), (stamp(json.dumps(words)) or "").encode())
    if given_code and "--config-dir" in words:
        place = words.index("--config-dir")
        words = words[:place] + words[place + 2 :]
    check_words(file, words, own, trust, f"resume={folder}")
    return words
