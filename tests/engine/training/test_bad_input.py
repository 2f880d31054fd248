"""Mistakes in a workload of one's own, through the command line: one line, or a row that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

import gdbench
from gdbench.objectives.training_overlap import count_shared

CODE = """
import torch
from gdbench import Training
from torch import nn

INPUTS = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS[:, :3].argmax(1)
PARTS = {"train": (INPUTS[:64], TARGETS[:64]), "held_out": (INPUTS[64:80], TARGETS[64:80])}
LOSS = nn.functional.cross_entropy


def fail(outputs, targets):
    raise RuntimeError("no such class")


MISTAKES = {
    "none": {},
    "vector_loss": {"loss": lambda outputs, targets: LOSS(outputs, targets, reduction="none")},
    "number_loss": {"loss": lambda outputs, targets: 1.0},
    "vector_metric": {"metrics": {"right": lambda outputs, targets: outputs.argmax(1) == targets}},
    "raising_metric": {"metrics": {"right": fail}},
    "nan_metric": {"metrics": {"right": lambda outputs, targets: outputs.sum() * torch.nan}},
    "labels": {"train": (INPUTS[:64], TARGETS[:64] + 1)},
    "held_out_labels": {"held_out": (INPUTS[64:80], TARGETS[64:80] + 1)},
    "empty": {"train": (INPUTS[:0], TARGETS[:0])},
    "empty_loader": {"train": lambda generator: []},
    "float16": {"autocast": "float16"},
    "overlap": {"held_out": (INPUTS[59:80], TARGETS[59:80])},
}


def workload(mistake="none"):
    metrics = {"accuracy": lambda outputs, targets: (outputs.argmax(1) == targets).float().mean()}
    return Training(module=lambda: nn.Linear(6, 3), batch=16, **{**PARTS, "metrics": metrics, **MISTAKES[mistake]})
"""


@pytest.fixture
def run(command: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Carries out a command line with the folder of a workload."""
    (tmp_path / "mine" / "objective").mkdir(parents=True)
    (tmp_path / "mine" / "code_of_mine.py").write_text(CODE)
    (tmp_path / "mine" / "objective" / "wrong.yaml").write_text(
        "# mine\n_target_: code_of_mine.workload\nmistake: none\n"
    )
    given = ("objective=wrong", "optimizer=adam", "impl=torch", "steps=4", "device=cpu", "timing=off", "outputs=out")
    return lambda mistake, *words: command(
        "--config-dir", "mine", *given, f"objective.mistake={mistake}", "--quiet", *words
    )


def read_row(folder: Path) -> pd.Series[Any]:
    """The only row of the only sweep."""
    (file,) = (folder / "out").rglob("runs.parquet")
    return gdbench.load(file.parent).iloc[0]


@pytest.mark.parametrize(
    ("mistake", "words", "message"),
    [
        ("vector_loss", [], "loss=...) returned a tensor of shape [64]; it must return a scalar"),
        ("number_loss", [], "loss=...) returned float; it must return a scalar"),
        ("empty", [], "Training(train=...) is empty: give at least one sample."),
        ("empty_loader", [], "the loader gives no batch"),
        ("none", ["target_metric='held_out.acuracy>=0.9'"], "held_out.acuracy is not a metric of this workload. Did"),
        ("none", ["target_metric='test.accuracy>=0.9'"], "test.accuracy is not a metric of this workload."),
        ("none", ["optimizer.groups={norm:{lr:1}}"], "norm matches none of the 2 parameters"),
        ("none", ["optimizer.groups={bias:{lr:1},vector:{lr:2}}"], "bias and vector both match"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(run: Callable[..., Any], mistake: str, words: list[str], message: str) -> None:
    """What is known before anything runs ends with code 2 and one line."""
    done = run(mistake, *words)

    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err


@pytest.mark.parametrize("impl", ["torch", "manual"])
@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("vector_metric", "metrics={'right': ...}) returned a tensor of shape"),
        ("raising_metric", "no such class"),
        ("labels", "Target 3 is out of bounds."),
        ("held_out_labels", "Target 3 is out of bounds."),
    ],
)
def test_what_the_runs_find_is_in_the_row(
    run: Callable[..., Any], tmp_path: Path, impl: str, mistake: str, error: str
) -> None:
    """A metric that raises or is no number, and labels out of range, fail the row, in one line."""
    done = run(mistake, f"impl={impl}")
    row = read_row(tmp_path)

    assert (done.code, row["status"]) == (1, "failed"), done.err
    assert error in row["error"]
    assert "\n" not in row["error"]


def test_a_metric_that_is_nan_is_null(run: Callable[..., Any], tmp_path: Path) -> None:
    """The run goes on, its metric is missing, and a target on it is not reached."""
    done = run("nan_metric", "target_metric='held_out.right>=0.5'")
    row = read_row(tmp_path)

    assert (done.code, row["status"]) == (0, "budget"), done.err
    assert pd.isna(row["final.held_out.right"])
    assert pd.isna(row["steps_to_target"])


def test_float16_on_a_cpu_is_unavailable(run: Callable[..., Any], tmp_path: Path) -> None:
    """The row says what to use instead."""
    run("float16")
    row = read_row(tmp_path)

    assert row["status"] == "unavailable"
    assert "autocast='bfloat16'" in row["error"]


@pytest.mark.filterwarnings("always::gdbench.objectives.training_overlap.SharedSamples")
def test_held_out_samples_of_the_training_data_are_said(run: Callable[..., Any]) -> None:
    """One line says how many samples are in both; the run is carried out."""
    done = run("overlap")

    assert done.code == 0
    assert done.err.splitlines() == [
        "gdbench: 5 samples of held_out are also in train: what is measured there was seen before; split the data anew."
    ]
    assert run("none").err == ""


INPUTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(20) % 4
WHOLE = TensorDataset(INPUTS, LABELS)


@pytest.mark.parametrize(
    ("source", "other", "shared"),
    [
        ((INPUTS[:12], LABELS[:12]), (INPUTS[9:], LABELS[9:]), 3),
        ((INPUTS[:12], LABELS[:12]), (INPUTS[9:], LABELS[9:] + 1), 0),
        ((INPUTS[:12], LABELS[:12]), (INPUTS[9:].double(), LABELS[9:]), 0),
        (WHOLE, Subset(WHOLE, range(4)), 4),
        (Subset(WHOLE, range(12)), Subset(WHOLE, range(10, 20)), 2),
        ((LABELS, LABELS), (LABELS, LABELS), 0),
        (lambda generator: [], (INPUTS, LABELS), 0),
        ((INPUTS, LABELS), None, 0),
    ],
)
def test_shared_samples_are_counted(source: Any, other: Any, shared: int) -> None:
    """Inputs and targets are compared; a few whole numbers, a loader and what is missing are not."""
    assert count_shared(source, other) == shared


def test_long_samples_are_compared_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part of each sample is hashed, equal samples are all found, and those that differ elsewhere are none."""
    monkeypatch.setattr("gdbench.objectives.training_overlap.MAX_BYTES", 100)
    rows = torch.zeros(9, 64)
    rows[:, 1] = torch.arange(9)

    assert count_shared((rows[:6],), (rows[3:],)) == 3
