"""Cells carried out as one sweep: checked, run here or by a launcher, gathered from files, and returned as a result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gdbench.config.libyaml import as_yaml
from gdbench.config.trust import stamped
from gdbench.engine.environment import describe_environment, read_git_diff
from gdbench.results.atomic import explain_write_errors, write_json, write_text
from gdbench.results.export import export_to_all, parse_trackers
from gdbench.sweeps.distributed import Launch, elsewhere
from gdbench.sweeps.fingerprint import data_digests, source_digests
from gdbench.sweeps.job import check, sweep
from gdbench.sweeps.job_spec import Job, Progress, Silent
from gdbench.sweeps.machine_lock import one_at_a_time
from gdbench.sweeps.resume import Standing, Wish, find, keyed, opened, record
from gdbench.sweeps.resume import standing as compute_standing

__all__ = [
    "Interrupted",
    "Silent",
    "SweepResult",
    "describe",
    "execute_jobs",
    "export",
    "interruptible",
    "keep_configurations",
    "plan_jobs",
]


@dataclass(frozen=True)
class SweepResult:
    """What became of a sweep: where it lies, how far its cells had come, and remarks to print below its table."""

    folder: Path | None
    """None where nothing has been run yet: a plan."""
    standing: Standing | None = None
    """How far it had come when this was asked; None where the cells were not known beforehand."""
    remarks: Sequence[str] = ()


class Interrupted(KeyboardInterrupt):
    """A sweep was cut short; ``result`` says where its finished cells are."""

    def __init__(self, result: SweepResult) -> None:
        """Nothing is printed of it: who catches it knows what to show."""
        super().__init__()
        self.result = result


def execute_jobs(
    jobs: Sequence[Job], arguments: Sequence[str], kind: str, progress: Progress, launch: Launch | None = None
) -> SweepResult:
    """Check, run and gather cells, here or by ``launch``, in a new folder or in that of a sweep to go on with.

    Raises ``Interrupted`` where Ctrl-C comes after there is a folder.
    """
    check(jobs, here=launch is None)
    trackers = parse_trackers(jobs[0].config)
    jobs, wish = keyed(jobs), Wish.parse(jobs[0].config, kind)
    with opened(jobs, wish) as (folder, standing), interruptible(SweepResult(folder, standing)) as result:
        if standing.to_run:
            describe(folder, standing.to_run, arguments)
        keep_configurations(folder, standing.to_run, arguments)
        record(folder, standing.jobs, _words(standing.jobs[0], arguments, kind))
        if standing.begun:
            progress.note(f"Going on with {folder}: {standing.summary()}.")
        if launch is None or not standing.to_run:
            sweep(standing.to_run, folder, progress)
        else:
            elsewhere(standing.to_run, folder, progress, launch)
    with interruptible(result):
        export(trackers, folder)
    return result


@contextlib.contextmanager
def interruptible(result: SweepResult) -> Iterator[SweepResult]:
    """Give Ctrl-C the result so far."""
    try:
        yield result
    except Interrupted:
        raise
    except KeyboardInterrupt as cut:
        raise Interrupted(result) from cut


def export(trackers: Sequence[str], folder: Path) -> None:
    """Copy a sweep to trackers, one sweep at a time: their libraries keep the open run for the whole process."""
    with one_at_a_time():
        export_to_all(trackers, folder)


def plan_jobs(jobs: Sequence[Job], here: bool = True) -> SweepResult:
    """Check cells, and find out how far their sweep has come; nothing is run or written.

    ``here`` is false where a launcher would carry them.
    """
    check(jobs, here)
    jobs, wish = keyed(jobs), Wish.parse(jobs[0].config, "sweep")
    folder = find(jobs, wish)
    return SweepResult(folder, compute_standing(jobs, folder, wish.retry))


def describe(folder: Path, jobs: Sequence[Job], arguments: Sequence[str]) -> None:
    """Write down the command, where cells run, and their source and data; anew each time that a sweep goes on.

    What a dirty checkout has beyond its commit is kept beside it, as a patch.
    """
    count = len(list(folder.glob("environment*.json")))
    ending = f"_{count + 1}" if count else ""
    questions = [job.question for job in jobs]
    told = {
        **describe_environment(list(arguments)),  # sys.argv holds what Hydra is to see of them, or is somebody else's
        "sources": {name: told for each in questions for name, told in source_digests(each).items()},
        "data": data_digests(questions),
    }
    write_json(folder / f"environment{ending}.json", told)
    for name, diff in _diffs(told).items():
        write_text(folder / f"{name}{ending}.diff", diff, is_outputs=True)


def _diffs(told: Mapping[str, Any]) -> dict[str, str]:
    """The patches of dirty checkouts: of gdbench's own, and of the working folder's where that is another."""
    places = {"gdbench": Path(__file__).parents[1], "folder": Path(told["folder"])}
    dirty = {name: place for name, place in places.items() if (told["git"][name] or {}).get("dirty")}
    diffs = {name: read_git_diff(place) for name, place in dirty.items()}
    if diffs.get("folder") == diffs.get("gdbench"):
        diffs.pop("folder", None)
    return diffs


def _given(arguments: Sequence[str]) -> list[str]:
    """The overrides without those that say which sweep to go on with, and where code lies on this machine."""
    return [each for each in arguments if not each.startswith(("code=", "resume=", "retry="))]


def _words(job: Job, arguments: Sequence[str], kind: str) -> list[str]:
    """The command line that repeats a sweep."""
    code = ["--config-dir", job.question.code] if job.question.code else []
    return [*(["-m"] if kind == "sweep" else []), *code, *_given(arguments)]


def keep_configurations(folder: Path, jobs: Sequence[Job], arguments: Sequence[str]) -> None:
    """All that is needed to repeat any cell: the overrides as they came, and each cell's whole configuration."""
    with explain_write_errors(folder):
        hydra = folder / ".hydra"
        hydra.mkdir(exist_ok=True)
        given = OmegaConf.to_yaml(OmegaConf.create(_given(arguments)))
        (hydra / "overrides.yaml").write_text(given, encoding="utf-8")
        for job in jobs:
            (hydra / f"cell-{job.cell:05d}.yaml").write_text(stamped(as_yaml(job.config)), encoding="utf-8")
