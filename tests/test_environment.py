from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import torch

import gdbench
from gdbench.environment import environment, git


def test_the_environment_tells_what_a_result_depends_on() -> None:
    """Versions, processor, threads, accelerators and git state are all there, and can be written as JSON."""
    told = json.loads(json.dumps(environment()))

    assert told["packages"]["torch"] == torch.__version__
    assert all(told["packages"][name] for name in ("hydra-core", "omegaconf", "numpy", "pandas", "pyarrow"))
    assert told["cpu"]
    assert told["cpu_count"] >= 1
    assert told["threads"] == torch.get_num_threads()
    assert told["flush_denormal"] is False
    assert len(told["accelerators"]) == torch.cuda.device_count() + torch.backends.mps.is_available()


def test_a_sweep_keeps_its_environment(command: Any) -> None:
    """environment.json of a sweep says how it was called, from where."""
    command("lr=0.1", "timing=off", "--quiet")
    (file,) = Path("outputs").glob("*/*/environment.json")
    told = json.loads(file.read_text())

    assert told["folder"] == str(Path.cwd())
    assert "lr=0.1" in told["command"]
    assert told["packages"]["gdbench"] in (None, gdbench.__version__)


def test_git_tells_commit_and_dirtiness(tmp_path: Path) -> None:
    """A checkout is known by its commit, and whether tracked files were changed since; untracked ones do not count."""

    def run(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert git(tmp_path) is None
    run("init")
    assert git(tmp_path) is None
    (tmp_path / "file").write_text("one")
    run("add", "file")
    run("commit", "-m", "one")
    assert git(tmp_path) == {"commit": run("rev-parse", "HEAD").strip(), "dirty": False}
    (tmp_path / "other").write_text("untracked")
    assert git(tmp_path)["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert git(tmp_path)["dirty"] is True


def test_a_machine_without_git_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    """Where git is not installed, nothing is told of it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert git(tmp_path) is None
