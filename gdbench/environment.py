"""The facts of a machine and a checkout that a result depends on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

__all__ = ["cpu_model", "environment"]

PACKAGES = ("gdbench", "torch", "hydra-core", "omegaconf", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn")


def environment(command: list[str] | None = None) -> dict[str, Any]:
    """Versions, processor, threads, accelerators, git state, and the command that was given."""
    return {
        "command": command if command is not None else sys.argv,
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "accelerators": _accelerators(),
        "flush_denormal": _flushes_denormals(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "git": {"gdbench": git(Path(__file__).parent), "folder": git(Path.cwd())},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_model() -> str:
    """The processor's own name for itself, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _accelerators() -> list[str]:
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def _flushes_denormals() -> bool:
    return bool((torch.tensor([1e-300], dtype=torch.float64) * 1e-20 == 0).item())


def git(folder: Path) -> dict[str, Any] | None:
    """Commit and dirtiness of the checkout a folder lies in; None outside of one, or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
