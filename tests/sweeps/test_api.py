from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from support.tiers import representatives

import gdbench

NOT_EXACT = ("started_at", "sweep", "process", "overrides", "cell_s", "convergence_pass_s")
EXACT = ("run_id", "status", "lr", "steps_to_target", "final_loss", "gradient_evals", "hit_1e-03")


def sphere(x: torch.Tensor) -> torch.Tensor:
    """The sum of squares."""
    return (x**2).sum()


pytestmark = pytest.mark.usefixtures("own_folder")


SAME: dict[str, dict[str, Any]] = {
    "objective=rosenbrock optimizer=gd,adam impl=manual,torch lr=1e-4,1e-3 steps=30": {
        "objective": "rosenbrock",
        "optimizer": ["gd", "adam"],
        "impl": ["manual", "torch"],
        "lr": [1e-4, 1e-3],
        "steps": 30,
    },
    "lr=0.1,0.2 seed=0,1": {"lr": np.array([0.1, 0.2]), "seed": range(2)},
    "lr=tag(log,interval(1e-3,1)) points=5": {"lr": "tag(log,interval(1e-3,1))", "points": 5},
    "optimizer=adam optimizer.amsgrad=true,false": {"optimizer": "adam", "optimizer.amsgrad": [True, False]},
    "optimizer=gd,momentum lr=null": {"optimizer": ["gd", "momentum"], "lr": None},
    "objective=beale,himmelblau lr=1e-3": {"objective": ["beale", "himmelblau"], "lr": 1e-3},
}
"""What is asked on the command line, and from Python."""


@pytest.mark.parametrize("line", representatives(SAME, list(SAME)[1:4]))
def test_python_and_the_command_line_ask_the_same(command: Any, line: str) -> None:
    """A sweep from Python has the rows of the command line: the same keys, order and exact columns."""
    runs = gdbench.sweep(**{**SAME[line], "timing": "off", "outputs": "python"})
    assert command("-m", *line.split(), "timing=off", "--quiet", "outputs=shell").code == 0
    same = [name for name in runs if name not in NOT_EXACT]

    pd.testing.assert_frame_equal(runs[same], gdbench.load("shell")[same])


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    """A function and a start are enough; the objective is called by the function's name."""
    runs = gdbench.run(sphere, x0=[3.0, 4.0], optimizer="adam", lr=0.1, steps=10, timing="off")

    assert runs[["objective", "optimizer", "dtype", "minimum_kind"]].to_numpy().tolist() == [
        ["sphere", "adam", "float32", "unknown"]
    ]
    assert runs["start_loss"].tolist() == [25.0]
    assert runs["final_loss"][0] < 25


@pytest.mark.parametrize(
    ("x0", "dtype"),
    [
        ([1, 2], "float32"),
        ([1.0, 2.0], "float32"),
        (torch.ones(2), "float32"),
        (torch.ones(2, dtype=torch.float64), "float64"),
        (torch.ones(2, dtype=torch.int64), "float32"),
    ],
)
def test_the_start_says_the_dtype(x0: Any, dtype: str) -> None:
    """dtype=auto is that of a floating start, else float32."""
    assert gdbench.run(sphere, x0=x0, steps=2, timing="off")["dtype"].tolist() == [dtype]


def test_a_start_may_be_a_dict() -> None:
    """Parameters may be a dict of tensors, as those of a network are."""
    start = {"w": torch.ones(2, 2), "b": torch.zeros(2)}
    runs = gdbench.run(lambda p: (p["w"] ** 2).sum() + (p["b"] - 1).pow(2).sum(), x0=start, lr=[0.1, 0.2], timing="off")

    assert runs["start_loss"].tolist() == [6.0, 6.0]
    assert (runs["final_loss"] < 1e-6).all()


def test_an_objective_can_state_its_minimum() -> None:
    """With an Objective, gaps and targets are known; lanes and solo runs agree with the function's."""
    objective = gdbench.Objective(fn=sphere, start=torch.tensor([3.0, 4.0]), minimum=0.0)
    runs = gdbench.sweep(objective, impl=["manual", "torch"], lr=[0.1, 0.25], timing="off")

    assert runs["status"].tolist() == ["target"] * 4
    assert runs["minimum_kind"].tolist() == ["exact"] * 4
    assert runs["steps_to_target"].tolist() == [31, 10, 31, 10]


@pytest.mark.parametrize(
    "function",
    [lambda x: x**2, lambda x: (x.detach() ** 2).sum(), lambda x: (x**2).sum().item()],
    ids=["vector", "detached", "number"],
)
def test_a_function_that_cannot_be_descended_is_refused(function: Any) -> None:
    """What the command line refuses is a UsageError here, before anything is written."""
    with pytest.raises(gdbench.UsageError, match=r"the objective (returned|is not differentiable)"):
        gdbench.run(function, x0=[1.0, 2.0])

    assert not Path("outputs").exists()


def test_a_function_that_raises_is_a_failed_row() -> None:
    """A function's own error is a result, told in its row."""

    def raises(x: torch.Tensor) -> torch.Tensor:
        raise ArithmeticError("no value here")

    runs = gdbench.run(raises, x0=[1.0], timing="off")

    assert runs[["status", "error"]].to_numpy().tolist() == [["failed", "ArithmeticError: no value here"]]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"objective": "rosenbrok"}, "objective=rosenbrok is not known. Did you mean rosenbrock?"),
        ({"optimizer": ["gd", "adamm"]}, "optimizer=adamm is not known. Did you mean adam"),
        ({"lr": -1}, "lr=-1 must be a positive number"),
        ({"lr": [0.1, float("nan")]}, "lr=nan must be a positive number"),
        ({"lrr": 1}, "lrr is not a setting. Did you mean lr"),
        ({"optimizer.beta1": 0.5}, "optimizer.beta1 is not a setting of the chosen optimizer, gd."),
        ({"device": "cuda:99"}, "device=cuda:99 is not available"),
        ({"steps": 0}, "steps=0 must be a whole number"),
        ({"lr": []}, "lr"),
    ],
    ids=str,
)
def test_bad_input_is_a_usage_error(asked: dict[str, Any], words: str) -> None:
    """Whatever the command line would refuse raises UsageError with the same line, and leaves no folder."""
    with pytest.raises(gdbench.UsageError) as refusal:
        gdbench.sweep(**asked)

    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)
    assert not Path("outputs").exists()


def test_a_function_needs_a_start() -> None:
    """A function without x0 is refused in words."""
    with pytest.raises(gdbench.UsageError, match="x0"):
        gdbench.run(sphere)


def test_the_folder_comes_with_the_table() -> None:
    """attrs["folder"] is where the sweep lies, for its traces."""
    runs = gdbench.run(lr=0.1, timing="off")
    traces = gdbench.load(runs.attrs["folder"], "traces")

    assert Path(runs.attrs["folder"]).parent.parent == Path("outputs")
    assert set(traces["run_id"]) == set(runs["run_id"])


def test_a_table_says_what_its_columns_mean() -> None:
    """attrs["columns"] has every column, with its unit, and goes along, as it is, through what pandas does."""
    runs = gdbench.run(lr=[0.1, 0.2], timing="off")
    traces = gdbench.load(runs.attrs["folder"], "traces")
    told = runs.attrs["columns"]

    assert list(told) == list(runs)
    assert all(told.values())
    assert told["steps_to_target"].endswith("null: never [steps] (lower is better)")
    assert traces.attrs["columns"]["x"].startswith("iterate x_k, flattened")
    for made in (runs[runs["lr"] > 0.1], runs.assign(more=1), pd.concat([runs, runs]), runs.sort_values("lr").head(1)):
        assert made.attrs["columns"] is told
    runs.drop(columns="overrides").to_parquet("copy.parquet")
    assert pd.read_parquet("copy.parquet").attrs["columns"] == told


@pytest.mark.parametrize("name", ["with space", "a,b", "it's", "(x)", "[z]", "0.5"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    """Paths with spaces, commas, quotes and brackets are paths, not grammar."""
    runs = gdbench.run(lr=0.1, steps=2, timing="off", outputs=tmp_path / name)

    assert Path(runs.attrs["folder"]).is_relative_to(tmp_path / name)


def test_sweeps_follow_each_other_in_one_process() -> None:
    """The second sweep of a process is as the first: same rows, another folder."""
    first, second = (gdbench.sweep(lr=[0.1, 0.2], optimizer=["gd", "adam"], timing="off") for _ in range(2))

    assert first.attrs["folder"] != second.attrs["folder"]
    pd.testing.assert_frame_equal(first[list(EXACT)], second[list(EXACT)])


def test_a_sweep_works_inside_a_hydra_app(tmp_path: Path) -> None:
    """Somebody else's Hydra is neither in the way nor harmed."""
    (tmp_path / "mine.yaml").write_text("mine: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        runs = gdbench.run(lr=0.1, timing="off")

        assert compose("mine").mine == 1
    assert runs["status"].tolist() == ["target"]


def test_a_folder_of_ones_own_works_by_config_dir(own: Path) -> None:
    """config_dir is --config-dir: configurations and code of the user's own."""
    runs = gdbench.sweep("bowl", config_dir=own, optimizer=["sign", "gd"], lr=[0.25, 0.5], timing="off", steps=20)

    assert runs["status"].tolist() == ["target"] * 4
    assert runs["objective.n"].tolist() == [3] * 4


def test_a_function_of_ones_own_has_no_command_that_repeats_it(command: Any) -> None:
    """``show`` does not print a command that would run something else."""
    runs = gdbench.run(sphere, x0=[1.0], steps=2, timing="off")
    done = command("show", runs["run_id"][0])

    assert done.code == 0
    assert "python -m gdbench" not in done.out
    assert "gdbench.run" in done.out


def test_functions_of_other_names_are_other_questions() -> None:
    """A function given from Python is known by its name: another name makes another key."""
    ours = gdbench.run(sphere, x0=[1.0], steps=2, timing="off")["run_id"][0]
    named = gdbench.run(lambda x: (x**2).sum(), x0=[1.0], steps=2, timing="off")["run_id"][0]

    assert ours != named


def test_functions_of_one_name_are_not_one_question(tmp_path: Path) -> None:
    """Two lambdas differ in their key by what they compute; the same one written again does not."""

    def key(function: Callable[[torch.Tensor], torch.Tensor]) -> str:
        return str(gdbench.run(function, x0=[1.0], steps=1, timing="off", outputs=tmp_path)["run_id"][0])

    assert key(lambda x: (x**2).sum()) == key(lambda x: (x**2).sum())
    assert key(lambda x: (x**2).sum()) != key(lambda x: (x**4).sum())
