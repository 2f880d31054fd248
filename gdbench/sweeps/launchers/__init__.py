"""Hydra's launchers as gdbench starts them: in a process apart, and with cells that are lost told one by one."""

from __future__ import annotations

import importlib
import shutil

from hydra.core.plugins import Plugins

from gdbench.config.hydra_plugins import RAY
from gdbench.errors import UsageError

__all__ = ["insist", "install"]

SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
OURS = {
    RAY: ("gdbench.sweeps.launchers.ray", "Ray"),
    f"{SUBMITIT}.LocalLauncher": ("gdbench.sweeps.launchers.submitit", "Local"),
    f"{SUBMITIT}.SlurmLauncher": ("gdbench.sweeps.launchers.submitit", "Slurm"),
}
"""What a configuration names, and the class of ours that does it."""


def insist(target: str) -> None:
    """Refuse a launcher that cannot work on this machine, before a sweep begins."""
    if target == f"{SUBMITIT}.SlurmLauncher" and shutil.which("sbatch") is None:
        raise UsageError(
            "hydra/launcher=submitit_slurm needs Slurm's sbatch, which is not on this machine:"
            " start it on a node of the cluster, or write hydra/launcher=submitit_local."
        )


def install(target: str) -> None:
    """Put our class where Hydra looks for the launcher of that name; loaded here and not before."""
    if target in OURS:
        module, name = OURS[target]
        Plugins.instance().class_name_to_class[target] = getattr(importlib.import_module(module), name)
