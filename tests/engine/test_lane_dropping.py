from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import parabola, small
from support.tiers import representatives
from torch import Tensor

from gdbench.engine.runner import run_cell
from gdbench.optimizers import Hyper, Method, Step, first_order
from gdbench.optimizers.adam import adam
from gdbench.optimizers.line_search import armijo
from gdbench.optimizers.sgd import gd
from gdbench.tree import per_run

FEW_LANES = 128
"""Lanes from which on some may leave, in these tests: as shipped it is many more, and all else is the same."""


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes leave where there are as many as FEW_LANES says here."""
    monkeypatch.setattr("gdbench.engine.observer.MIN_LANES", FEW_LANES)


NOT_COMPARED = ("convergence_pass_s", "lanes", "implementation")


ALL = [(steps, noise) for steps in (1, 7, 8, 9, 40, 300) for noise in (0.0, 0.1)]
FEW = [(7, 0.0), (9, 0.1), (40, 0.1)]


@pytest.mark.parametrize(("steps", "noise"), representatives(ALL, FEW))
@pytest.mark.parametrize("dying", [0.2, 0.3, 0.9, 1.0])
def test_lanes_that_leave_are_told_as_if_they_had_stayed(steps: int, noise: float, dying: float) -> None:
    """However many stop being finite, and whenever, each row is that of a pass in which nobody may leave."""
    count = FEW_LANES + 100
    rates = np.where(np.random.default_rng(0).random(count) < dying, np.geomspace(1e3, 1e12, count), 0.2)
    settings = {"steps": steps, "start_noise": noise, "seeds": np.arange(count), "trace": "full"}
    crowded = run_cell(small(parabola(), gd, lr=rates, **settings))
    alone = [run_cell(small(parabola(), gd, lr=part, **{**settings, "seeds": seeds})) for part, seeds in few(rates)]

    assert (crowded.columns["status"] == "nonfinite").any() == (steps > 20)
    for name in set(crowded.columns) - set(NOT_COMPARED):
        told = np.ma.concatenate([answer.columns[name] for answer in alone]).tolist()
        assert crowded.columns[name].tolist() == pytest.approx(told, nan_ok=True) if is_number(told) else told
    for name in ("loss", "gap", "grad_norm", "step"):
        traced = np.concatenate([answer.traces[name] for answer in alone])
        np.testing.assert_array_equal(crowded.traces[name], traced)


def few(rates: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same runs in cells so small that nobody leaves."""
    parts = np.array_split(np.arange(len(rates)), 1 + 2 * len(rates) // FEW_LANES)
    return [(rates[part], part) for part in parts]


def is_number(values: list) -> bool:
    """Whether a column is of numbers."""
    return all(isinstance(each, (int, float)) for each in values if each is not None) and None not in values


@dataclass(frozen=True)
class Held:
    """A state in a dataclass."""

    velocity: Tensor


class Opaque:
    """A state that nothing can take apart."""

    def __init__(self, velocity: Tensor) -> None:
        self.velocity = velocity


def heavy_ball(kind: Callable[[Tensor], Any], lr: Hyper) -> Method:
    """Momentum whose velocity is held by an object."""

    def update(k: Step, grad: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        velocity = 0.9 * state.velocity - per_run(lr, x) * grad
        return x + velocity, kind(velocity)

    return first_order(lambda x: kind(torch.zeros_like(x)), update)


@pytest.mark.parametrize(
    ("method", "steps"),
    [(adam, 60), (armijo, 60), (partial(heavy_ball, Held), 60), (partial(heavy_ball, Opaque), 4)],  # it runs alone
)
def test_state_and_counts_stay_with_their_lanes(method: object, steps: int) -> None:
    """A method's state goes on where the lanes that left made room, and the work of each lane is its own."""
    rates = np.tile([1e300, 0.01, 1e300, 0.1], FEW_LANES // 2)
    objective = parabola(fn=lambda x: x**4)
    together = run_cell(small(objective, method, lr=rates, steps=steps)).columns
    alone = [run_cell(small(objective, method, lr=rate, steps=steps)).columns for rate in rates[:4]]

    for name in (
        "status",
        "final_loss",
        "gradient_evals",
        "function_evals",
        "steps_to_target",
        "steps_to_settle",
        "best_step",
        "status_step",
    ):
        told = [column[name].tolist()[0] for column in alone]
        assert together[name].tolist()[:4] == together[name].tolist()[-4:]
        assert together[name].tolist()[:4] == (pytest.approx(told, nan_ok=True) if is_number(told) else told)
