from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from support.repositories import git as call_git

import gdbench
from gdbench.engine.environment import describe_checkout, describe_environment, read_git_diff


def test_the_environment_tells_what_a_result_depends_on() -> None:
    """Versions, processor, threads, accelerators and git state are all there, and can be written as JSON."""
    told = json.loads(json.dumps(describe_environment()))

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
    run = partial(call_git, tmp_path)

    assert describe_checkout(tmp_path) is None
    run("init")
    assert describe_checkout(tmp_path) is None
    (tmp_path / "file").write_text("one")
    run("add", "file")
    run("commit", "-m", "one")
    assert describe_checkout(tmp_path) == {"commit": run("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "other").write_text("untracked")
    assert describe_checkout(tmp_path)["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert describe_checkout(tmp_path)["dirty"] is True


def test_a_machine_without_git_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    """Where git is not installed, nothing is told of it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert describe_checkout(tmp_path) is None


def test_a_sweep_keeps_the_digests_of_its_source_and_data(command: Any, own: Path) -> None:
    """What a result depends on and no version tells: each source file, also the user's own, and the data."""
    words = ("-m", "objective=bowl,logistic", "optimizer=gd", "steps=2", "timing=off", "trace=none")
    assert command(*words, "--config-dir", str(own), "--quiet").code == 0
    (file,) = Path("outputs").glob("*/*/environment.json")
    told = json.loads(file.read_text())

    assert {"own_things", "gdbench.objectives.classification", "gdbench.engine.descent"} <= set(told["sources"])
    assert set(told["data"]) == {"logistic"}
    assert all(len(each) == 64 for each in told["data"].values())
    assert "torch" not in told["sources"]


def test_a_dirty_checkout_is_kept_as_a_patch(command: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """What the working folder has beyond its commit lies beside environment.json, and cut where it is long, said so."""
    run = partial(call_git, tmp_path)
    (tmp_path / "file").write_text("one\n")
    run("init", "-q")
    run("add", "file")
    run("commit", "-q", "-m", "one")
    command("lr=0.1", "timing=off", "--quiet", "name=clean")
    (tmp_path / "file").write_text("another\n")
    command("lr=0.1", "timing=off", "--quiet", "name=dirty")
    assert [each.parent.name[9:] for each in Path("outputs").glob("*/*/folder.diff")] == ["dirty"]
    (kept,) = Path("outputs").glob("*/*/folder.diff")
    patch = kept.read_text()
    assert "-one\n+another\n" in patch

    monkeypatch.setattr("gdbench.engine.environment.MAX_DIFF", 20)
    assert read_git_diff(tmp_path) == f"{patch[:20]}\n# cut by gdbench after 20 of {len(patch)} bytes\n"
