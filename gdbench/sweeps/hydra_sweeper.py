"""The Hydra sweeper: folds commas over numbers into lanes, makes cells of other axes, gathers results from files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from gdbench.config.compose import Composed, Composer, plain
from gdbench.config.hydra_errors import reworded
from gdbench.config.hydra_plugins import store
from gdbench.config.mistakes import describe_sweep
from gdbench.config.overrides import escape_interpolations, format_override, format_value
from gdbench.config.spec import Question
from gdbench.config.sweep_axes import check_count, check_once, count_values, list_values
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError
from gdbench.sweeps.job_spec import Job, Progress, Silent
from gdbench.sweeps.launchers import insist
from gdbench.sweeps.launchers.subprocess_host import Named, Request, launch_apart
from gdbench.sweeps.machine_lock import turn

if TYPE_CHECKING:
    from gdbench.sweeps.distributed import Launch
    from gdbench.sweeps.executor import SweepResult

__all__ = [
    "Lanes",
    "Refusal",
    "Session",
    "declared_axes",
    "fold",
    "run_part",
]

LANES = ("lr", "lr_scale", "seed")
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


@dataclass
class Session:
    """One command line: what it asks of the task and the sweepers that Hydra makes for it, and what became of that."""

    overrides: Sequence[str] = ()
    """All that say what to run, as they were given."""
    withheld: bool = False
    """Whether Hydra has seen only those of them that choose from groups: values are set by us, when the groups of a
    cell are known."""
    progress: Progress = field(default_factory=Silent)
    plan_only: bool = False
    result: SweepResult | None = None
    """None where Hydra only showed something."""

    def run_single(self, config: DictConfig) -> float:
        """Run the one cell that Hydra has composed; what ``hydra.main`` decorates, by which sweepers know the session.

        Returns the metric of its best configuration, for whatever sweeper asked: lower is better, 2^40 more where that
        left its target again, inf where none reached it or may win. Without -m nobody asks, and it is a third of the
        time that a small run takes.
        """
        try:
            job = _compose_single(self, config)
            self.carry_out([job], job.overrides, "run")
        except UsageError as error:
            raise Refusal from error
        is_asked = HydraConfig.get().mode == RunMode.MULTIRUN and not self.plan_only
        return self._metric(job) if is_asked else 0.0

    def carry_out(self, jobs: Sequence[Job], arguments: Sequence[str], kind: str, launch: Launch | None = None) -> None:
        """Run cells whose words hold, or plan them; torch is loaded here, so that a mistake is told without it."""
        with pause_gc():
            from gdbench.sweeps.executor import execute_jobs, plan_jobs

        if self.plan_only:
            self.result = plan_jobs(jobs, here=launch is None)
        else:
            self.result = execute_jobs(jobs, arguments, kind, self.progress, launch)

    def _metric(self, job: Job) -> float:
        """The metric of the best configuration."""
        from gdbench.analysis.tuning_metric import score_cell
        from gdbench.results.load import load

        assert self.result is not None
        assert self.result.folder is not None
        return score_cell(load(self.result.folder), str(job.config["metric"]))


class Refusal(BaseException):
    """Carries a UsageError past Hydra, which would announce it in words of its own."""


class Lanes(Sweeper):
    """Runs the cells of a multirun in this process, or hands them to the launcher that was asked for."""

    session: Session

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        """``params`` are the axes that a configuration declares (hydra.sweeper.params)."""
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a launcher will need; Hydra's basic one would compose every cell again, so it is never used.

        Hydra makes a sweeper of a name and settings alone. What it hands on as it is, is the function that was given to
        ``hydra.main``: a method of the session of this command line.
        """
        self.session = task_function.__self__  # type: ignore[attr-defined]
        self.context, self.composed = hydra_context, config

    def sweep(self, arguments: list[str]) -> None:
        """Fold the overrides into cells and carry them out."""
        given = self._given(arguments)
        jobs = fold(self._declared(given), self._composer(arguments))
        self.session.carry_out(jobs, given, "sweep", self._launcher())

    def _given(self, arguments: Sequence[str]) -> list[str]:
        """The overrides of the command line, of which Hydra knows some only."""
        return list(self.session.overrides if self.session.withheld else arguments)

    def _declared(self, given: Sequence[str]) -> list[str]:
        """The overrides, behind the axes that an experiment sweeps of its own."""
        return [*declared_axes(self.params), *given]

    def _composer(self, arguments: Sequence[str]) -> Composer:
        known = (arguments, Composed.parse(self.composed))
        return Composer(_search_path(self.composed.hydra), self.context.config_loader, known)

    def _launcher(self) -> Launch | None:
        """What carries cells elsewhere; None where they run in this process. A plan needs no more than its name."""
        target = self.composed.hydra.launcher._target_
        if not self.session.plan_only:
            insist(target)
        return None if target == BASIC else self._launch

    def _launch(self, jobs: Sequence[Job], folder: Path, meanwhile: Callable[[], None]) -> Mapping[int, str]:
        where = folder.resolve()
        logs = where / ".launcher"
        logs.mkdir(exist_ok=True)
        with open_dict(self.composed):
            self.composed.hydra.sweep.dir = escape_interpolations(str(logs))
        place = escape_interpolations(str(where))
        overrides = [
            [*job.overrides, format_override("part", {"folder": place, "cell": job.cell, "key": job.key})]
            for job in jobs
        ]
        request = Request(self.context, self.composed, Named(run_part.__module__, run_part.__name__), overrides)
        reasons = launch_apart(request, logs, meanwhile)
        if not reasons:
            shutil.rmtree(logs, ignore_errors=True)
        return {jobs[position].cell: reason for position, reason in reasons.items()}


def declared_axes(params: Mapping[str, Any]) -> list[str]:
    """The overrides that sweep what a configuration declares; its text is in the grammar of overrides already."""
    return [f"{name}={value if isinstance(value, str) else format_value(value)}" for name, value in params.items()]


def _search_path(hydra: DictConfig) -> list[str]:
    """The overrides of Hydra's own node without which cells cannot be composed."""
    return [str(override) for override in hydra.overrides.hydra if str(override).startswith("hydra.searchpath=")]


def run_part(config: DictConfig) -> float:
    """Run a cell of a sweep in a worker of a launcher, where what is raised becomes the reason of a row."""
    from gdbench.analysis.tuning_metric import score_cell
    from gdbench.results.load import load_part
    from gdbench.sweeps.job import run_job

    store()
    hydra = HydraConfig.get()
    overrides = [str(override) for override in hydra.overrides.task if not str(override).startswith("part=")]
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    job = _job(0, overrides, Composed(config, choices))
    cell, key, folder = int(config.part["cell"]), str(config.part["key"]), Path(config.part["folder"])
    with turn(job.question.timing):
        run_job(replace(job, cell=cell, key=key), folder)
    return score_cell(load_part(folder, cell), str(config.metric))


def _compose_single(session: Session, config: DictConfig) -> Job:
    """The one cell of a command line without -m."""
    hydra: Any = HydraConfig.get()
    seen = [str(override) for override in hydra.overrides.task]
    try:
        known = (seen, Composed.parse(config, hydra))
        composer = Composer(_search_path(hydra), GlobalHydra.instance().config_loader(), known)
        parsed = [composer.parse(override) for override in (session.overrides if session.withheld else seen)]
        for override in parsed:
            if override.is_sweep_override() and override.key_or_group != "tracker":
                raise UsageError(describe_sweep(str(override.input_line)))
        overrides = [_together(override) for override in parsed]
        job = _job(0, overrides, composer(overrides))
    except UsageError:
        raise
    except Exception as error:
        raise reworded(error) from error
    if set(known[1].axes) - {override.key_or_group for override in parsed}:
        raise UsageError(f"experiment={hydra.runtime.choices.get('experiment')} is a sweep: add -m.")
    return job


# ---------------------------------------------------------------------------------------------------------- folding


def fold(arguments: Sequence[str], composer: Composer) -> list[Job]:
    """The cells of a sweep: commas over lr, seed and float parameters of the optimizer become lanes within a cell.

    All cells are composed and their questions checked here, before the first one runs.
    """
    latest = composer.latest(arguments)
    check_once(latest)
    sweeps = {key: each for key, each in latest.items() if each.is_sweep_override() and key != "tracker"}
    fixed = [
        _together(each) if key == "tracker" else str(each.input_line)
        for key, each in latest.items()
        if key not in sweeps
    ]
    lanes = {key: f"{key}={spec}" for key, each in sweeps.items() if (spec := _lane_spec(key, each)) is not None}
    while True:
        check_count({key: count_values(each) for key, each in sweeps.items() if key not in lanes})
        axes = [_choices(each) for key, each in sweeps.items() if key not in lanes]
        cells = [composer([*fixed, *cell]) for cell in itertools.product(*axes)]
        refused = [key for key in lanes if any(not _is_float(cell.config, key) for cell in cells)]
        if not refused:
            break
        for key in refused:  # a whole number or a switch, to this optimizer: not a lane after all
            del lanes[key]
    chosen = [[*fixed, *cell, *lanes.values()] for cell in itertools.product(*axes)]
    if not chosen:
        raise UsageError(
            "the overrides select no runs: glob(...) matched nothing. List the names with python -m gdbench list."
        )
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
            words = [item.with_quotes() if isinstance(item, QuotedString) else str(item) for item in sweep_value.list]
            return f"[{','.join(words)}]"
    return None


def _together(override: Override) -> str:
    """An override as it came; trackers given by commas as the list that they are, for nobody wants a run for each."""
    if override.key_or_group == "tracker" and override.is_sweep_override():
        return f"tracker=[{','.join(override.sweep_string_iterator())}]"
    return str(override.input_line)


def _choices(override: Override) -> list[str]:
    """The overrides that a sweep stands for, one a cell."""
    if isinstance(override.value(), IntervalSweep):
        raise UsageError(
            f"{override.input_line}: an interval makes lanes, which only lr, lr_scale, seed and float parameters of the"
            " optimizer can be; list the values instead."
        )
    return [f"{override.get_key_element()}={value}" for value in list_values(override)]


def _is_float(config: DictConfig, key: str) -> bool:
    return key in LANES or isinstance(OmegaConf.select(config, key), float)
