from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.folding import folded

import gdbench
from gdbench.sweeps.executor import execute
from gdbench.sweeps.job import Job
from gdbench.sweeps.job_runner import run_job
from gdbench.sweeps.progress import Silent
from gdbench.sweeps.sweep_spec import SweepSpec


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("lr=0.1,0.2", "sweep"),
        ("optimizer=gd,adam", "sweep"),
        ("lr=tag(log,interval(0.1,0.2)) points=2", "sweep"),
        ("experiment=gd_rate", "sweep"),
        ("-m lr=0.1", "sweep"),
        ("lr=0.1", "run"),
        ("lr=[0.1,0.2]", "run"),
        ("outputs=\\'a,b\\'", "run"),
        ("experiment=edge_of_stability objective=notebook_manual lr=0.2", "run"),
        ("hydra.mode=MULTIRUN lr=0.1", "sweep"),
    ],
    ids=lambda value: value.replace(" ", "_"),
)
def test_several_values_make_a_sweep_without_m(command: Callable[..., Any], words: str, name: str) -> None:
    """Commas, intervals and an experiment's axes are a sweep; a list, a quoted comma or a replaced axis is one run."""
    done = command(*shlex.split(words), "steps=2", "timing=off", "--quiet")
    (folder,) = Path.cwd().glob("*/*/*")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert folder.name.endswith(f"_{name}")
