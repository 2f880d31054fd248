"""Metrics of training runs where values are missing: NaN metrics, runs and lanes that are no longer finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import gdbench
from gdbench import Training
from gdbench.config.target_metric import TargetMetric
from gdbench.engine import observer

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(160, 6, generator=GENERATOR)
TARGETS = INPUTS[:, :3].argmax(1)
HUGE = 1e38
"""A learning rate after whose first step nothing is finite."""


pytestmark = pytest.mark.usefixtures("own_folder")


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of targets that are the largest of the outputs."""
    return (outputs.argmax(-1) == targets).float().mean()


def workload(metric: Callable[[Tensor, Tensor], Tensor] = accuracy, **more: Any) -> Training:
    """A small workload with a metric of which the highest value selects a step."""
    return Training(
        **{
            "module": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
            "train": (INPUTS[:80], TARGETS[:80]),
            "held_out": (INPUTS[80:120], TARGETS[80:120]),
            "test": (INPUTS[120:], TARGETS[120:]),
            "metrics": {"accuracy": metric},
            "selection": "accuracy",
            "batch": 16,
            **more,
        }
    )


def run(training: Training, **settings: Any) -> pd.DataFrame:
    """The runs of gradient descent, untimed and traced at every judged step."""
    given = {"optimizer": "gd", "impl": "manual", "lr": 0.5, "steps": 12, "judge_every": 2}
    return gdbench.run(training, **given | {"timing": "off", "trace": "full"} | settings)


@pytest.mark.parametrize("impl", ["manual", "torch"])
def test_what_is_not_finite_has_no_metrics(impl: str) -> None:
    """Where the train loss is not finite no metric is best, hits a target or selects a step: NaN has a rank too."""
    row = run(workload(), impl=impl, lr=HUGE, target_metric="held_out.accuracy>=0 & train.loss>=0").iloc[0]

    assert row["status"] == "nonfinite"
    assert (row["selected_step"], row["steps_to_target"]) == (0, 0)
    assert row[["final.held_out.accuracy", "final.test.accuracy"]].isna().all()
    assert row["best.held_out.accuracy"] == gdbench.load(row_folder(row), "traces")["held_out.accuracy"].iloc[0]


def row_folder(row: pd.Series) -> str:
    """The folder of the sweep that a run is of."""
    return str(Path("outputs") / row["sweep"])


@pytest.mark.slow
def test_dropped_lanes_keep_the_step_that_was_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes that are dropped once they are not finite have the metrics that they have alone."""
    monkeypatch.setattr(observer, "MIN_LANES", 2)
    laned = run(workload(), lr=[0.3, 0.5, HUGE, 2 * HUGE, 3 * HUGE])

    assert (laned["lanes"] == 5).all()
    for _, row in laned.iterrows():
        alone = run(workload(), lr=row["lr"]).iloc[0]
        for name in [name for name in laned if name.startswith(("final.", "best.", "selected"))]:
            expected = np.nan if pd.isna(alone[name]) else alone[name]
            assert (np.nan if pd.isna(row[name]) else row[name]) == pytest.approx(expected, rel=1e-4, nan_ok=True), name


def nan_at_first(outputs: Tensor, targets: Tensor) -> Tensor:
    """The accuracy; NaN while it is as low as at the start."""
    value = accuracy(outputs, targets)
    return torch.where(value < 0.6, torch.nan, value)


def test_a_score_that_is_nan_at_first_selects_a_later_step() -> None:
    """The selected step is that of the best finite score."""
    row = run(workload(nan_at_first), steps=60).iloc[0]
    trace = gdbench.load(row_folder(row), "traces").set_index("step")["held_out.accuracy"]

    assert np.isnan(trace.loc[0])
    assert row["selected_step"] == trace.idxmax()


def test_a_score_that_is_never_finite_selects_no_step() -> None:
    """Selected step and test metrics are null."""
    row = run(workload(lambda outputs, targets: outputs.sum() * torch.nan)).iloc[0]

    assert row[["selected_step", "selected.test.loss", "best.held_out.accuracy"]].isna().all()
    assert row["final.test.loss"] > 0


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_work_to_a_metric_is_that_of_a_run_which_ends_there(optimizer: str) -> None:
    """Gradients and evaluations to a target metric are those of a run of as many steps."""
    given: dict[str, Any] = {"optimizer": optimizer, "impl": "torch", "lr": 0.1, "judge_every": 3}
    row = run(workload(), **given, steps=30, target_metric="train.loss<=0.9").iloc[0]
    short = run(workload(), **given, steps=int(row["steps_to_target"])).iloc[0]

    assert 0 < row["steps_to_target"] < 30
    assert row["gradient_evals_to_target"] == short["gradient_evals"]
    assert row["function_evals_to_target"] == short["function_evals"]


def test_targets_that_differ_are_written_differently() -> None:
    """All digits of a target's number are written, and a whole number without a point."""
    assert str(TargetMetric.parse("train.loss <= 0.12345678&held_out.loss<=2.0")) == (
        "train.loss<=0.12345678 & held_out.loss<=2"
    )


@pytest.mark.parametrize("number", ["nan", "inf", "high"])
def test_a_target_needs_a_number(number: str) -> None:
    """A target that nothing or anything reaches is refused."""
    with pytest.raises(gdbench.UsageError, match="is not a condition"):
        TargetMetric.parse(f"train.loss<={number}")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"metrics": {"loss": accuracy}, "selection": "loss"}, "the loss is judged already"),
        ({"judged": 0}, "Training(judged=0) must be a whole number of at least 1"),
        ({"judged": 2.5}, "Training(judged=2.5) must be"),
    ],
)
def test_wrong_arguments_are_refused(more: dict[str, Any], words: str) -> None:
    """A metric in the place of the loss and a wrong number of judged samples are one line each."""
    with pytest.raises(gdbench.UsageError) as refused:
        workload(**more)

    assert words in str(refused.value)
