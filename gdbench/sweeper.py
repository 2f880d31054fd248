"""The Hydra sweeper: folds commas over numbers into lanes, makes cells of other axes, gathers results from files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gdbench import records
from gdbench.analysis.goals import best
from gdbench.config import Composed, Composer, plain, reworded, store
from gdbench.content import data_digests, source_digests
from gdbench.elsewhere import Launch, elsewhere
from gdbench.environment import environment, git_diff
from gdbench.job import Job, Progress, check, run_job, sweep
from gdbench.launchers import insist
from gdbench.launchers.apart import Named, Request, launch_apart
from gdbench.libyaml import as_yaml
from gdbench.resume import Standing, Wish, find, keyed, opened, record, standing
from gdbench.schema import Question, UsageError
from gdbench.trackers import send_all, wanted
from gdbench.trust import stamped
from gdbench.turns import turn

__all__ = ["Lanes", "Refusal", "Silent", "carry_out", "describe", "fold", "keep_configurations", "task"]

LANES = ("lr", "lr_scale", "seed")
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class Silent:
    """A progress that nobody hears."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Say nothing."""

    def note(self, words: str) -> None:
        """Say nothing."""

    def now(self, job: object) -> None:
        """Say nothing."""

    def worked(self, lane_steps: int) -> None:
        """Say nothing."""

    def done(self, job: Job, statuses: Sequence[str]) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class Lanes(Sweeper):
    """Runs the cells of a multirun in this process, or hands them to the launcher that was asked for."""

    progress: ClassVar[Progress] = Silent()
    folder: ClassVar[Path | None] = None
    """Where the latest sweep of this process lies."""
    plan_only: ClassVar[bool] = False
    planned: ClassVar[Standing | None] = None
    """With ``plan_only``, nothing runs: how far the sweep in ``folder`` has come is found here."""
    remarks: ClassVar[Sequence[str]] = ()
    """What a sweeper has to say below the table of its runs."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        """``params`` are the axes that a configuration declares (hydra.sweeper.params)."""
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a launcher will need; Hydra's basic one would compose every cell again, so it is never used."""
        self.context, self.task_function, self.composed = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Fold the overrides into cells and carry them out."""
        declared = [f"{name}={value}" for name, value in self.params.items()]
        jobs = fold([*declared, *arguments], Composer(composed=self.composed))
        if Lanes.plan_only:
            _plan(jobs)
            return
        target = self.composed.hydra.launcher._target_
        insist(target)
        carry_out(jobs, arguments, "sweep", Lanes.progress, None if target == BASIC else self._launch)

    def _launch(self, jobs: Sequence[Job], folder: Path, meanwhile: Callable[[], None]) -> Mapping[int, str]:
        where = folder.resolve()
        logs = where / ".launcher"
        logs.mkdir(exist_ok=True)
        with open_dict(self.composed):
            self.composed.hydra.sweep.dir = str(logs)
        overrides = [[*job.overrides, f"part={{folder:'{where}',cell:{job.cell},key:{job.key}}}"] for job in jobs]
        task = Named(self.task_function.__module__, self.task_function.__name__)
        reasons = launch_apart(Request(self.context, self.composed, task, overrides), logs, meanwhile)
        if not reasons:
            shutil.rmtree(logs, ignore_errors=True)
        return {jobs[position].cell: reason for position, reason in reasons.items()}


class Refusal(BaseException):
    """Carries a UsageError past Hydra, which would announce it in words of its own."""


def task(config: DictConfig) -> float:
    """What one Hydra job does: a single cell of its own, or one part of a sweep that a launcher brought here.

    Returns the goal of its best run, for whatever sweeper asked: lower is better, inf where no run may win.
    """
    if OmegaConf.is_dict(config.get("part")):
        return _part(config)
    try:
        return _task(config)
    except UsageError as error:
        raise Refusal from error
    except OmegaConfBaseException as error:  # an interpolation that cannot be resolved
        raise Refusal from reworded(error)


def _part(config: DictConfig) -> float:
    """A cell of a sweep in a worker, where what is raised becomes the reason of a row."""
    store()
    job = _of(config)
    cell, key, folder = int(config.part["cell"]), str(config.part["key"]), Path(config.part["folder"])
    with turn(job.question.timing):
        run_job(replace(job, cell=cell, key=key), folder)
    return best(records.load_part(folder, cell), str(config.goal))


def _task(config: DictConfig) -> float:
    job = _of(config)
    if config.part is not None:
        raise UsageError("part is set by gdbench itself, for the jobs of a launcher: leave it out.")
    hydra = HydraConfig.get()
    given = {each.partition("=")[0] for each in job.overrides}
    if set(hydra.sweeper.get("params") or {}) - given:
        raise UsageError(f"experiment={hydra.runtime.choices.get('experiment')} is a sweep: add -m.")
    if Lanes.plan_only:
        _plan([job])
        return 0.0
    carry_out([job], job.overrides, "run", Lanes.progress)
    assert Lanes.folder is not None
    return best(records.load(Lanes.folder), str(config.goal))


def _of(config: DictConfig) -> Job:
    """The cell that Hydra has composed for this job."""
    hydra = HydraConfig.get()
    overrides = [str(each) for each in hydra.overrides.task if not str(each).startswith("part=")]
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    return _job(0, overrides, Composed(config, choices))


def carry_out(
    jobs: Sequence[Job], arguments: Sequence[str], kind: str, progress: Progress, launch: Launch | None = None
) -> None:
    """Check, run and gather cells, here or by ``launch``, in a new folder or in that of a sweep to go on with.

    The folder is ``Lanes.folder`` as soon as there is one.
    """
    check(jobs)
    trackers = wanted(jobs[0].config)
    jobs, wish = keyed(jobs), Wish.parse(jobs[0].config, kind)
    with opened(jobs, wish) as (folder, found):
        Lanes.folder = folder
        if found.to_run:
            describe(folder, found.to_run)
        keep_configurations(folder, found.to_run, arguments)
        record(folder, found.jobs, _words(found.jobs[0], arguments, kind))
        if found.begun:
            progress.note(f"Going on with {folder}: {found.summary()}.")
        if launch is None or not found.to_run:
            sweep(found.to_run, folder, progress)
        else:
            elsewhere(found.to_run, folder, progress, launch)
    send_all(trackers, folder)


def _plan(jobs: Sequence[Job]) -> None:
    """Check cells, and find out how far their sweep has come; nothing is run or written."""
    check(jobs)
    jobs, wish = keyed(jobs), Wish.parse(jobs[0].config, "sweep")
    Lanes.folder = find(jobs, wish)
    Lanes.planned = standing(jobs, Lanes.folder, wish.retry)


def describe(folder: Path, jobs: Sequence[Job]) -> None:
    """Write down where cells run, and the source and data that they run with; anew each time that a sweep goes on.

    What a dirty checkout has beyond its commit is kept beside it, as a patch.
    """
    count = len(list(folder.glob("environment*.json")))
    ending = f"_{count + 1}" if count else ""
    questions = [job.question for job in jobs]
    told = {
        **environment(),
        "sources": {name: told for each in questions for name, told in source_digests(each).items()},
        "data": data_digests(questions),
    }
    records.write_json(folder / f"environment{ending}.json", told)
    for name, diff in _diffs(told).items():
        records.write_text(folder / f"{name}{ending}.diff", diff)


def _diffs(told: Mapping[str, Any]) -> dict[str, str]:
    """The patches of dirty checkouts: of gdbench's own, and of the working folder's where that is another."""
    places = {"gdbench": Path(__file__).parent, "folder": Path(told["folder"])}
    dirty = {name: place for name, place in places.items() if (told["git"][name] or {}).get("dirty")}
    diffs = {name: git_diff(place) for name, place in dirty.items()}
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
    with records.writing(folder):
        hydra = folder / ".hydra"
        hydra.mkdir(exist_ok=True)
        given = OmegaConf.to_yaml(OmegaConf.create(_given(arguments)))
        (hydra / "overrides.yaml").write_text(given, encoding="utf-8")
        for job in jobs:
            (hydra / f"cell-{job.cell:05d}.yaml").write_text(stamped(as_yaml(job.config)), encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------- folding


def fold(arguments: Sequence[str], composer: Composer) -> list[Job]:
    """The cells of a sweep: commas over lr, seed and float parameters of the optimizer become lanes within a cell.

    All cells are composed and their questions checked here, before the first one runs.
    """
    latest = composer.latest(arguments)
    sweeps = {key: each for key, each in latest.items() if each.is_sweep_override() and key != "tracker"}
    fixed = [
        _together(each) if key == "tracker" else str(each.input_line)
        for key, each in latest.items()
        if key not in sweeps
    ]
    lanes = {key: f"{key}={spec}" for key, each in sweeps.items() if (spec := _lane_spec(key, each)) is not None}
    while True:
        axes = [_choices(each) for key, each in sweeps.items() if key not in lanes]
        cells = [composer([*fixed, *cell]) for cell in itertools.product(*axes)]
        refused = [key for key in lanes if any(not _is_float(cell.config, key) for cell in cells)]
        if not refused:
            break
        for key in refused:  # a whole number or a switch, to this optimizer: not a lane after all
            del lanes[key]
    chosen = [[*fixed, *cell, *lanes.values()] for cell in itertools.product(*axes)]
    if not chosen:
        raise UsageError("these overrides stand for no run at all: a glob(...) that fits no name makes nothing.")
    whole = [composer.set(cell, lanes.values()) for cell in cells]
    return [_job(number, *each) for number, each in enumerate(zip(chosen, whole, strict=True))]


def _job(cell: int, overrides: Sequence[str], composed: Composed) -> Job:
    config = plain(composed.config)
    return Job(Question.parse(config, composed.choices), cell, tuple(overrides), config)


def _lane_spec(key: str, override: Override) -> str | None:
    """A sweep over numbers, in the form in which an axis travels; None for one that must make cells."""
    if key not in LANES and not key.startswith("optimizer."):
        return None
    sweep_value = override.value()
    if isinstance(sweep_value, IntervalSweep):
        text = f"interval({sweep_value.start},{sweep_value.end})"
        return f"'tag(log,{text})'" if "log" in sweep_value.tags else f"'{text}'"
    if isinstance(sweep_value, RangeSweep) and not sweep_value.shuffle:
        return f"'range({sweep_value.start},{sweep_value.stop},{sweep_value.step})'"
    if isinstance(sweep_value, ChoiceSweep) and not sweep_value.shuffle:
        numeric = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in sweep_value.list)
        if numeric or (key in LANES and None not in sweep_value.list):
            return f"[{','.join(str(each) for each in sweep_value.list)}]"
    return None


def _together(override: Override) -> str:
    """An override as it came; trackers given by commas as the list that they are, for nobody wants a run for each."""
    value = override.value()
    if override.key_or_group == "tracker" and isinstance(value, ChoiceSweep):
        return f"tracker=[{','.join(map(str, value.list))}]"
    return str(override.input_line)


def _choices(override: Override) -> list[str]:
    """The overrides that a sweep stands for, one a cell."""
    if isinstance(override.value(), IntervalSweep):
        raise UsageError(
            f"{override.input_line}: an interval makes lanes, which only lr, lr_scale, seed and float parameters of the"
            " optimizer can be; list the values instead."
        )
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _is_float(config: DictConfig, key: str) -> bool:
    return key in LANES or isinstance(OmegaConf.select(config, key), float)
