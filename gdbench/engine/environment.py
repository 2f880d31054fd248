"""Record of the environment: the facts of a machine and a checkout that a result depends on."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import re
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from gdbench.engine.git import GitError, GitMissing, read_git, run_git

__all__ = ["describe_checkout", "describe_environment", "make_process_key", "read_cpu_model", "read_git_diff"]

PACKAGES = ("gdbench", "torch", "hydra-core", "omegaconf", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn")
VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "PYTHONHASHSEED",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""What can change numbers or threads from outside of a program."""
MAX_DIFF = 2**20
"""Bytes of a diff that are kept; one that is longer is cut, and says so."""
GIT_TIMEOUT_S = 10.0
"""Seconds that git is given for an answer."""
STATUS = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no")
"""Asks git for commit and changes at once: each start of git costs as much as a short cell."""
NOTHING_THERE = "not a git repository"
"""What git says outside of a checkout."""


STARTED_NS = time.time_ns()
"""When this process, or the one that it was forked from, began to use gdbench."""


def make_process_key() -> str:
    """Eight digits that tell this process from all others, on other machines too."""
    facts = f"{platform.node()} {os.getpid()} {STARTED_NS}"
    return hashlib.blake2b(facts.encode(), digest_size=4).hexdigest()


def describe_environment(command: list[str] | None = None) -> dict[str, Any]:
    """Versions, processor, threads, accelerators, git state, and the command that was given."""
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(),
        "command": command if command is not None else sys.argv,
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "packages": {name: _read_version(name) for name in PACKAGES},
        "machine": _hash_machine(),
        "system": platform.platform(),
        "cpu": read_cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "accelerators": _list_accelerators(),
        "flush_denormal": _is_flushing_denormals(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "determinism": _describe_determinism(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": {"gdbench": describe_checkout(Path(__file__).parent), "folder": describe_checkout(Path.cwd())},
    }


def _read_version(name: str) -> str | None:
    """The version of an installed package; ``metadata.version`` would parse its whole README, which takes 2 ms."""
    try:
        facts = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    line = re.search(r"^Version:\s*(\S+)\s*$", facts.read_text("METADATA") or "", re.MULTILINE)
    return line[1] if line else facts.version


def read_cpu_model() -> str:
    """The processor's own name for itself, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _hash_machine() -> str:
    """A fingerprint of this machine that tells nobody its name: equal on the same host, processor and system."""
    facts = [platform.node(), platform.machine(), read_cpu_model(), os.cpu_count(), platform.system()]
    return hashlib.blake2b(repr(facts).encode(), digest_size=6).hexdigest()


def _describe_determinism() -> dict[str, Any]:
    """The switches of torch that decide whether the same question gives the same bits."""
    return {
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
    }


def _list_accelerators() -> list[str]:
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def _is_flushing_denormals() -> bool:
    return bool((torch.tensor([1e-300], dtype=torch.float64) * 1e-20 == 0).item())


def describe_checkout(folder: Path) -> dict[str, Any] | None:
    """Commit and dirtiness of the checkout a folder lies in; None outside of one, before its first commit, without git.

    Where git refuses to look, as it does at another user's checkout, its reason stands in their place.
    """
    try:
        lines = read_git(folder, *STATUS, timeout=GIT_TIMEOUT_S).splitlines()
        headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        commit = headers["branch.oid"]
        if commit == "(initial)":
            return None
        return {"commit": commit, "dirty": any(not line.startswith("# ") for line in lines)}
    except GitMissing:
        return None
    except GitError as reason:
        return None if NOTHING_THERE in str(reason) else {"refused": str(reason)}


def read_git_diff(folder: Path) -> str:
    """What tracked files of a checkout have that its commit has not, as a patch; cut, and so said, beyond MOST_DIFF."""
    try:
        top = Path(read_git(folder, "rev-parse", "--show-toplevel", timeout=GIT_TIMEOUT_S))
        whole = run_git(top, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color", timeout=GIT_TIMEOUT_S)
    except GitError as reason:
        return f"# git diff could not be had ({reason})\n"
    text = whole[:MAX_DIFF].decode(errors="replace")
    return text if len(whole) <= MAX_DIFF else f"{text}\n# cut by gdbench after {MAX_DIFF} of {len(whole)} bytes\n"
