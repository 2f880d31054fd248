"""The task that Hydra is given: runs the cell of a command that is no sweep, and tells sweepers what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gdbench.config.command_errors import describe_sweep
from gdbench.config.compose import Composed, Composer
from gdbench.config.hydra_errors import translate_error
from gdbench.config.hydra_loader import ConfigLoader
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError
from gdbench.sweeps.job import Job
from gdbench.sweeps.planner import plan, write_declared_axes
from gdbench.sweeps.progress import Progress
from gdbench.sweeps.sweep_result import SweepResult
from gdbench.sweeps.sweep_spec import SweepSpec, parse_spec

if TYPE_CHECKING:
    from gdbench.sweeps.distributed import Launch

__all__ = ["HydraTask", "HydraUsageError"]


class HydraUsageError(BaseException):
    """Carries a UsageError past Hydra, which would announce it in words of its own."""


@dataclass(frozen=True)
class HydraTask:
    """What a command line asks for, as far as Hydra does not hand it to sweepers."""

    loader: ConfigLoader
    overrides: Sequence[str] | None
    """All overrides, where Hydra has seen only those that choose from groups; None where it has seen all."""
    config_dir: Path | None
    progress: Progress
    plan_only: bool = False
    finished: list[SweepResult] = field(default_factory=list)
    """The sweeps of one cell each that a sweeper of somebody else's has run: it returns nothing that we know."""

    def parse(self, seen: Sequence[str], composed: Composed, hydra: Any, kind: str) -> tuple[SweepSpec, Composer]:
        """The sweep of the command line, and a composer for its cells; ``seen`` are the overrides of ``composed``."""
        fixed = [word for word in map(str, hydra.overrides.hydra) if word.startswith("hydra.searchpath=")]
        composer = Composer(fixed, self.loader, (seen, composed))
        words = seen if self.overrides is None else self.overrides
        declared = write_declared_axes(composed.axes) if kind != "run" else []
        return parse_spec(words, composer, declared=declared, config_dir=self.config_dir, kind=kind), composer

    def execute(self, spec: SweepSpec, jobs: Sequence[Job], launch: Launch | None = None) -> SweepResult:
        """The result of cells that are run, or planned; torch is loaded here, so that mistakes are told without it."""
        with pause_gc():
            from gdbench.sweeps.executor import execute, find_cell_states

        if self.plan_only:
            return find_cell_states(jobs, here=launch is None)
        return execute(spec, jobs, self.progress, launch)

    def __call__(self, config: DictConfig) -> SweepResult | float:
        """Run the one cell of a composed configuration; for a sweeper of somebody else's return its metric.

        The metric is that of the best configuration, lower is better: 2^40 more where that left its target again, inf
        where none reached it or may win. Without -m nobody asks, and it is a third of the time of a small run.
        """
        try:
            spec, job = self._plan_one(config)
            result = self.execute(spec, [job])
        except UsageError as error:
            raise HydraUsageError from error
        if HydraConfig.get().mode != RunMode.MULTIRUN or result.folder is None or self.plan_only:
            return result
        from gdbench.analysis.tuning_score import score_cell
        from gdbench.results.load import load

        self.finished.append(result)
        return score_cell(load(result.folder), str(job.config["metric"]))

    def _plan_one(self, config: DictConfig) -> tuple[SweepSpec, Job]:
        """The one cell of a command line; ``UsageError`` where --run, or a stated mode, forbids several values."""
        hydra: Any = HydraConfig.get()
        seen = [str(override) for override in hydra.overrides.task]
        try:
            composed = Composed.parse(config, hydra)
            spec, composer = self.parse(seen, composed, hydra, "run")
            for override in map(composer.parse, spec.given):
                if override.is_sweep_override() and override.key_or_group != "tracker":
                    raise UsageError(describe_sweep(str(override.input_line)))
            (job,) = plan(spec, composer)
        except UsageError:
            raise
        except Exception as error:
            raise translate_error(error) from error
        if set(composed.axes) - set(spec.fixed_overrides):
            raise UsageError(f"experiment={hydra.runtime.choices.get('experiment')} is a sweep: leave out --run.")
        return spec, job
