from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import gdbench
from gdbench.results.columns import COLUMNS

pytestmark = pytest.mark.usefixtures("own_folder")


def sweep(*objective: Any, **asked: Any) -> Any:
    """A sweep on the CPU that is not timed."""
    return gdbench.sweep(*objective, **{"timing": "off", "device": "cpu", **asked})


def test_every_run_asked_for_is_a_row() -> None:
    """Twelve runs are twelve rows with twelve keys, each with a status of the list."""
    runs = sweep(optimizer=["gd", "lbfgs"], impl=["manual", "torch"], lr=[0.1, 1e10, 0.3], steps=20)

    assert len(runs) == 12
    assert runs["run_id"].is_unique
    assert set(runs["status"]) <= set(COLUMNS["status"].meaning.partition(", in")[0].replace(" or ", ", ").split(", "))
    assert runs["status"].notna().all()


def test_rows_tell_their_question() -> None:
    """What was asked stands in each row, resolved: dtype, device, lr, and every parameter of its groups."""
    row = sweep("rosenbrock", optimizer="adam", lr=[None], steps=3, seed=4, threads=1).iloc[0]

    assert row[["objective", "optimizer", "impl", "dtype", "device"]].tolist() == [
        "rosenbrock",
        "adam",
        "manual",
        "float32",
        "cpu",
    ]
    assert row[["lr", "steps", "seed", "objective.n", "optimizer.beta2"]].tolist() == [0.001, 3, 4, 2, 0.999]
    assert not [name for name in row.index if name.endswith(("_target_", ".manual", ".torch", ".default_lr"))]
    assert gdbench.load(f"outputs/{row['sweep']}")["run_id"].tolist() == [row["run_id"]]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        pytest.param({"lr": 0.1}, {"lr": [0.1]}, True, marks=pytest.mark.slow),
        ({"lr": 0.1}, {"lr": [0.2, 0.1]}, True),
        pytest.param({"lr": 0.1}, {"lr": "0.1"}, True, marks=pytest.mark.slow),
        pytest.param({"lr": 0.001}, {"lr": None}, True, marks=pytest.mark.slow),
        pytest.param({"lr": 0.002}, {"lr": None, "lr_scale": 2}, True, marks=pytest.mark.slow),
        ({"lr": 0.5}, {"lr": None, "lr_scale_of": "L"}, True),
        pytest.param({"dtype": "auto"}, {"dtype": "float32"}, True, marks=pytest.mark.slow),
        pytest.param({"steps": 10}, {"steps": 10.0}, True, marks=pytest.mark.slow),
        pytest.param({"target": 0}, {"target": 0.0}, True, marks=pytest.mark.slow),
        ({"optimizer": "adam", "optimizer.beta1": 0}, {"optimizer": "adam", "optimizer.beta1": [0.0, 0.9]}, True),
        pytest.param({"timing": "off"}, {"timing.seconds": 0.0}, True, marks=pytest.mark.slow),
        ({"trace": "log"}, {"trace": "none", "name": "other", "outputs": "other"}, True),
        ({"lr": 0.1}, {"lr": 0.10000000000000002}, False),
        pytest.param({"steps": 10}, {"steps": 11}, False, marks=pytest.mark.slow),
        pytest.param({"seed": 0}, {"seed": 1}, False, marks=pytest.mark.slow),
        ({"impl": "manual"}, {"impl": "torch"}, False),
        pytest.param({"dtype": "float32"}, {"dtype": "float64"}, False, marks=pytest.mark.slow),
        pytest.param({"target": 1e-6}, {"target": 1e-5}, False, marks=pytest.mark.slow),
        pytest.param({"target_loss": None}, {"target_loss": 0.0}, False, marks=pytest.mark.slow),
        pytest.param({"start_noise": 0.0}, {"start_noise": 0.1}, False, marks=pytest.mark.slow),
        ({"optimizer": "adam"}, {"optimizer": "adam", "optimizer.amsgrad": True}, False),
        pytest.param(
            {"optimizer": "gd"}, {"optimizer": "momentum", "optimizer.momentum": 0.0}, False, marks=pytest.mark.slow
        ),
        pytest.param({"objective": "notebook_manual"}, {"objective": "notebook_sgd"}, False, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_equal_questions_have_equal_keys(first: dict[str, Any], second: dict[str, Any], same: bool) -> None:
    """A key depends on what is asked of whom, however it was asked; not on where it is kept or how it is timed."""
    keys = [set(sweep(**{"steps": 2, **asked})["run_id"]) for asked in (first, second)]

    assert bool(keys[0] & keys[1]) == same


def test_a_run_that_could_not_be_had_keeps_its_key() -> None:
    """Unavailable rows resolve lr and device as runs do, so that the key is that of the machine that has it."""
    tables = [
        sweep(optimizer=["lbfgs", "gd"], device=[device, "cpu"], lr=lr)
        for device in ("cuda", "cuda:0")
        for lr in (1.0, None)
    ]
    unavailable = pd.concat(tables).query("optimizer == 'lbfgs' and device != 'cpu'")

    assert len(unavailable) == len(tables)
    assert unavailable["run_id"].nunique() == 1


def test_equal_seeds_are_equal_runs_and_other_seeds_others() -> None:
    """A seed decides its run, in lanes as alone; where it changes nothing, its rows say so and are equal."""
    noisy = sweep("rosenbrock", lr=1e-4, seed=[0, 1, 2], start_noise=0.1, steps=5, dtype="float64")
    alone = sweep("rosenbrock", lr=1e-4, seed=1, start_noise=0.1, steps=5, dtype="float64")
    same = sweep("rosenbrock", lr=1e-4, seed=[0, 1, 2], steps=5)

    assert noisy["final_loss"].nunique() == 3
    assert noisy["final_loss"][1] == pytest.approx(alone["final_loss"][0], rel=1e-12)
    assert noisy["start_loss"][1] == alone["start_loss"][0]
    assert noisy["seed_used"].tolist() == [True] * 3
    assert same["final_loss"].nunique() == 1
    assert same["seed_used"].tolist() == [False] * 3


def test_a_run_that_raises_late_fails_alone() -> None:
    """Of runs carried one by one, the one whose objective raises has failed; the others have their results."""

    def fussy(x: torch.Tensor) -> torch.Tensor:
        if x.abs().max().item() > 100:
            raise ArithmeticError("too far")
        return (x**2).sum()

    runs = sweep(fussy, x0=[1.0, 2.0], lr=[0.1, 5.0], steps=20)

    assert runs["status"].tolist()[1] == "failed"
    assert runs["error"].tolist()[1] == "ArithmeticError: too far"
    assert runs["final_loss"][0] < 1e-2
    assert "vmap refuses" in runs["implementation"][0]


def test_threads_are_those_asked_for() -> None:
    """A cell runs on the threads that it asks for, and says so."""
    seen = []

    def looks(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return (x**2).sum()

    try:
        runs = sweep(looks, x0=[1.0], threads=2, steps=2)
    finally:
        torch.set_num_threads(1)

    assert seen[-1] == 2
    assert runs["threads"].tolist() == [2]


def test_records_are_as_fine_as_asked() -> None:
    """trace=full keeps every step, log the start, ten a decade and the end, none nothing."""
    lengths = {}
    for trace in ("full", "log"):
        runs = sweep(lr=0.1, steps=100, trace=trace)
        traces = gdbench.load(runs.attrs["folder"], "traces")
        lengths[trace] = len(traces)
        assert traces["step"].iloc[[0, -1]].tolist() == [0, 100]
        assert traces["step"].is_monotonic_increasing
    folder = sweep(lr=0.1, trace="none").attrs["folder"]

    assert lengths["full"] == 101
    assert 15 <= lengths["log"] <= 25
    assert gdbench.load(folder, "traces").empty


def test_timed_rows_have_blocks() -> None:
    """What was timed has its raw blocks on disk, whose median is the step time; what was not is marked."""
    runs = gdbench.sweep(lr=[0.1, 0.4], device="cpu", steps=50, **{"timing.seconds": 0.05})
    blocks = gdbench.load(runs.attrs["folder"], "blocks")
    timed = runs[runs["timed"]]

    assert len(timed) >= 1
    assert set(blocks["run_id"]) == set(timed["run_id"])
    for _, row in timed.iterrows():
        assert row["step_s"] == pytest.approx(np.median(blocks.loc[blocks["run_id"] == row["run_id"], "step_s"]))
    assert runs["step_s"].notna().all()
