"""The Hydra sweeper: folds commas over numbers into lanes, makes cells of other axes, gathers results from files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gdbench import records
from gdbench.analysis.goals import best
from gdbench.config import Composed, Composer, plain, reworded
from gdbench.job import Job, Progress, begin, finish, run_job, sweep
from gdbench.schema import Question, UsageError

__all__ = ["Lanes", "Refusal", "Silent", "carry_out", "fold", "keep_configurations", "task"]

LANES = ("lr", "lr_scale", "seed")
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"

Launch = Callable[[Sequence[Job], Path], str]
"""Has jobs carried out elsewhere; returns what to say of a job that left no result."""


class Silent:
    """A progress that nobody hears."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Say nothing."""

    def now(self, job: object) -> None:
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
        jobs = fold([*declared, *arguments], Composer())
        launch = None if self.composed.hydra.launcher._target_ == BASIC else self._launch
        carry_out(jobs, arguments, "sweep", Lanes.progress, launch)

    def _launch(self, jobs: Sequence[Job], folder: Path) -> str:
        with open_dict(self.composed):
            self.composed.hydra.sweep.dir = str(folder / ".launcher")
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.task_function, config=self.composed
        )
        where = folder.resolve()
        overrides = [[*job.overrides, f"part={{folder:'{where}',cell:{job.cell}}}"] for job in jobs]
        try:
            launcher.launch(overrides, initial_job_idx=0)
        except Exception as error:  # what became of the cells is in the folder, whatever launch() says
            return f"its job left no result ({' '.join(str(error).split())[:300]})"
        finally:
            with contextlib.suppress(OSError):  # some launchers keep logs there; an empty folder says nothing
                (folder / ".launcher").rmdir()
        return "its job left no result"


class Refusal(BaseException):
    """Carries a UsageError past Hydra, which would announce it in words of its own."""


def task(config: DictConfig) -> float:
    """What one Hydra job does: a single cell of its own, or one part of a sweep that a launcher brought here.

    Returns the goal of its best run, for whatever sweeper asked: lower is better, inf where no run may win.
    """
    try:
        return _task(config)
    except UsageError as error:
        raise Refusal from error
    except OmegaConfBaseException as error:  # an interpolation that cannot be resolved
        raise Refusal from reworded(error)


def _task(config: DictConfig) -> float:
    hydra = HydraConfig.get()
    overrides = [str(each) for each in hydra.overrides.task if not str(each).startswith("part=")]
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    composed = Composed(config, choices)
    if config.part is None:
        given = {each.partition("=")[0] for each in overrides}
        if set(hydra.sweeper.get("params") or {}) - given:
            raise UsageError(f"experiment={choices.get('experiment')} is a sweep: add -m.")
        folder = carry_out([_job(0, overrides, composed)], overrides, "run", Lanes.progress)
        return best(records.load(folder), str(config.goal))
    if not OmegaConf.is_dict(config.part):
        raise UsageError("part is set by gdbench itself, for the jobs of a launcher: leave it out.")
    cell, folder = int(config.part["cell"]), Path(config.part["folder"])
    run_job(_job(cell, overrides, composed), folder)
    return best(records.load_part(folder, cell), str(config.goal))


def carry_out(
    jobs: Sequence[Job], arguments: Sequence[str], kind: str, progress: Progress, launch: Launch | None = None
) -> Path:
    """Check, run and gather cells, here or by ``launch``; returns the sweep's folder."""
    config = jobs[0].config
    folder = Lanes.folder = begin(jobs, str(config["outputs"] or "outputs"), str(config["name"] or kind))
    keep_configurations(folder, jobs, arguments)
    if launch is None:
        sweep(jobs, folder, progress)
    else:
        finish(jobs, folder, missing=launch(jobs, folder))
    return folder


def keep_configurations(folder: Path, jobs: Sequence[Job], arguments: Sequence[str]) -> None:
    """All that is needed to repeat any cell: the overrides as they came, and each cell's whole configuration."""
    with records.writing(folder):
        hydra = folder / ".hydra"
        hydra.mkdir(exist_ok=True)
        (hydra / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(list(arguments))))
        for job in jobs:
            (hydra / f"cell-{job.cell:05d}.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(dict(job.config))))


# ---------------------------------------------------------------------------------------------------------- folding


def fold(arguments: Sequence[str], composer: Composer) -> list[Job]:
    """The cells of a sweep: commas over lr, seed and float parameters of the optimizer become lanes within a cell.

    All cells are composed and their questions checked here, before the first one runs.
    """
    parsed = OverridesParser.create(config_loader=composer.loader).parse_overrides(list(arguments))
    latest = {each.key_or_group: each for each in parsed}
    sweeps = {key: each for key, each in latest.items() if each.is_sweep_override()}
    fixed = [str(each.input_line) for key, each in latest.items() if key not in sweeps]
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
    return [_job(number, overrides, composer(overrides)) for number, overrides in enumerate(chosen)]


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
