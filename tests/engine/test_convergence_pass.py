from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.cells import Compiled, Tiny, parabola, scripted, small, walk
from support.tiers import representatives

from gdbench.engine.convergence_pass import concatenate, run_observed_pass, split_steps
from gdbench.engine.runner import run_cell
from gdbench.engine.trace_recorder import MAX_TRACED_RUNS, select_traced_steps
from gdbench.objectives import Objective
from gdbench.optimizers import Hyper, Method
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim


@given(st.integers(1, 10**7))
def test_a_log_spaced_trace_has_ten_steps_a_decade(steps: int) -> None:
    """Log-spaced, a trace holds start and end, the first ten steps, and from then on about ten a decade, in order."""
    kept = select_traced_steps(steps, "log")

    assert kept[0] == 0
    assert kept[-1] == steps
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 3 + 10 * math.log10(steps)
    assert (kept[1:][kept[1:] >= 10][1:] <= 1.4 * kept[1:][kept[1:] >= 10][:-1] + 1).all()


def test_full_and_no_traces() -> None:
    """``full`` keeps every point, of which there is one more than steps; ``none`` keeps none."""
    assert select_traced_steps(3, "full").tolist() == [0, 1, 2, 3]
    assert select_traced_steps(3, "none").tolist() == []


@pytest.mark.parametrize("lr", [0.25, [0.25, 0.25]], ids=["solo", "lanes"])
def test_a_trace_by_hand(lr: float | list[float]) -> None:
    """Halving x leaves a trace of losses and gaps 4^-k, slopes 2 2^-k and points 2^-k, run after run."""
    cell = small(parabola(), lr=lr, steps=5, trace="full")
    traces = run_cell(cell).traces
    k = np.tile(np.arange(6.0), cell.size)

    assert traces["row"].tolist() == np.repeat(np.arange(cell.size), 6).tolist()
    assert traces["step"].tolist() == k.tolist()
    assert traces["loss"].tolist() == traces["gap"].tolist() == (4.0**-k).tolist()
    assert traces["grad_norm"].tolist() == (2 * 2.0**-k).tolist()
    assert traces["x"].tolist() == (2.0 ** -k[:, None]).tolist()


def test_a_trace_ends_where_a_run_stops_being_finite() -> None:
    """The first loss that is not finite is the last one in the trace, and no neighbour's trace is cut."""
    objective = scripted([1, 0.5, math.nan, 0.1], [1, 0.5, 0.3, 0.1])
    traces = run_cell(small(objective, walk, seeds=[0, 1], steps=3, trace="full")).traces

    assert traces["row"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert traces["step"].tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert repr(traces["loss"].tolist()) == "[1.0, 0.5, nan, 1.0, 0.5, 0.3, 0.1]"
    assert np.isnan(traces["gap"]).all()


def test_big_points_are_not_kept() -> None:
    """Points of more than 16 numbers leave losses and slopes only."""
    objective = Objective(fn=lambda x: (x**2).sum(-1), start=torch.ones(17).double(), minimum=0.0, laned=True)
    traces = run_cell(small(objective, lr=[0.25, 0.1], trace="full")).traces

    assert traces["x"].shape == (22, 0)
    assert len(traces["loss"]) == 22


def test_of_many_runs_log_spaced_traces_are_stored_for_some() -> None:
    """Log-spaced traces are stored for 1000 runs of a cell, evenly chosen with both ends; full ones of all."""
    rates = np.linspace(0.01, 0.2, 1500)
    log, full = (run_cell(small(parabola(), lr=rates, steps=2, trace=trace)).traces for trace in ("log", "full"))
    rows = np.unique(log["row"])

    assert len(rows) == MAX_TRACED_RUNS
    assert rows[0] == 0
    assert rows[-1] == 1499
    assert np.diff(rows).max() == 2
    assert len(np.unique(full["row"])) == 1500
    assert log["loss"][log["step"] == 1].tolist() == pytest.approx((1 - 2 * rates[rows]) ** 2)


def test_climbing_leaves_a_trace_of_what_is_judged() -> None:
    """With ``maximize`` the trace holds -f, as every other column."""
    traces = run_cell(small(parabola(), lr=0.25, steps=2, maximize=True, trace="full")).traces

    assert traces["loss"].tolist() == [-1, -1 / 4, -1 / 16]


def test_a_point_that_torch_moves_is_traced_where_it_was() -> None:
    """torch.optim moves x in place; the trace holds each x_k as it was when its loss was seen."""
    method = lambda lr: torch_optim(torch.optim.SGD, {"lr": lr})  # noqa: E731
    traces = run_cell(small(parabola(), method, steps=4, trace="full")).traces

    assert (traces["x"][:, 0] ** 2).tolist() == traces["loss"].tolist()
    assert traces["x"][:, 0].tolist() == [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]


def test_joined_stories_are_lanes() -> None:
    """Runs told one by one and put side by side give the arrays that lanes give."""
    cell = small(parabola(), lr=[0.25, 0.1], steps=5, trace="full")
    one_by_one, lanes = (
        concatenate([run_observed_pass(cell.take([row]), False, np.array([0])) for row in (0, 1)]),
        run_observed_pass(cell, True, np.arange(2)),
    )
    for name in ("start", "floor", "grad_norm", "distance", "denormals", "losses", "grad_norms", "points", "steps"):
        assert np.array_equal(getattr(one_by_one, name), getattr(lanes, name)), name
    for name, column in one_by_one.observations._asdict().items():
        assert np.array_equal(column, getattr(lanes.observations, name)), name


@given(st.integers(1, 200), st.integers(1, 12), st.sets(st.integers(0, 200)))
def test_strides_take_every_step_once(steps: int, most: int, alone: set[int]) -> None:
    """Strides follow each other from first step to last, of ``most`` steps or of one; those in ``alone`` are of one."""
    taken = list(split_steps(steps, most, alone))

    assert [k + i for k, count in taken for i in range(count)] == list(range(steps))
    assert {count for _, count in taken} <= {1, most}
    assert all(count == 1 for k, count in taken if k in alone)
    assert all(not alone & set(range(k + 1, k + count)) for k, count in taken)


ENDINGS = (
    [1, 0.5, math.nan, 0.1, 0.05, 0.01, 0.001],
    [1, 0.5, 0.3, 0.1, 0.05, 0.01, 0.001],
    [1, 0.5, 2, 3, 4, 5, 6],
    [1, math.inf, 0, 0, 0, 0, 0],
    [1, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8],
)
"""Losses of lanes that hit, diverge, stand still and cease to be finite."""


TOLD = [(trace, fused) for trace in ("none", "log", "full") for fused in (1, 2, 3, 5)]


@pytest.mark.parametrize(("trace", "fused"), representatives(TOLD, [("log", 3)]))
def test_compiled_lanes_are_told_as_others(trace: str, fused: int) -> None:
    """Several steps a call, or one where a trace looks on: every column and every trace is that of eager lanes."""
    objective = scripted(*ENDINGS, minimum=0.0)
    told = []
    for make in (Tiny(walk), Compiled(walk)):
        cell = small(objective, make, seeds=range(len(ENDINGS)), steps=6, trace=trace)
        cell.__dict__["steps_per_call"] = fused
        told.append(run_cell(cell))
    eager, compiled = told
    for name, column in eager.columns.items():
        if name not in ("compile_s", "implementation", "convergence_pass_s"):
            assert repr(column.tolist()) == repr(compiled.columns[name].tolist()), name
    for name, column in eager.traces.items():
        assert repr(column.tolist()) == repr(compiled.traces[name].tolist()), name


def twice(lr: Hyper) -> Method:
    """Gradient descent on x^2 that is judged at twice its x."""
    return replace(gd(lr), output=lambda x, state: 2 * x)


@pytest.mark.parametrize("lr", [0.25, [0.25, 0.25]], ids=["solo", "lanes"])
@pytest.mark.parametrize("maker", [Tiny(twice), Compiled(twice)], ids=["eager", "compiled"])
def test_a_method_is_judged_where_it_says(maker: Any, lr: float | list[float]) -> None:
    """Losses, gradients, distances and traces are those of the judged point; the work is that of the steps alone."""
    answer = run_cell(small(parabola(), maker, lr=lr, steps=3, trace="full"))
    told = {
        name: column[0].item() for name, column in answer.columns.items() if name in ("final_loss", "gradient_evals")
    }

    assert told == {"final_loss": 4.0**-2, "gradient_evals": 3}
    assert answer.columns["grad_norm"][0] == 2 * answer.columns["distance"][0] == 0.5
    assert answer.traces["loss"][:4].tolist() == [4, 1, 0.25, 0.0625]
    assert answer.traces["x"][:4].tolist() == [[2], [1], [0.5], [0.25]]
    assert answer.traces["grad_norm"][:4].tolist() == [4, 2, 1, 0.5]
