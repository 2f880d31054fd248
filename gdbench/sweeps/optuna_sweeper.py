"""``hydra/sweeper=optuna``: Optuna proposes the cells of a sweep, one trial each, from the metrics of earlier ones.

Key names are those of the plugin hydra-optuna-sweeper, which is held to Optuna 2; Optuna itself is loaded when a study
begins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gdbench.config.compose import Composer
from gdbench.config.hydra_plugins import register_sweeper
from gdbench.config.sweep_axes import check_once
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError, format_count, format_install_command, to_one_line
from gdbench.results.statuses import WITHOUT_RESULT
from gdbench.sweeps.hydra_sweeper import BatchingSweeper
from gdbench.sweeps.job import Job
from gdbench.sweeps.planner import plan_overrides
from gdbench.sweeps.search_axes import Span
from gdbench.sweeps.search_space import Choices, Steps, read_axis_texts, read_space
from gdbench.sweeps.sweep_result import Interrupted, SweepResult
from gdbench.sweeps.sweep_spec import list_code_override

if TYPE_CHECKING:
    import optuna

    from gdbench.sweeps.adaptive import AdaptiveSweep

__all__ = ["OptunaSweeper", "register_optuna"]

NODE: dict[str, Any] = {
    "_recursive_": False,  # the sampler is made when Optuna is known to be there
    "defaults": [{"sampler": "tpe"}],
    "n_trials": 20,
    "n_jobs": 1,
    "direction": "minimize",
    "study_name": None,
    "storage": None,
    "params": None,
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {"_target_": "optuna.samplers.TPESampler", "seed": 0, "n_startup_trials": 10},
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": 0},
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", "seed": 0, "population_size": 50},
}
"""Samplers that use only the order of values, as a miss has no definite score; the seed makes each repeatable."""
MOST_CHECKED = 500
"""The number of combinations of choices that are checked before the first trial."""

Space = Span | Steps | Choices


def register_optuna() -> None:
    """Register the sweeper and its samplers with Hydra."""
    register_sweeper("optuna", OptunaSweeper, NODE)
    for name, node in SAMPLERS.items():
        ConfigStore.instance().store(group="hydra/sweeper/sampler", name=name, node=node)


class OptunaSweeper(BatchingSweeper):
    """Runs a study: each trial is a cell of one sweep; several seeds are runs of it, and their median counts."""

    kind = "optuna"

    def __init__(
        self,
        sampler: Mapping[str, Any],
        n_trials: Any,
        n_jobs: Any,
        direction: str,
        study_name: str | None,
        storage: str | None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """``n_jobs`` trials are proposed at once, for a launcher that runs them side by side."""
        super().__init__(params)
        self.sampler, self.n_trials, self.n_jobs, self.direction = dict(sampler), n_trials, n_jobs, direction
        self.study_name, self.storage = study_name, storage

    def sweep(self, arguments: list[str]) -> SweepResult:
        """The result of all trials, with the best of them in its remarks."""
        self._check()
        spec, composer = self.parse(arguments)
        given = read_axis_texts(spec.overrides, composer)
        check_once(given)
        spaces = {key: space for key, override in given.items() if key != "seed" and (space := read_space(override))}
        fixed = [
            *(str(override.input_line) for key, override in given.items() if key not in spaces),
            *list_code_override(spec.config_dir),
        ]
        if not spaces:
            raise UsageError("there is nothing to sample: give 'lr=tag(log,interval(1e-4,1))' or optimizer=gd,adam.")
        whole = _find_whole(fixed, spaces, composer)
        likely = _list_likely(fixed, spaces, whole, composer)
        if likely[0].config["metric"] == "time_to_target" and not likely[0].spec.timing.seconds:
            raise UsageError("metric=time_to_target needs a clock: set timing=quick or timing=full.")
        study = self._make_study()
        with pause_gc():  # torch is loaded here, so that a mistake is told without it
            from gdbench.sweeps.adaptive import AdaptiveSweep

        sweep = AdaptiveSweep(spec, likely, self.choose_launch())
        distributions = {key: _make_distribution(space, key in whole) for key, space in spaces.items()}
        try:
            self._search(
                study, sweep, distributions, lambda trial: plan_overrides([*fixed, *_write_trial(trial)], composer)[0]
            )
            sweep.close()
        except KeyboardInterrupt as interrupt:
            raise Interrupted(SweepResult(sweep.folder, remarks=_summarize(study, sweep))) from interrupt
        return SweepResult(sweep.folder, remarks=_summarize(study, sweep))

    def _check(self) -> None:
        """``UsageError`` for wrong settings; not in ``__init__``, whose errors Hydra wraps in its own."""
        if self.task.plan_only:
            raise UsageError(
                "--dry-run: Optuna proposes each cell from the results of earlier ones, so none is known beforehand;"
                " leave out hydra/sweeper=optuna, or --dry-run."
            )
        for name, given in {"n_trials": self.n_trials, "n_jobs": self.n_jobs}.items():
            if isinstance(given, bool) or not isinstance(given, int) or given < 1:
                raise UsageError(f"hydra.sweeper.{name}={given} must be a whole number from 1.")
        if str(self.direction) != "minimize":
            raise UsageError(
                f"hydra.sweeper.direction={self.direction}: of every metric less is better; leave it at minimize."
            )

    def _make_study(self) -> optuna.Study:
        """The study, new or continued; ``UsageError`` where Optuna is not installed or refuses it."""
        try:
            import optuna
        except ImportError:
            raise UsageError(f"hydra/sweeper=optuna needs Optuna: {format_install_command('optuna')}") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the table says it all
        try:
            study = optuna.create_study(
                study_name=self.study_name, storage=self.storage, direction="minimize", load_if_exists=True
            )
            settings = dict(self.sampler)
            if isinstance(settings.get("seed"), int):  # a continued study draws other numbers
                settings["seed"] += len(study.trials)
            study.sampler = instantiate(settings)
        except Exception as error:
            raise UsageError(f"Optuna refuses the study: {to_one_line(error, 300)}") from error
        return study

    def _search(
        self,
        study: optuna.Study,
        sweep: AdaptiveSweep,
        distributions: Mapping[str, Any],
        make_cell: Callable[[optuna.Trial], Job],
    ) -> None:
        """Propose, run and score trials, ``n_jobs`` at a time."""
        progress = self.task.progress
        progress.begin([sweep.first] * self.n_trials)
        try:
            for first in range(0, self.n_trials, self.n_jobs):
                trials = [study.ask(dict(distributions)) for _ in range(min(self.n_jobs, self.n_trials - first))]
                jobs = [sweep.add(make_cell(trial)) for trial in trials]
                progress.start_job(jobs[0])
                sweep.run(jobs, progress.add_lane_steps)
                for trial, job in zip(trials, jobs, strict=True):
                    progress.finish_job(job, _report(study, trial, sweep, job))
        finally:
            progress.close()


def _find_whole(fixed: Sequence[str], spaces: Mapping[str, Space], composer: Composer) -> set[str]:
    """The keys whose default is a whole number, and which are sampled in whole numbers."""
    chosen = [f"{key}={space.values[0]}" for key, space in spaces.items() if isinstance(space, Choices)]
    config = OmegaConf.create(dict(plan_overrides([*fixed, *chosen], composer)[0].config))
    defaults = {key: OmegaConf.select(config, key) for key in spaces}
    return {key for key, value in defaults.items() if isinstance(value, int) and not isinstance(value, bool)}


def _list_likely(fixed: Sequence[str], spaces: Mapping[str, Space], whole: set[str], composer: Composer) -> list[Job]:
    """Cells that stand for all trials, to be checked beforehand: every choice, and both ends of every range."""
    ends = {
        key: space.values if isinstance(space, Choices) else _write_ends(space, key in whole)
        for key, space in spaces.items()
    }
    some = itertools.islice(itertools.product(*([f"{key}={word}" for word in ends[key]] for key in ends)), MOST_CHECKED)
    return [plan_overrides([*fixed, *chosen], composer)[0] for chosen in some]


def _write_ends(space: Span | Steps, whole: bool) -> tuple[str, str]:
    return (repr(int(space.low)), repr(int(space.high))) if whole else (repr(space.low), repr(space.high))


def _make_distribution(space: Space, whole: bool) -> Any:
    """Optuna's distribution of a space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, Choices):
        return CategoricalDistribution(space.values)
    if whole:
        log, step = (False, int(space.step)) if isinstance(space, Steps) else (space.log, 1)
        return IntDistribution(math.ceil(space.low), math.floor(space.high), log=log, step=step)
    if isinstance(space, Steps):
        return FloatDistribution(space.low, space.high, step=space.step)
    return FloatDistribution(space.low, space.high, log=space.log)


def _write_trial(trial: optuna.Trial) -> list[str]:
    """The overrides of a trial: numbers, and words that are in the grammar of overrides already."""
    return [f"{key}={value}" for key, value in trial.params.items()]


def _report(study: optuna.Study, trial: optuna.Trial, sweep: AdaptiveSweep, job: Job) -> list[str]:
    """The statuses of a trial's runs, after reporting the score of its median seed to the study.

    A diverged trial scores inf; one that failed has no score.
    """
    from gdbench.analysis.tuning_score import list_swept_axes, score_configurations
    from gdbench.sweeps.adaptive import write_run_command

    runs = sweep.load_runs(job)
    trial.set_user_attr("command", write_run_command(job, {}))
    if runs is None or runs["status"].isin(WITHOUT_RESULT).all():
        study.tell(trial, state=_trial_state("FAIL"))
    else:
        scored = score_configurations(runs, str(job.config["metric"]), list_swept_axes(runs))
        best = scored.sort_values("score", kind="stable").iloc[0]
        trial.set_user_attr("value", float(best["value"]))
        study.tell(trial, float(best["score"]))
    return ["failed"] if runs is None else [str(status) for status in runs["status"]]


def _trial_state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def _summarize(study: optuna.Study, sweep: AdaptiveSweep) -> list[str]:
    """The best trial and the command that repeats it; written to the sweep's folder too, in the plugin's format."""
    from gdbench.analysis.tuning_score import LEFT, MISS, is_cost_metric
    from gdbench.results.atomic import explain_write_errors

    ended = [(trial.value, trial) for trial in study.trials if trial.value is not None and math.isfinite(trial.value)]
    if not ended:
        return [f"All of {format_count(len(study.trials), 'trial')} diverged or failed."]
    value, best = min(ended, key=lambda pair: pair[0])
    with explain_write_errors(sweep.folder):
        results = {"name": "optuna", "best_params": best.params, "best_value": value}
        OmegaConf.save(OmegaConf.create(results), sweep.folder / "optimization_results.yaml")
    metric = str(sweep.first.config["metric"])
    reached = f"{metric} {best.user_attrs.get('value', value):.4g}".replace("e-0", "e-")
    if is_cost_metric(metric) and value >= LEFT:
        reached += ", but it left the target again"
    if is_cost_metric(metric) and value >= MISS:
        reached = "none reached the target, this one came nearest"
    return [
        f"Best of {format_count(len(study.trials), 'trial')}: number {best.number} ({reached}). Repeat it:",
        f"  {best.user_attrs.get('command', best.params)}",
    ]
