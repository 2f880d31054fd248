"""Code of a user's that calls ``sys.exit``, wherever gdbench calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gdbench

CODE = """
import sys
import torch
from gdbench import Objective
from gdbench.optimizers import first_order

def leaving(x):
    if x.detach().abs().sum() < 5:
        sys.exit("enough")
    return (x**2).sum()

def evaluated():
    return Objective(fn=leaving, start=torch.tensor([3.0, 4.0]), minimum=0.0)

def at_once():
    return Objective(fn=lambda x: sys.exit(0), start=torch.tensor([3.0, 4.0]), minimum=0.0)

def begun():
    return Objective(fn=lambda x: (x**2).sum(), start=lambda seed: sys.exit(0), minimum=0.0)

def stepped(lr):
    return first_order(lambda x: (), lambda k, grad, state, x: sys.exit(3) if k == 2 else (x - 0.1 * grad, state))

class Stepped(torch.optim.SGD):
    def step(self, closure=None):
        sys.exit(4)
"""


SHORT = ("steps=20", "timing=off")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of code that leaves in four places."""
    for group in ("objective", "optimizer"):
        (tmp_path / "mine" / group).mkdir(parents=True)
    (tmp_path / "mine" / "leaves.py").write_text(CODE)
    for name in ("evaluated", "at_once", "begun"):
        (tmp_path / "mine" / "objective" / f"{name}.yaml").write_text(f"_target_: leaves.{name}\n")
    method = "manual: {_target_: leaves.stepped}\ntorch: {_target_: leaves.Stepped}\ndefault_lr: 0.1\n"
    (tmp_path / "mine" / "optimizer" / "stepped.yaml").write_text(method)
    return tmp_path / "mine"


def test_sys_exit_fails_a_run_and_no_sweep(folder: Path, command: Callable[..., Any]) -> None:
    """A user's code that calls sys.exit makes failed rows that say so, and exit code 1; the sweep is whole."""
    done = command("--config-dir", str(folder), "-m", "objective=evaluated,at_once,begun", "lr=0.1,0.01", *SHORT)
    runs = gdbench.load()
    assert done.code == 1, done.err
    assert set(runs["status"]) == {"failed"}
    reasons = runs.groupby("objective")["error"].unique().map(list).to_dict()
    assert reasons == {
        "evaluated": ["SystemExit: enough"], "at_once": ["SystemExit: 0"], "begun": ["SystemExit: 0"]
    }  # fmt: skip
    assert "SystemExit: enough" in done.out


@pytest.mark.slow
def test_sys_exit_of_an_optimizer_fails_its_run(folder: Path, command: Callable[..., Any]) -> None:
    """The same of a user's step, by hand and as a class of torch.optim's interface."""
    words = ("objective=beale", "optimizer=stepped", "impl=manual,torch")
    done = command("--config-dir", str(folder), "-m", *words, *SHORT)
    assert done.code == 1, done.err
    assert gdbench.load().set_index("impl")["error"].to_dict() == {"manual": "SystemExit: 3", "torch": "SystemExit: 4"}


@pytest.mark.slow
def test_sys_exit_in_one_cell_leaves_the_others(folder: Path, command: Callable[..., Any]) -> None:
    """The cells beside one whose objective calls sys.exit have their results."""
    done = command("--config-dir", str(folder), "-m", "objective=at_once,beale", "lr=0.01", "steps=5", "timing=off")
    assert done.code == 1
    assert gdbench.load().set_index("objective")["status"].to_dict() == {"at_once": "failed", "beale": "budget"}
