"""Optimizers that are named by their class, on the command line and from Python, without a YAML file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import gdbench
from gdbench.config.class_options import find_class_name

CLASSES = """
import torch


class Halved(torch.optim.SGD):
    def __init__(self, params, learning_rate=0.01, factor=0.5, nus=(0.7, 1.0), mode="plain", *, flag=True, hook=print):
        super().__init__(params, lr=learning_rate * factor)


class Planned(torch.optim.SGD):
    def __init__(self, params, lr, total_steps):
        super().__init__(params, lr=lr)


def make_adam(params, lr=0.1, betas=(0.9, 0.99)):
    return torch.optim.Adam(params, lr, betas)


number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module of a user's own, and no YAML file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_classes.py").write_text(CLASSES)
    return tmp_path / "mine"


def read_rows(command: Callable[..., Any], *words: str) -> list[dict[str, Any]]:
    """The rows of a sweep that is not timed."""
    done = command(*words, "timing=off", "steps=20")
    assert done.code == 0, done.err
    rows = json.loads(command("show", "--json").out)
    assert isinstance(rows, list)
    return rows


def test_a_class_runs_as_its_shipped_configuration_does(command: Callable[..., Any]) -> None:
    """``optimizer=torch.optim.AdamW`` has the losses of adamw with impl=torch, and its own default weight decay."""
    words = ("objective=rosenbrock", "lr=0.01", "impl=torch")
    (named,) = read_rows(command, "optimizer=torch.optim.AdamW", *words)
    (shipped,) = read_rows(command, "optimizer=adamw", "optimizer.weight_decay=0.01", *words)

    assert named["optimizer"] == "torch.optim.AdamW"
    assert named["optimizer.weight_decay"] == 0.01
    assert named["final_loss"] == shipped["final_loss"]


def test_keywords_of_a_class_are_settings(command: Callable[..., Any], folder: Path) -> None:
    """Keywords of a class in the user's folder are swept, its lr is gdbench's, and members of a tuple are numbers."""
    words = ("--config-dir", str(folder), "optimizer=own_classes.Halved")
    rows = read_rows(command, *words, "optimizer.factor=0.5,1.0", "optimizer.nu2=0.9", "lr=0.1")
    (alone,) = read_rows(command, "optimizer=gd", "impl=torch", "lr=0.05")

    assert [row["optimizer.factor"] for row in rows] == [0.5, 1.0]
    assert rows[0]["final_loss"] == pytest.approx(alone["final_loss"], rel=1e-6)
    entry = json.loads(command("list", "optimizers", "own_classes.Halved", "--config-dir", str(folder), "--json").out)
    assert entry["default_lr"] == 0.01
    assert set(entry["settings"]) == {
        f"optimizer.{name}" for name in ("factor", "nu1", "nu2", "mode", "flag", "groups")
    }


def test_a_function_that_makes_an_optimizer_is_named_too(command: Callable[..., Any], folder: Path) -> None:
    """A function of parameters and keywords serves as a class does."""
    (row,) = read_rows(command, "--config-dir", str(folder), "optimizer=own_classes.make_adam", "optimizer.beta2=0.5")

    assert (row["optimizer.beta1"], row["optimizer.beta2"]) == (0.9, 0.5)


@pytest.mark.parametrize("optimizer", ["adam", "torch.optim.Adam"])
def test_a_tuple_sets_its_members(command: Callable[..., Any], optimizer: str) -> None:
    """``optimizer.betas=[0.9,0.95]`` is beta1 and beta2, of a shipped method and of a class; several make a sweep."""
    rows = read_rows(command, f"optimizer={optimizer}", "impl=torch", "optimizer.betas=[0.8,0.95],[0.5,0.9]")

    assert [(row["optimizer.beta1"], row["optimizer.beta2"]) for row in rows] == [(0.8, 0.95), (0.5, 0.9)]
    refused = command(f"optimizer={optimizer}", "optimizer.betas=[0.9,0.95,0.99]")
    assert refused.code == 2
    assert "optimizer.betas is not a setting of the chosen optimizer" in refused.err


@pytest.mark.usefixtures("own_folder")
def test_python_takes_classes_among_names() -> None:
    """A class that can be imported is swept beside a named optimizer, under its public name."""
    runs = gdbench.sweep(optimizer=[torch.optim.SGD, "gd"], lr=[0.1, 0.2], timing="off", steps=5)

    assert runs["optimizer"].tolist() == ["torch.optim.SGD"] * 2 + ["gd"] * 2
    first, second = runs["final_loss"].to_numpy(float).reshape(2, 2)
    assert first == pytest.approx(second, rel=1e-6)


def test_the_name_of_a_class_is_the_shortest_that_has_it() -> None:
    """Classes are named as users import them; locals and lambdas have no name."""
    assert find_class_name(torch.optim.AdamW) == "torch.optim.AdamW"
    assert torch.optim.AdamW.__module__ == "torch.optim.adamw"
    assert find_class_name(lambda: None) is None
    assert find_class_name("adam") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optimizer=torch.optim.Adamm", "optimizer=torch.optim.Adamm is the name of no class that can be imported"),
        ("optimizer=nowhere.Class", "is the name of no class that can be imported (No module named 'nowhere')"),
        ("optimizer=os.system", "os.system is a part of Python itself"),
        ("optimizer=own_classes.number", "optimizer=own_classes.number is no class and no function."),
        ("optimizer=own_classes.Planned", "optimizer.total_steps has no default: give it, as in"),
        (
            "optimizer=own_classes.Halved optimizer.fcator=2",
            "is not a setting of the chosen optimizer, own_cl",
        ),
    ],
)
def test_a_name_that_is_no_class_is_one_line(
    command: Callable[..., Any], folder: Path, words: str, message: str
) -> None:
    """What cannot be imported or made is refused before anything runs, with what to write."""
    done = command("--config-dir", str(folder), *words.split())

    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("outputs").exists()
