"""Laws of the shipped training workloads: lanes equal single runs, seeds decide all, and training lowers the loss."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

import gdbench
from gdbench.objectives.training import Training
from gdbench.objectives.training_data import list_tensors
from gdbench.objectives.training_objective import build_training_objective
from tests.support.laws import WORKLOADS, target
from tests.support.tiers import representatives

torch.set_num_threads(1)
FAST = ("digits_mlp",)
"""A workload with BatchNorm and Dropout."""
QUICK: dict[str, Any] = {
    "optimizer": "adam",
    "lr": 0.003,
    "timing": "off",
    "trace": "full",
    "judge_every": 3,
    "steps": 6,
}
METRICS = (
    "final_loss",
    "best_loss",
    "start_loss",
    "final.held_out.loss",
    "final.test.loss",
    "selected.test.loss",
    "grad_norm",
)


pytestmark = pytest.mark.usefixtures("own_folder")


def test_workloads_are_there() -> None:
    """The shipped workloads are those of the documentation."""
    assert len(WORKLOADS) >= 11


@pytest.mark.parametrize("name", representatives(WORKLOADS, FAST))
def test_lanes_are_runs_alone(name: str) -> None:
    """Seeds as lanes of one program, with Dropout, buffers and batches of their own, equal runs that are alone."""
    laned = gdbench.run(name, **QUICK, seed=[0, 1, 5])
    for _, run in laned.iterrows():
        alone = gdbench.run(name, **QUICK, seed=int(run["seed"])).iloc[0]

        assert run["lanes"] == 3
        assert alone["lanes"] == 1
        assert run["run_id"] == alone["run_id"]
        for column in METRICS:
            assert run[column] == pytest.approx(alone[column], rel=1e-4), column


@pytest.mark.parametrize("name", representatives(WORKLOADS, FAST))
def test_a_run_repeats_and_its_seed_matters(name: str) -> None:
    """The same seed gives the same bits, another seed another run."""
    first, again, other = (gdbench.run(name, **QUICK, seed=seed).iloc[0] for seed in (0, 0, 1))

    assert first["deterministic"]
    assert [first[column] for column in METRICS] == [again[column] for column in METRICS]
    assert first["final_loss"] != other["final_loss"]


@pytest.mark.parametrize("name", representatives(WORKLOADS, FAST))
def test_training_lowers_the_loss(name: str) -> None:
    """Adam brings the train loss of every workload well below that of the start within 60 steps."""
    run = gdbench.run(name, **{**QUICK, "steps": 60, "judge_every": 20, "lr": 0.01, "trace": "none"}).iloc[0]

    assert run["status"] in ("budget", "plateau", "target")
    assert run["final_loss"] < 0.98 * run["start_loss"]


def shipped(name: str) -> Training:
    """A workload at its defaults."""
    made: Training = target({"_target_": f"gdbench.objectives.{name}"})()
    return made


@pytest.mark.parametrize("name", representatives(WORKLOADS, FAST))
def test_splits_share_no_sample(name: str) -> None:
    """Training, held-out and test data are parts of one set, without a sample in two of them."""
    data = build_training_objective(shipped(name)).data
    sizes = [len(data[f"{split}.0"]) for split in ("train", "held_out", "test")]
    rows = [
        tuple(torch.cat([part[m].double().flatten() for part in list_tensors(data, split)]).tolist())
        for split, size in zip(("train", "held_out", "test"), sizes, strict=True)
        for m in range(0, size, 7)
    ]
    repeats = len(rows) - len(set(rows))

    assert min(sizes) > 0
    assert repeats == 0 or name in ("zipf_bigram", "zipf_ratings")  # a draw may be drawn again


def test_metrics_of_a_run_are_its_trace() -> None:
    """Last and best values of the metrics, the selected step and the target's step are those of the trace."""
    given: dict[str, Any] = {**QUICK, "steps": 60, "judge_every": 7, "lr": 0.01}
    run = gdbench.run("digits_mlp", **given, target_metric="held_out.accuracy>=0.6 & train.loss<=1.5")
    trace = gdbench.load(run.attrs["folder"], "traces").set_index("step")
    row = run.iloc[0]
    reached = trace[(trace["held_out.accuracy"] >= 0.6) & (trace["train.loss"] <= 1.5)].index

    assert trace.index.tolist() == [*range(0, 60, 7), 60]
    assert row["final.held_out.accuracy"] == trace["held_out.accuracy"].iloc[-1]
    assert row["best.held_out.accuracy"] == trace["held_out.accuracy"].max()
    assert row["best.held_out.loss"] == trace["held_out.loss"].min()
    assert row["selected_step"] == trace["held_out.loss"].idxmin()
    assert row["final_loss"] == pytest.approx(trace["train.loss"].iloc[-1])
    assert row["steps_to_target"] == reached[0]
    assert row["gradient_evals_to_target"] == reached[0]
    assert row["status"] == "target"
    assert pd.isna(trace["batch.loss"].iloc[-1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target_metric": "held_out.acuracy>=0.9"}, "Did you mean held_out.accuracy?"),
        ({"target_metric": "accurate"}, "is not a condition"),
        ({"target_metric": "held_out.loss<=1", "target_loss": 1.0}, "are two targets"),
        ({"judge_every": 0}, "judge_every=0"),
        ({"judge_every": "often"}, "judge_every=often"),
    ],
)
def test_wrong_targets_are_refused(settings: dict[str, Any], words: str) -> None:
    """A target on a metric that is not there, two targets and a wrong interval are one line each."""
    with pytest.raises(gdbench.UsageError) as refused:
        gdbench.run("digits_mlp", **QUICK | settings)

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_target_on_a_metric_of_a_function_is_refused() -> None:
    """A function has no metrics."""
    with pytest.raises(gdbench.UsageError, match="for training workloads"):
        gdbench.run("quadratic", target_metric="held_out.loss<=1", timing="off")
