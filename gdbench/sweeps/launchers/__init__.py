"""Hydra's launchers as gdbench starts them: in a subprocess, and with lost cells reported one by one."""

from __future__ import annotations

import importlib
import shutil

from hydra.core.plugins import Plugins

from gdbench.config.hydra_plugins import RAY
from gdbench.errors import UsageError

__all__ = ["install", "require_installed"]

SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
OURS = {
    RAY: ("gdbench.sweeps.launchers.ray", "Ray"),
    f"{SUBMITIT}.LocalLauncher": ("gdbench.sweeps.launchers.submitit", "Local"),
    f"{SUBMITIT}.SlurmLauncher": ("gdbench.sweeps.launchers.submitit", "Slurm"),
}
"""The ``_target_`` of a configuration, and the module and class of gdbench that stand for it."""


def require_installed(target: str) -> None:
    """``UsageError`` for a launcher that cannot work on this machine, before a sweep begins."""
    if target == f"{SUBMITIT}.SlurmLauncher" and shutil.which("sbatch") is None:
        raise UsageError(
            "hydra/launcher=submitit_slurm needs Slurm's sbatch, which is not on this machine:"
            " start it on a node of the cluster, or write hydra/launcher=submitit_local."
        )


def install(target: str) -> None:
    """Register our class as the launcher of that name; it is imported here and not before."""
    if target in OURS:
        module, name = OURS[target]
        Plugins.instance().class_name_to_class[target] = getattr(importlib.import_module(module), name)
