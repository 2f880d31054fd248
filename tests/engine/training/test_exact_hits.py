"""``exact=true``: runs that are judged at some steps alone have the steps to target of those judged at every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from support.tiers import representatives

import gdbench

TO_TARGET = ["steps_to_target", "gradient_evals_to_target", "function_evals_to_target"]


pytestmark = pytest.mark.usefixtures("own_folder")


def run(objective: str, **settings: Any) -> pd.DataFrame:
    """The untimed runs of a cell, by seed and lr."""
    return gdbench.run(objective, timing="off", **settings).sort_values(["seed", "lr"])


def check(objective: str, interval: int, **settings: Any) -> None:
    """Check that exact hits are those of judging every step, within the interval before the judged ones."""
    every = run(objective, judge_every=1, **settings)
    some = run(objective, judge_every=interval, **settings)
    exact = run(objective, judge_every=interval, exact=True, **settings)
    late = some["steps_to_target"] - exact["steps_to_target"]

    assert every["status"].isin(["target"]).any()
    assert exact[TO_TARGET].astype(float).fillna(-1.0).equals(every[TO_TARGET].astype(float).fillna(-1.0))
    assert late.dropna().between(0, interval - 1).all()
    assert (late.dropna() > 0).any()
    assert exact["gradient_evals"].tolist() == some["gradient_evals"].tolist()
    assert exact["final_loss"].tolist() == some["final_loss"].tolist()
    assert exact["exact"].all()


TRAINING = {"optimizer": "adam", "lr": 0.01, "steps": 60}


TARGETS: list[dict[str, Any]] = [
    {"target_metric": "held_out.accuracy>=0.7"},
    {"target_loss": 1.0},
    {"average": "ema", "average.decay": 0.9, "target_metric": "train.loss<=1.3"},
]


@pytest.mark.parametrize(
    ("impl", "target"), representatives(list(itertools.product(["torch", "manual"], TARGETS)), [("torch", TARGETS[0])])
)
def test_training_in_both_modes(impl: str, target: dict[str, Any]) -> None:
    """A metric and a train loss are reached at the very step, in the module's mode and in lanes, averaged too."""
    check("digits_mlp", 9, impl=impl, seed=[0, 1, 2] if impl == "manual" else 0, **TRAINING, **target)


FUNCTIONS = [
    ("gd", "manual", [0.05, 0.1, 1.1]),
    ("adam", "torch", [0.1]),
    ("lbfgs", "torch", [0.1]),
    ("armijo", "manual", [1.0]),
]


@pytest.mark.parametrize(("optimizer", "impl", "lr"), representatives(FUNCTIONS, FUNCTIONS[:1]))
def test_functions(optimizer: str, impl: str, lr: list[float]) -> None:
    """Lanes and runs alone, with one or several evaluations a step, have the counts of judging every step."""
    check("quadratic", 5, optimizer=optimizer, impl=impl, lr=lr, steps=150, target=1e-2)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["exact=maybe"], 2, "exact=maybe must be true or false."),
        (["exact=true", "judge_every=2", "impl=compiled"], 1, "use impl=manual"),
    ],
    ids=str,
)
def test_what_cannot_be_exact_says_so(command: Callable[..., Any], words: list[str], code: int, message: str) -> None:
    """No switch is a mistake; compiled steps are unavailable."""
    done = command("optimizer=gd", "timing=off", *words)

    assert done.code == code, done.err
    assert message in done.out + done.err
