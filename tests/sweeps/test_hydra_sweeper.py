from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.folding import folded

import gdbench
from gdbench.errors import UsageError
from gdbench.sweeps.executor import execute
from gdbench.sweeps.job import run_job
from gdbench.sweeps.job_spec import Job
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.sweep_spec import SweepSpec


def lanes(job: Job) -> dict[str, list[float]]:
    """The axes of a cell that hold several values, or one that was given."""
    return {axis.name: axis.values.tolist() for axis in job.spec.axes if axis.name in job.spec.swept_axes()}


# -------------------------------------------------------------------------------------------------------- folding


@pytest.mark.parametrize(
    ("overrides", "cells", "swept"),
    [
        ([], 1, {}),
        (["lr=0.1"], 1, {}),
        (["lr=0.1,0.2"], 1, {"lr": [0.1, 0.2]}),
        (["lr=[0.1,0.2]"], 1, {"lr": [0.1, 0.2]}),
        (["lr=choice(0.1,0.2)"], 1, {"lr": [0.1, 0.2]}),
        (["lr=range(1,4)"], 1, {"lr": [1, 2, 3]}),
        (["lr=interval(1,2)", "points=3"], 1, {"lr": [1, 1.5, 2]}),
        (["lr=tag(log,interval(1,100))", "points=3"], 1, {"lr": [1, 10, 100]}),
        (["seed=0,1,2"], 1, {"seed": [0, 1, 2]}),
        (["seed=range(0,3)"], 1, {"seed": [0, 1, 2]}),
        (["lr=null", "lr_scale=1,2"], 1, {"lr_scale": [1, 2]}),
        (["lr=0.1,0.2", "seed=0,1"], 1, {"lr": [0.1, 0.2], "seed": [0, 1]}),
        (["optimizer=adam", "optimizer.beta1=0,0.9"], 1, {"optimizer.beta1": [0, 0.9]}),
        (["optimizer=adam", "optimizer.eps=interval(1,2)", "points=2"], 1, {"optimizer.eps": [1, 2]}),
        (["optimizer=adam", "optimizer.amsgrad=true,false"], 2, {}),
        (["optimizer=lbfgs", "impl=torch", "optimizer.history_size=5,10"], 2, {}),
        (["optimizer=gd,adam", "impl=manual,torch", "lr=0.01,0.1"], 4, {"lr": [0.01, 0.1]}),
        (["objective=rosenbrock", "objective.n=2,3"], 2, {}),
        (["objective=quadratic", "objective.condition=10.0,100.0"], 2, {}),
        (["steps=10,20"], 2, {}),
        (["dtype=float32,float64", "device=cpu"], 2, {}),
        (["target=1e-3,1e-6", "lr=0.1,0.2"], 2, {"lr": [0.1, 0.2]}),
        (["start_noise=0.0,1.0"], 2, {}),
        (["lr=null,0.1"], 2, {}),
        (["optimizer=glob(adam*)"], 3, {}),
        (["timing=off,quick"], 2, {}),
    ],
)
def test_commas_over_numbers_are_lanes_and_all_else_makes_cells(
    overrides: list[str], cells: int, swept: dict[str, list[float]]
) -> None:
    """lr, lr_scale, seed and floats of the optimizer become lanes of each cell; every other axis multiplies cells."""
    jobs = folded(*overrides)

    assert len(jobs) == cells
    assert [lanes(job) for job in jobs] == [swept] * cells
    assert [job.cell for job in jobs] == list(range(cells))


def test_cells_are_the_product_in_the_order_given() -> None:
    """The last axis varies fastest, as in Hydra."""
    told = [(job.spec.optimizer, job.spec.impl) for job in folded("optimizer=gd,adam", "impl=manual,torch")]

    assert told == [("gd", "manual"), ("gd", "torch"), ("adam", "manual"), ("adam", "torch")]


def test_an_axis_travels_as_a_specification() -> None:
    """A thousand values are a few words in the overrides and in the configuration of a cell."""
    (job,) = folded("lr=tag(log,interval(1e-4,1))", "points=1000")

    assert job.spec.size == 1000
    assert sum(map(len, job.overrides)) < 100
    assert job.config["lr"] == "tag(log,interval(0.0001,1.0))"


def test_a_float_of_one_method_that_is_none_of_another_makes_cells() -> None:
    """Where a swept parameter is no float to every method of the sweep, it makes cells for all of them."""
    jobs = folded("optimizer=adam", "+optimizer.mine=1,2")

    assert [job.config["optimizer"]["mine"] for job in jobs] == [1, 2]


def test_the_last_word_on_a_key_holds() -> None:
    """A key given twice has its last value, also where one of the two was a sweep."""
    assert [lanes(job) for job in folded("lr=0.1,0.2", "lr=0.5")] == [{}]
    assert [lanes(job) for job in folded("lr=0.5", "lr=0.1,0.2")] == [{"lr": [0.1, 0.2]}]


def test_a_shuffled_axis_keeps_its_values() -> None:
    """What Hydra would shuffle still is run in full."""
    jobs = folded("lr=shuffle(0.1,0.2,0.3)")

    assert sorted(value for job in jobs for value in job.spec.lanes()["lr"]) == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("overrides", [["steps=10,0"], ["lr=0.1,-1", "optimizer=gd,adam"], ["objective=glob(xyz)"]])
def test_a_bad_cell_is_found_while_folding(overrides: list[str]) -> None:
    """No question that cannot be asked leaves the folding."""
    with pytest.raises(UsageError):
        folded(*overrides)


# -------------------------------------------------------------------------------------------------- sweeps that run


def test_the_experiment_of_the_notebook_declares_its_sweep(command: Callable[..., Any]) -> None:
    """experiment=notebook -m runs five objectives by two implementations, every step recorded."""
    assert command("-m", "experiment=notebook", "--quiet").code == 0
    runs = gdbench.load()

    assert runs.groupby(["objective", "impl"]).ngroups == 10
    assert runs["impl"].unique().tolist() == ["manual", "torch"]
    assert gdbench.load(table="traces").groupby("run_id").size().max() == 101


def test_the_command_line_wins_over_the_experiment(command: Callable[..., Any]) -> None:
    """A declared axis is replaced by what is given."""
    assert command("-m", "experiment=notebook", "objective=notebook_sgd", "steps=3", "--quiet").code == 0
    runs = gdbench.load()

    assert runs["objective"].unique().tolist() == ["notebook_sgd"]
    assert runs["steps"].unique().tolist() == [3]


def test_a_laned_run_has_the_key_and_the_numbers_of_the_run_alone(command: Callable[..., Any]) -> None:
    """Sixteen runs in lanes are the sixteen runs made one by one: the same keys, statuses and hits."""
    words = ["objective=rosenbrock", "optimizer=momentum", "steps=40", "timing=off", "--quiet", "dtype=float64"]
    values = [(lr, momentum) for lr in ("1e-4", "1e-3") for momentum in ("0", "0.9")]
    assert command("-m", *words, "lr=1e-4,1e-3", "optimizer.momentum=0,0.9", "outputs=lanes").code == 0
    for lr, momentum in values:
        assert command(*words, f"lr={lr}", f"optimizer.momentum={momentum}", "outputs=solo").code == 0
    laned, solo = (gdbench.load(place).set_index("run_id") for place in ("lanes", "solo"))
    exact = [
        "status",
        "steps",
        "lr",
        "optimizer.momentum",
        "steps_to_target",
        "hit_1e-01",
        "gradient_evals",
        "status_step",
    ]

    assert laned["lanes"].unique().tolist() == [4]
    assert solo["lanes"].unique().tolist() == [1]
    pd.testing.assert_frame_equal(laned[exact].sort_index(), solo[exact].sort_index(), check_dtype=False)
    assert laned["final_loss"].to_numpy() == pytest.approx(solo.loc[laned.index, "final_loss"].to_numpy(), rel=1e-12)


def test_a_cell_that_a_launcher_lost_becomes_failed_rows(tmp_path: Path) -> None:
    """Whatever became of a job, each run that was asked for is a row: what left no part has failed, and says so."""
    jobs = folded("optimizer=gd,adam", "lr=0.1,0.2", "steps=3", "timing=off", f"outputs={tmp_path}")

    def loses_the_second(given: Sequence[Job], folder: Path, meanwhile: Callable[[], None]) -> dict[int, str]:
        run_job(given[0], folder)
        return {1: "the machine went away"}

    runs = gdbench.load(execute(SweepSpec(), jobs, Silent(), loses_the_second).folder)
    whole = gdbench.load(execute(SweepSpec(), jobs, Silent()).folder)

    assert runs["status"].tolist() == ["budget", "budget", "failed", "failed"]
    assert runs["error"].tolist()[2:] == ["the machine went away"] * 2
    assert runs["run_id"].tolist() == whole["run_id"].tolist()


def test_a_sweep_keeps_what_repeats_it(command: Callable[..., Any]) -> None:
    """The folder holds the tables, the environment, the overrides as they came and each cell's configuration."""
    command("-m", "optimizer=gd,adam", "lr=0.1,0.2", "timing=off", "--quiet")
    (folder,) = Path("outputs").glob("*/*")

    # A tree with changes leaves its diff too; tests/engine/test_environment.py tells of it.
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".diff")
    assert {file.relative_to(folder).as_posix() for file in files} == {
        "runs.parquet",
        "traces.parquet",
        "environment.json",
        ".hydra/lock",
        ".hydra/overrides.yaml",
        ".hydra/cells.json",
        ".hydra/command.json",
        ".hydra/cell-00000.yaml",
        ".hydra/cell-00001.yaml",
    }


def test_no_log_and_no_folder_of_hydra_is_left(command: Callable[..., Any]) -> None:
    """Nothing is written beside the sweep's own folder."""
    command("lr=0.1", "timing=off", "--quiet")
    command("-m", "lr=0.1,0.2", "timing=off", "--quiet")

    assert [path.name for path in Path().iterdir()] == ["outputs"]
    assert len(list(Path().glob("outputs/*/*"))) == 2
