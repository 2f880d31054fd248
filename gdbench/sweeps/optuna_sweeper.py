"""``hydra/sweeper=optuna``: Optuna proposes the cells of a sweep one after the other, and is told each one's metric.

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
from gdbench.errors import UsageError, format_count, format_install_command
from gdbench.sweeps.hydra_sweeper import Lanes, fold
from gdbench.sweeps.job_spec import Job
from gdbench.sweeps.search_axes import Span
from gdbench.sweeps.search_space import Counted, Options, latest, space

if TYPE_CHECKING:
    import optuna

    from gdbench.sweeps.adaptive import Growing

__all__ = ["Trials", "register_trials"]

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
"""Samplers that go by the order of values alone, as a miss is worth no certain number; the seed repeats each."""
MOST_CHECKED = 500
"""So many combinations of choices are checked before the first trial; where there are more, the first so many."""

Space = Span | Counted | Options


def register_trials() -> None:
    """Make the sweeper and its samplers known to Hydra."""
    register_sweeper("optuna", Trials, NODE)
    for name, node in SAMPLERS.items():
        ConfigStore.instance().store(group="hydra/sweeper/sampler", name=name, node=node)


class Trials(Lanes):
    """Runs a study: each trial is a cell of one sweep; several seeds are lanes of it, and their median is told."""

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

    def sweep(self, arguments: list[str]) -> None:
        """Sample, run and tell until all trials are made; then say which was the best."""
        self._check()
        composer = self._composer(arguments)
        words = self._given(arguments)
        given = latest(self._declared(words), composer)
        check_once(given)
        spaces = {key: found for key, each in given.items() if key != "seed" and (found := space(each))}
        fixed = [str(each.input_line) for key, each in given.items() if key not in spaces]
        if not spaces:
            raise UsageError("there is nothing to sample: give 'lr=tag(log,interval(1e-4,1))' or optimizer=gd,adam.")
        whole = _whole(fixed, spaces, composer)
        likely = _likely(fixed, spaces, whole, composer)
        if likely[0].config["metric"] == "time_to_target" and not likely[0].question.timing.seconds:
            raise UsageError("metric=time_to_target needs a clock: set timing=quick or timing=full.")
        study = self._study()
        with pause_gc():  # torch is loaded here, so that a mistake is told without it
            from gdbench.sweeps.adaptive import Growing
            from gdbench.sweeps.executor import Interrupted, SweepResult

        growing = Growing(likely, words, "optuna", self._launcher())
        asked = {key: _distribution(each, key in whole) for key, each in spaces.items()}
        try:
            self._search(study, growing, asked, lambda trial: fold([*fixed, *_overrides(trial)], composer)[0])
            growing.close()
        except KeyboardInterrupt as cut:
            raise Interrupted(SweepResult(growing.folder, remarks=_summary(study, growing))) from cut
        self.session.result = SweepResult(growing.folder, remarks=_summary(study, growing))

    def _check(self) -> None:
        """``UsageError`` for settings that mean nothing; not in ``__init__``, which Hydra wraps in words of its own."""
        if self.session.plan_only:
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

    def _study(self) -> optuna.Study:
        """The study, new or continued; ``UsageError`` in one line where Optuna is not there or refuses it."""
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
            if isinstance(settings.get("seed"), int):  # a study that goes on does not begin again
                settings["seed"] += len(study.trials)
            study.sampler = instantiate(settings)
        except Exception as error:
            raise UsageError(f"Optuna refuses the study: {' '.join(str(error).split())[:300]}") from error
        return study

    def _search(
        self, study: optuna.Study, growing: Growing, asked: Mapping[str, Any], cell: Callable[[optuna.Trial], Job]
    ) -> None:
        progress = self.session.progress
        progress.begin([growing.first] * self.n_trials)
        try:
            for first in range(0, self.n_trials, self.n_jobs):
                trials = [study.ask(dict(asked)) for _ in range(min(self.n_jobs, self.n_trials - first))]
                jobs = [growing.number(cell(trial)) for trial in trials]
                progress.now(jobs[0])
                growing.ask(jobs, progress.worked)
                for trial, job in zip(trials, jobs, strict=True):
                    progress.done(job, _tell(study, trial, growing, job))
        finally:
            progress.close()


def _whole(fixed: Sequence[str], spaces: Mapping[str, Space], composer: Composer) -> set[str]:
    """The keys that are set to a whole number by default, and so are sampled in whole numbers."""
    chosen = [f"{key}={each.values[0]}" for key, each in spaces.items() if isinstance(each, Options)]
    config = OmegaConf.create(dict(fold([*fixed, *chosen], composer)[0].config))
    defaults = {key: OmegaConf.select(config, key) for key in spaces}
    return {key for key, value in defaults.items() if isinstance(value, int) and not isinstance(value, bool)}


def _likely(fixed: Sequence[str], spaces: Mapping[str, Space], whole: set[str], composer: Composer) -> list[Job]:
    """Cells that stand for all trials, to be checked beforehand: every choice, and both ends of every span."""
    ends = {
        key: each.values if isinstance(each, Options) else _ends(each, key in whole) for key, each in spaces.items()
    }
    some = itertools.islice(itertools.product(*([f"{key}={word}" for word in ends[key]] for key in ends)), MOST_CHECKED)
    return [fold([*fixed, *chosen], composer)[0] for chosen in some]


def _ends(each: Span | Counted, whole: bool) -> tuple[str, str]:
    return (repr(int(each.low)), repr(int(each.high))) if whole else (repr(each.low), repr(each.high))


def _distribution(each: Space, whole: bool) -> Any:
    """What Optuna calls a space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(each, Options):
        return CategoricalDistribution(each.values)
    if whole:
        log, step = (False, int(each.step)) if isinstance(each, Counted) else (each.log, 1)
        return IntDistribution(math.ceil(each.low), math.floor(each.high), log=log, step=step)
    if isinstance(each, Counted):
        return FloatDistribution(each.low, each.high, step=each.step)
    return FloatDistribution(each.low, each.high, log=each.log)


def _overrides(trial: optuna.Trial) -> list[str]:
    """What a trial chose: numbers, and words that are in the grammar of overrides already."""
    return [f"{key}={value}" for key, value in trial.params.items()]


def _tell(study: optuna.Study, trial: optuna.Trial, growing: Growing, job: Job) -> list[str]:
    """Tell a trial's score: of its median seed. A diverged one is inf, to be shunned; one that failed tells nothing.

    Returns the statuses of its runs.
    """
    from gdbench.analysis.tuning_metric import list_swept_axes, score_configurations
    from gdbench.sweeps.adaptive import repeating

    runs = growing.answer(job)
    trial.set_user_attr("command", repeating(job, {}))
    if runs is None or runs["status"].isin(["failed", "unavailable"]).all():
        study.tell(trial, state=_state("FAIL"))
    else:
        scored = score_configurations(runs, str(job.config["metric"]), list_swept_axes(runs))
        best = scored.sort_values("score", kind="stable").iloc[0]
        trial.set_user_attr("value", float(best["value"]))
        study.tell(trial, float(best["score"]))
    return ["failed"] if runs is None else [str(status) for status in runs["status"]]


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def _summary(study: optuna.Study, growing: Growing) -> list[str]:
    """The best trial and what repeats it, in words; kept in the sweep's folder too, in the words of the plugin."""
    from gdbench.analysis.tuning_metric import LEFT, MISS, is_cost_metric
    from gdbench.results.atomic import explain_write_errors

    ended = [(trial.value, trial) for trial in study.trials if trial.value is not None and math.isfinite(trial.value)]
    if not ended:
        return [f"All of {format_count(len(study.trials), 'trial')} diverged or failed."]
    value, best = min(ended, key=lambda each: each[0])
    with explain_write_errors(growing.folder):
        results = {"name": "optuna", "best_params": best.params, "best_value": value}
        OmegaConf.save(OmegaConf.create(results), growing.folder / "optimization_results.yaml")
    metric = str(growing.first.config["metric"])
    reached = f"{metric} {best.user_attrs.get('value', value):.4g}".replace("e-0", "e-")
    if is_cost_metric(metric) and value >= LEFT:
        reached += ", but it left the target again"
    told = "none reached the target, this one came nearest" if is_cost_metric(metric) and value >= MISS else reached
    return [
        f"Best of {format_count(len(study.trials), 'trial')}: number {best.number} ({told}). Repeat it:",
        f"  {best.user_attrs.get('command', best.params)}",
    ]
