"""Judging every so many steps: what a run shows is what a run that is judged at every step shows there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import gdbench

STEPS = 50


pytestmark = pytest.mark.usefixtures("own_folder")


def sweep(judge_every: Any, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and traces of a sweep of three learning rates, in their order."""
    given = {"objective": "rosenbrock", "optimizer": "adam", "lr": [0.01, 0.3, 3.0], "trace": "full", "timing": "off"}
    settings = {**given, "steps": STEPS, "target": 0.05, **settings}
    runs = gdbench.sweep(settings.pop("objective"), **settings, judge_every=judge_every)
    return runs.sort_values("lr"), gdbench.load(runs.attrs["folder"], "traces")


def judge_afterwards(losses: np.ndarray, interval: int, target: float) -> dict[str, Any]:
    """What judging every ``interval`` steps would have found in the losses of all steps."""
    steps = np.array([*range(0, STEPS, interval), STEPS])
    seen = losses[steps]
    hit = np.flatnonzero(seen <= losses[0] * target)
    missed = np.flatnonzero(seen > losses[0] * target)
    after = missed[-1] + 1 if len(missed) else 0
    return {
        "steps_to_target": steps[hit[0]] if len(hit) else None,
        "steps_to_settle": steps[after] if after < len(steps) else None,
        "best_loss": seen.min(),
        "best_step": steps[seen.argmin()],
        "final_loss": seen[-1],
        "gradient_evals": STEPS,
        "gradient_evals_to_target": steps[hit[0]] if len(hit) else None,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"impl": "manual"},
        {"impl": "torch"},
        pytest.param({"impl": "compiled"}, marks=pytest.mark.slow),
        pytest.param({"objective": "mlp", "objective.batch": 32, "target": 0.5}, marks=pytest.mark.slow, id="batches"),
    ],
)
@pytest.mark.parametrize("interval", [7, pytest.param(2, marks=pytest.mark.slow), 1000])
def test_judged_steps_show_what_a_run_judged_at_every_step_shows_there(settings: dict[str, Any], interval: int) -> None:
    """Hits, best and last loss of a run judged every few steps are those of its losses at these steps, to the bit."""
    dense, traces = sweep(1, **settings)
    sparse, seen = sweep(interval, **settings)

    assert sparse["judge_every"].eq(interval).all()
    for (_, run), (_, other) in zip(dense.iterrows(), sparse.iterrows(), strict=True):
        losses = traces[traces["run_id"] == run["run_id"]].set_index("step")["loss"]
        shown = seen[seen["run_id"] == other["run_id"]].set_index("step")["loss"]
        assert shown.index.tolist() == [*range(0, STEPS, interval), STEPS]
        assert (losses[shown.index] == shown).all()
        expected = judge_afterwards(losses.to_numpy(), interval, run["target"])
        assert {name: None if pd.isna(other[name]) else other[name] for name in expected} == expected


def test_work_between_judgements_is_counted() -> None:
    """A line search has the gradients and evaluations of all steps, judged or not."""
    given: dict[str, Any] = {"optimizer": "armijo", "steps": 30, "timing": "off", "trace": "none"}
    dense = gdbench.run("rosenbrock", **given).iloc[0]
    sparse = gdbench.run("rosenbrock", **given, judge_every=7).iloc[0]

    for name in ("gradient_evals", "function_evals", "final_loss"):
        assert dense[name] == sparse[name]


def test_interval_of_judgement_is_part_of_a_run() -> None:
    """judge_every=1 is the run that auto is; another interval makes another run."""
    given: dict[str, Any] = {"steps": 20, "timing": "off"}
    ids = [gdbench.run("rosenbrock", **given, judge_every=number)["run_id"].iloc[0] for number in ("auto", 1, 5)]

    assert ids[0] == ids[1] != ids[2]


def test_timed_run_is_verified_although_it_is_judged_seldom() -> None:
    """A run that is judged every few steps is timed, and its timed pass verified."""
    run = gdbench.run("rosenbrock", optimizer="gd", lr=1e-4, steps=40, judge_every=7).iloc[0]

    assert run["timed"]
    assert run["timing_error"] is None or pd.isna(run["timing_error"])
    assert run["verified_steps"] == 40
