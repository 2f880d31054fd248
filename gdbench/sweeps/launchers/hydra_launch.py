"""Hand the cells of a sweep to a Hydra launcher (joblib, submitit_slurm, ray ...), one job a cell."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from gdbench.config.overrides import escape_interpolations, format_override
from gdbench.sweeps.job import Job
from gdbench.sweeps.launchers import require_installed
from gdbench.sweeps.launchers.subprocess_host import ImportableFunction, Request, launch_in_subprocess
from gdbench.sweeps.launchers.worker import run_cell_in_worker

__all__ = ["HydraLaunch", "choose_launch"]

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's own launcher, which would compose every cell again: it stands for this process."""


@dataclass(frozen=True)
class HydraLaunch:
    """The launcher of a composed configuration."""

    context: HydraContext
    config: DictConfig

    def __call__(self, jobs: Sequence[Job], folder: Path, meanwhile: Callable[[], None]) -> Mapping[int, str]:
        """Run jobs, calling ``meanwhile`` again and again; returns why cells left no result, by their numbers."""
        place = folder.resolve()
        logs = place / ".launcher"
        logs.mkdir(exist_ok=True)
        with open_dict(self.config):
            self.config.hydra.sweep.dir = escape_interpolations(str(logs))
        overrides = [[*job.overrides, _part_override(job, place)] for job in jobs]
        task = ImportableFunction(run_cell_in_worker.__module__, run_cell_in_worker.__name__)
        reasons = launch_in_subprocess(Request(self.context, self.config, task, overrides), logs, meanwhile)
        if not reasons:
            shutil.rmtree(logs, ignore_errors=True)
        return {jobs[position].cell: reason for position, reason in reasons.items()}


def choose_launch(context: HydraContext, config: DictConfig, plan_only: bool) -> HydraLaunch | None:
    """What runs cells elsewhere; None where they run in this process. A plan needs no installed launcher."""
    target = config.hydra.launcher._target_
    if not plan_only:
        require_installed(target)
    return None if target == BASIC else HydraLaunch(context, config)


def _part_override(job: Job, folder: Path) -> str:
    """The override that tells a worker where to write its part of the sweep."""
    place = escape_interpolations(str(folder))
    return format_override("part", {"folder": place, "cell": job.cell, "key": job.key})
