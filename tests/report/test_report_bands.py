from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import gdbench
from gdbench.report.build import Report, build_report
from gdbench.report.inputs import read_inputs


def raised_bowl(point: torch.Tensor) -> torch.Tensor:
    """A sphere whose minimum nobody is told."""
    return (point * point).sum() + 0.5


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of an own function, its minimum unknown, over seeds and learning rates."""
    objective = gdbench.Objective(fn=raised_bowl, start=torch.tensor([3.0, 4.0]))
    outputs = tmp_path_factory.mktemp("outputs")
    shared = {"outputs": outputs, "device": "cpu", "steps": 20, "timing": "off", "start_noise": 0.5}
    gdbench.sweep(objective, optimizer=["gd", "adam"], lr=[0.01, 0.1], seed=[0, 1, 2, 3], **shared)
    return outputs


@pytest.fixture(scope="module")
def report(sweep: Path) -> Report:
    """Its report."""
    return build_report(read_inputs([sweep]))


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("convergence-steps", "lo", "hi"), ("sensitivity-loss", "final_loss_lo", "final_loss_hi")],
)
def test_losses_have_bands_over_seeds(report: Report, name: str, lowest: str, highest: str) -> None:
    """Where the minimum is unknown the losses are drawn with a band over the seeds, and the rule says which."""
    figure = next(figure for figure in report.figures if figure.name == name)
    assert figure.chart is not None
    rows = figure.chart.datasets["table"]
    middle = {"lo": "gap", "final_loss_lo": "final_loss"}[lowest]

    assert all(row[lowest] <= row[middle] <= row[highest] for row in rows)
    assert any(row[lowest] < row[highest] for row in rows)
    bands = [layer for layer in figure.chart.chart["layer"] if layer["mark"]["type"] == "area"]
    assert [(band["encoding"]["y"]["field"], band["encoding"]["y2"]["field"]) for band in bands] == [(lowest, highest)]
    assert "; band: " in figure.rule


def test_a_figure_of_losses_is_called_one(report: Report) -> None:
    """Without a gap no title and no rule speaks of one that is drawn."""
    figure = next(figure for figure in report.figures if figure.name == "convergence-steps")

    assert figure.title == "Loss against steps"
    assert "Gaps" not in figure.rule
    assert "minimum is unknown" in figure.rule


def test_a_notebook_has_the_same_bands(sweep: Path) -> None:
    """``gdbench.plot.convergence`` draws the quartiles of the losses over the seeds."""
    folder = next(sweep.glob("*/*"))
    drawn = gdbench.plot.convergence(gdbench.load(folder), gdbench.load(folder, "traces"))
    rows = drawn.to_dict(validate=False)["datasets"]["table"]
    widths = np.array([row["hi"] - row["lo"] for row in rows])

    assert {row["y"] for row in rows} == {"loss"}
    assert (widths >= 0).all()
    assert (widths > 0).any()
