"""``hydra/sweeper=lanes``, the default: plans the cells of a multirun and executes them, here or by a launcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gdbench.config.compose import Composed, Composer
from gdbench.sweeps.launchers.hydra_launch import HydraLaunch, choose_launch
from gdbench.sweeps.planner import plan
from gdbench.sweeps.single_cell_task import HydraTask
from gdbench.sweeps.sweep_result import SweepResult
from gdbench.sweeps.sweep_spec import SweepSpec

__all__ = ["BatchingSweeper"]


class BatchingSweeper(Sweeper):
    """Runs the cells of a multirun in this process, or hands them to the launcher that was asked for."""

    kind = "sweep"

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        """``params`` are the axes that a configuration declares; the composed configuration holds them too."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what planning and a launcher need.

        Hydra makes a sweeper of a name and settings alone; what it hands on unchanged is the function that it runs.
        """
        assert isinstance(task_function, HydraTask)
        self.task, self.context, self.composed = task_function, hydra_context, config

    def sweep(self, arguments: list[str]) -> SweepResult:
        """The result of all cells; ``arguments`` are the overrides that Hydra has seen."""
        spec, composer = self.parse(arguments)
        return self.task.execute(spec, plan(spec, composer), self.choose_launch())

    def parse(self, arguments: list[str]) -> tuple[SweepSpec, Composer]:
        """The sweep that the command line and its experiment describe, and a composer for its cells."""
        return self.task.parse(arguments, Composed.parse(self.composed), self.composed.hydra, self.kind)

    def choose_launch(self) -> HydraLaunch | None:
        """What runs cells elsewhere, if a launcher was asked for."""
        return choose_launch(self.context, self.composed, self.task.plan_only)
