"""Averaged weights: torch's AveragedModel step for step, in both modes, and a trajectory that stays as it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.tiers import representatives
from support.training import build_training_cell
from torch import Tensor, nn
from torch.optim import swa_utils

import gdbench
from gdbench import Training
from gdbench.engine.cell import Cell
from gdbench.engine.training.functional import read_judged_buffers

INPUTS = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS[:, :3].argmax(1)
STEPS = 9
AVERAGES: dict[str, tuple[list[str], Any, int]] = {
    "ema": (["average=ema", "average.decay=0.8"], {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.8)}, 0),
    "late_ema": (
        ["average=ema", "average.decay=0.8", "average.start=4"],
        {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.8)},
        4,
    ),
    "swa": (["average=swa", "average.start=0"], {"avg_fn": swa_utils.get_swa_avg_fn()}, 0),
    "late_swa": (["average=swa", "average.start=0.5"], {"avg_fn": swa_utils.get_swa_avg_fn()}, 4),
}
"""Words, torch's function, and the step after which the first point is averaged.

For swa its function of several tensors refuses buffers of whole numbers.
"""


pytestmark = pytest.mark.usefixtures("own_folder")


def make_network() -> nn.Module:
    """A network with BatchNorm and Dropout."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def workload() -> Training:
    """A small workload with held-out and test data."""
    return Training(
        module=make_network,
        train=(INPUTS[:64], TARGETS[:64]),
        held_out=(INPUTS[64:80], TARGETS[64:80]),
        test=(INPUTS[80:], TARGETS[80:]),
        batch=16,
    )


def walk(cell: Cell) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers with which a run is judged after each step."""
    method, oracle, x = cell.solo_method(0), cell.oracle(False), cell.start(0)
    state = method.begin(x, False)
    for k in range(cell.steps):
        x, state, _ = method.step(oracle, k, x, state)
        at: Any = {**method.output_at(x, state), **read_judged_buffers(oracle, state)}
        yield {name: leaf.detach().clone() for name, leaf in at.items()}


@pytest.mark.parametrize(
    ("name", "impl"), representatives(list(itertools.product(AVERAGES, ["torch", "manual"])), [("ema", "manual")])
)
def test_averages_are_those_of_torch(name: str, impl: str) -> None:
    """After every step weights and BatchNorm statistics equal AveragedModel's with use_buffers=True."""
    words, function, start = AVERAGES[name]
    given = ("optimizer=adam", f"impl={impl}", "lr=0.02", f"steps={STEPS}")
    module = make_network()
    expected = swa_utils.AveragedModel(module, **function, use_buffers=True)
    plain = walk(build_training_cell(workload(), *given))
    for k, (at, averaged) in enumerate(zip(plain, walk(build_training_cell(workload(), *given, *words)), strict=True)):
        module.load_state_dict(at)
        expected.update_parameters(module)
        if k < start:
            expected.n_averaged.zero_()
        for key, leaf in expected.module.state_dict().items():
            if leaf.is_floating_point():
                torch.testing.assert_close(averaged[key], leaf, rtol=1e-6, atol=1e-7)


def run(**settings: Any) -> Any:
    """The runs of some steps of Adam, judged at every second."""
    given = {"optimizer": "adam", "lr": 0.02, "steps": STEPS, "judge_every": 2, "timing": "off", "trace": "full"}
    return gdbench.run(workload(), **given | settings)


EMA = {"average": "ema", "average.decay": 0.8}


@pytest.mark.parametrize("impl", representatives(["torch", "manual"], ["torch"]))
def test_the_trajectory_stays_as_it_is(impl: str) -> None:
    """The loss of every step's own batch is that without averaging; what is judged is not."""
    plain, averaged = run(impl=impl), run(impl=impl, **EMA)
    traces = [gdbench.load(runs.attrs["folder"], "traces") for runs in (plain, averaged)]

    assert traces[0]["batch.loss"].tolist()[:-1] == traces[1]["batch.loss"].tolist()[:-1]
    assert plain["start_loss"].tolist() == averaged["start_loss"].tolist()
    for column in ("final.train.loss", "final.held_out.loss", "final.test.loss"):
        assert plain[column].iloc[0] != averaged[column].iloc[0]
    assert averaged["average"].iloc[0] == "ema"


@pytest.mark.parametrize("name", representatives(["ema", "late_swa"], ["late_swa"]))
def test_lanes_modules_and_runs_alone_agree(name: str) -> None:
    """Averaged lanes have the metrics of runs alone, and those the metrics of the module."""
    settings = dict(word.split("=") for word in AVERAGES[name][0])
    laned = run(impl="manual", seed=[0, 1, 5], dtype="float64", **settings).sort_values("seed")
    alone = [run(impl=impl, seed=5, dtype="float64", **settings).iloc[0] for impl in ("manual", "torch")]

    assert set(laned["lanes"]) == {3}
    for column in ("final.held_out.loss", "selected.test.loss", "best.train.loss"):
        values = [float(laned[column].iloc[-1]), *(float(row[column]) for row in alone)]
        np.testing.assert_allclose(values, values[0], rtol=1e-9)


@pytest.mark.parametrize("impl", ["manual", "torch", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_function_is_judged_at_the_average(impl: str) -> None:
    """The equal average of all points of gradient descent on a parabola is their mean."""
    given: dict[str, Any] = {"optimizer": "gd", "lr": 0.1, "steps": 4, "timing": "off", "dtype": "float64"}
    done = gdbench.run(
        lambda x: (x**2).sum(), x0=[1.0], impl=impl, **given, average="swa", **{"average.start": 0}
    ).iloc[0]

    assert done["final_loss"] == pytest.approx(np.mean([0.8**k for k in range(1, 5)]) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["average=ema", "average.decay=1.5"], "average.decay=1.5 must be from 0 to 1"),
        (["average=swa", "average.start=2.5"], "average.start=2.5: steps are whole"),
        (["average=lawa"], "average=lawa"),
    ],
    ids=str,
)
def test_wrong_averages_are_one_line(command: Callable[..., Any], words: list[str], message: str) -> None:
    """A wrong number or name ends with code 2."""
    done = command("optimizer=gd", "timing=off", *words)

    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err
