"""Fixtures: sweeps of a training workload and their reports, for all tests of reports on training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import gdbench
from gdbench.report.build import Report, build_report
from gdbench.report.inputs import read_inputs

TARGET = "held_out.accuracy>=0.75"
SHARED: dict[str, Any] = {"device": "cpu", "steps": 20, "judge_every": 4, "timing": "off"}


def share_right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The share of samples whose class has the highest output."""
    return (outputs.argmax(1) == targets).float().mean()


def blobs(*splits: str) -> gdbench.Training:
    """Two noisy clouds, with more features than a few samples determine."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(96) % 2
    inputs = torch.randn(96, 20, generator=generator) + targets[:, None]
    parts = {name: slice(32 * place, 32 * place + 32) for place, name in enumerate(splits)}
    return gdbench.Training(
        module=lambda: torch.nn.Linear(20, 2),
        **{name: (inputs[part], targets[part]) for name, part in parts.items()},
        metrics={"accuracy": share_right, "wrong": lambda *pair: 1 - share_right(*pair)},
        lower_is_better=["wrong"],
        batch=8,
    )


@pytest.fixture(scope="session")
def training_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with a target on a metric, over two methods, three learning rates and three seeds."""
    outputs = tmp_path_factory.mktemp("training")
    axes = {"optimizer": ["gd", "adam"], "lr": [0.01, 0.1, 1.0], "seed": [0, 1, 2]}
    gdbench.sweep(blobs("train", "held_out", "test"), **axes, target_metric=TARGET, outputs=outputs, **SHARED)
    return outputs


@pytest.fixture(scope="session")
def training_report(training_sweep: Path) -> Report:
    """Its report."""
    return build_report(read_inputs([training_sweep]))


@pytest.fixture(scope="session")
def train_only_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of a workload that has training data alone."""
    outputs = tmp_path_factory.mktemp("train-only")
    gdbench.sweep(blobs("train"), optimizer=["gd", "adam"], lr=[0.01, 0.1], seed=[0, 1], outputs=outputs, **SHARED)
    return outputs
