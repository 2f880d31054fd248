"""Who carries a method out where nothing is said: the first of manual and torch that the method has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import gdbench
from gdbench.config.config_folders import config_folder
from gdbench.config.spec import resolve_impl
from gdbench.gate.pytest_plugin import BenchmarkFixture
from gdbench.gate.suite import load_suite

QUICK = ("timing=off", "steps=20", "--quiet")


@pytest.fixture
def halved(tmp_path: Path) -> Path:
    """A folder of the user's own with a method that is given as a class of torch.optim's kind alone."""
    folder = tmp_path / "mine"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "own_sgd.yaml").write_text("torch: {_target_: torch.optim.SGD}\ndefault_lr: 0.1\n")
    (folder / "optimizer" / "bare.yaml").write_text("manual: null\ntorch: null\ndefault_lr: 0.1\n")
    return folder


def test_a_method_of_torch_alone_runs_by_default(command: Callable[..., Any], halved: Path) -> None:
    """lbfgs and a class that a YAML file names run by torch, methods that have a manual form by it, in one sweep."""
    done = command("-m", "--config-dir", str(halved), "optimizer=lbfgs,own_sgd,gd", *QUICK)
    runs = gdbench.load().set_index("optimizer")

    assert (done.code, done.err) == (0, "")
    assert runs["impl"].to_dict() == {"lbfgs": "torch", "own_sgd": "torch", "gd": "manual"}
    assert runs["implementation"]["lbfgs"] == "torch.optim.LBFGS(torch), solo"
    assert set(runs["status"]) <= {"target", "budget", "plateau"}


def test_the_table_names_what_carried_a_method_out(command: Callable[..., Any]) -> None:
    """Plan, progress and table say torch of lbfgs, not auto."""
    planned = command("--dry-run", "optimizer=lbfgs", "--json")
    done = command("optimizer=lbfgs", "timing=off", "steps=20")

    assert [cell["impl"] for cell in json.loads(planned.out)] == ["torch"]
    assert "lbfgs torch" in done.err
    assert "auto" not in done.out


def test_keys_are_those_of_the_impl_that_was_named(command: Callable[..., Any]) -> None:
    """impl=auto asks what impl=manual asks: the same run, and a named sweep goes on with the other's."""
    command("optimizer=gd", "impl=manual", "name=same", *QUICK)
    done = command("optimizer=gd", "name=same", "timing=off", "steps=20")

    assert "1 done; nothing to run" in done.err
    assert gdbench.load()["run_id"].nunique() == 1


def test_an_impl_that_was_asked_for_is_not_replaced(command: Callable[..., Any]) -> None:
    """impl=manual of lbfgs stays an unavailable row, the last line says so, and the code is 1 as nothing could run."""
    done = command("optimizer=lbfgs", "impl=manual", *QUICK)

    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "gdbench: 1 of 1 runs have no result: 1 unavailable (optimizer=lbfgs has no manual implementation; try"
        " impl=torch)."
    )


def test_a_method_without_any_form_is_a_mistake(command: Callable[..., Any], halved: Path) -> None:
    """A file that names neither is told what it must name."""
    done = command("--config-dir", str(halved), "optimizer=bare", *QUICK)

    assert done.code == 2
    assert done.err.startswith(
        "gdbench: optimizer=bare states neither manual nor torch: its file must name the factory"
    )


def test_python_tune_fixture_and_gate_take_the_same(command: Callable[..., Any], halved: Path) -> None:
    """The Python API, tune, the pytest fixture and a suite of the gate run lbfgs, or a class, without an impl."""
    folder = halved / "gate"
    folder.mkdir()
    (folder / "default.yaml").write_text(
        "series:\n  - {objective: rosenbrock, optimizer: [lbfgs, own_sgd, gd], lr: 0.1}\n"
    )
    tuned = gdbench.tune("notebook_square", optimizer="lbfgs", lr="tag(log,interval(0.5,1))", steps=5, timing="off")

    assert gdbench.run("notebook_square", optimizer="lbfgs", steps=5, timing="off")["impl"].tolist() == ["torch"]
    assert tuned["impl"].tolist() == ["torch"]
    assert (
        BenchmarkFixture()("notebook_square", "lbfgs", steps=5)
        .row["implementation"]
        .startswith("torch.optim.LBFGS(torch)")
    )
    assert (
        BenchmarkFixture()("notebook_square", torch.optim.SGD, lr=0.1, steps=5, impl="auto")
        .row["implementation"]
        .startswith("torch.optim.SGD(torch)")
    )
    assert [series.name.split()[:3] for series in load_suite("default", halved).series] == [
        ["lbfgs", "torch", "rosenbrock"],
        ["own_sgd", "torch", "rosenbrock"],
        ["gd", "manual", "rosenbrock"],
    ]


def test_every_shipped_method_has_what_auto_chooses() -> None:
    """The law over conf/optimizer: auto is manual wherever there is a manual form, else torch, and there is one."""
    for file in sorted((config_folder() / "optimizer").glob("*.yaml")):
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        impl = resolve_impl("auto", config)
        assert config[impl], file.stem
        assert impl == ("manual" if config["manual"] else "torch")


def test_a_method_that_lacks_a_fact_is_a_row_of_a_cross_sweep(command: Callable[..., Any]) -> None:
    """chebyshev needs L: where none is stated it is an unavailable row beside cells that run, as the last line says."""
    done = command("-m", "optimizer=gd,chebyshev", "objective=quadratic,beale", *QUICK)
    runs = gdbench.load()

    assert done.code == 0
    assert runs.loc[runs["status"] == "unavailable", ["optimizer", "objective"]].to_numpy().tolist() == [
        ["chebyshev", "beale"]
    ]
    assert done.err.splitlines()[-1] == (
        "gdbench: 1 of 4 runs have no result: 1 unavailable (optimizer=chebyshev needs the smoothness of its objective,"
        " and objective=beale states none: give it as optimizer.smoothness=)."
    )


def test_a_method_that_lacks_a_fact_alone_is_a_mistake(command: Callable[..., Any], tmp_path: Path) -> None:
    """A single cell has nothing else to do: exit code 2, and no folder."""
    done = command("optimizer=chebyshev", "objective=beale", *QUICK)

    assert done.code == 2
    assert done.err.startswith("gdbench: optimizer=chebyshev needs the smoothness of its objective")
    assert not list(tmp_path.iterdir())
