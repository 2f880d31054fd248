"""What a worker of a launcher runs: one cell of a sweep, whose part of the table it writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gdbench.config.compose import Composed
from gdbench.config.hydra_plugins import register_configs
from gdbench.sweeps.machine_lock import lock_machine
from gdbench.sweeps.planner import make_job
from gdbench.sweeps.time_limit import allow_kill

__all__ = ["run_cell_in_worker"]


def run_cell_in_worker(config: DictConfig) -> float:
    """Run one cell in a launcher's worker and return its metric; what is raised becomes the reason of failed rows."""
    from gdbench.analysis.tuning_score import score_cell
    from gdbench.results.load import load_part
    from gdbench.sweeps.job_runner import run_job

    register_configs()
    allow_kill()
    hydra = HydraConfig.get()
    overrides = [str(override) for override in hydra.overrides.task if not str(override).startswith("part=")]
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    cell, key, folder = int(config.part["cell"]), str(config.part["key"]), Path(config.part["folder"])
    job = replace(make_job(cell, overrides, Composed(config, choices)), key=key)
    with lock_machine(job.spec.timing):
        run_job(job, folder)
    return score_cell(load_part(folder, cell), str(config.metric))
