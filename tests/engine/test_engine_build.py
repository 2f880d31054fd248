from __future__ import annotations

from typing import Any

import pytest
import torch
from support.folding import folded

from gdbench.config.schema import FACTS
from gdbench.config.spec import CellSpec
from gdbench.engine import build
from gdbench.engine.cell import Cell
from gdbench.engine.device import resolve_device
from gdbench.engine.factory_import import locate
from gdbench.engine.objective_factory import load_objective
from gdbench.errors import Unavailable, UsageError


def questions(*overrides: str) -> list[CellSpec]:
    """The questions of a sweep's cells."""
    return [job.spec for job in folded(*overrides, "timing=off")]


def question(*overrides: str) -> CellSpec:
    """The question of one cell."""
    (asked,) = questions(*overrides)
    return asked


def cell(*overrides: str) -> Cell:
    """The cell of one question, on the CPU."""
    return build.build_cell(question(*overrides, "device=cpu"))


@pytest.mark.parametrize("impl", ["manual", "compiled"])
def test_a_proximal_method_is_unavailable_without_a_prox(impl: str) -> None:
    """On an objective that states no prox ista says so in one line, and what to try; on one that does it is made."""
    said = "^optimizer=ista needs the proximal map of a part of its objective, and objective=ridge states none; try"
    with pytest.raises(Unavailable, match=said):
        cell("optimizer=ista", "objective=ridge", f"impl={impl}")
    assert cell("optimizer=ista", "objective=lasso_proximal", f"impl={impl}").make_method.implementation


def test_a_cell_has_one_column_a_hyper_parameter() -> None:
    """Every float of the method is a column over the lanes; lr is resolved, and default_lr is none of them."""
    made = cell("optimizer=adam", "lr=0.1,0.2", "optimizer.beta1=0.5,0.9")

    assert {name: values.tolist() for name, values in made.hyper.items()} == {
        "lr": [0.1, 0.1, 0.2, 0.2],
        "beta1": [0.5, 0.9, 0.5, 0.9],
        "beta2": [0.999] * 4,
        "eps": [1e-8] * 4,
        "weight_decay": [0.0] * 4,
    }


@pytest.mark.parametrize(
    ("overrides", "lr"),
    [
        (["lr=null"], [0.001]),
        (["lr=null", "optimizer=adadelta"], [1.0]),
        (["lr=null", "lr_scale=2,3"], [0.002, 0.003]),
        (["lr=null", "lr_scale_of=L", "objective=quadratic", "objective.smoothness=4.0"], [0.25]),
        (["lr=null", "lr_scale_of=L", "lr_scale=0.5,1", "objective=notebook_manual"], [0.25, 0.5]),
        (["lr=0.3"], [0.3]),
    ],
)
def test_lr_comes_from_what_was_asked(overrides: list[str], lr: list[float]) -> None:
    """lr=null takes the method's default, or 1/L of the objective, times lr_scale."""
    assert cell(*overrides).hyper["lr"].tolist() == pytest.approx(lr, rel=1e-15)


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [
        ([], [[1.0], [0.01]]),
        (["objective.smoothness=4", "objective.condition=8"], [[4.0], [0.5]]),
        (["optimizer.smoothness=2"], [[2.0], [0.01]]),
        (["optimizer.smoothness=2.0,3.0", "optimizer.strong_convexity=0.5"], [[2.0, 3.0], [0.5, 0.5]]),
        (["optimizer.smoothness=[2,3]"], [[2.0, 3.0], [0.01, 0.01]]),
        (["lr=1,2"], [[1.0, 1.0], [0.01, 0.01]]),
    ],
)
def test_what_a_method_must_know_is_the_objectives_own(overrides: list[str], facts: list[list[float]]) -> None:
    """A fact that is null is what the objective states, in every lane; a number, or several, overrides it."""
    made = [
        build.build_cell(each)
        for each in questions("optimizer=chebyshev", "objective=quadratic", "device=cpu", *overrides)
    ]
    told = [[number for each in made for number in each.hyper[name].tolist()] for name in FACTS[:2]]

    assert told == facts


def test_what_an_objective_does_not_state_is_asked_for() -> None:
    """A method that must know L, of an objective that states none, is unavailable, as one line explains."""
    asked = question("optimizer=chebyshev", "objective=rosenbrock")
    with pytest.raises(Unavailable) as reason:
        build.build_cell(asked)

    assert str(reason.value) == (
        "optimizer=chebyshev needs the smoothness of its objective, and objective=rosenbrock states none:"
        " give it as optimizer.smoothness="
    )


@pytest.mark.parametrize("given", ["0", "-1.0", "nan"])
def test_a_fact_must_be_possible(given: str) -> None:
    """L is above 0."""
    with pytest.raises(UsageError, match=r"optimizer.smoothness=\S+ must be a number above 0, or a list\."):
        build.build_cell(question("optimizer=chebyshev", f"optimizer.smoothness={given}"))


@pytest.mark.parametrize(
    ("overrides", "dtype"),
    [
        ([], torch.float32),
        (["objective=notebook_log"], torch.float64),
        (["objective=notebook_log", "dtype=float32"], torch.float32),
        (["dtype=bfloat16"], torch.bfloat16),
    ],
)
def test_auto_dtype_is_the_objectives_own(overrides: list[str], dtype: torch.dtype) -> None:
    """dtype=auto is what the objective states; anything else is what was asked."""
    made = cell(*overrides)

    assert made.dtype == dtype
    assert made.start(0).dtype == dtype


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["optimizer=lbfgs", "impl=manual"], "optimizer=lbfgs has no manual implementation; try impl=torch"),
        (["optimizer=lbfgs", "impl=compiled"], "optimizer=lbfgs has no compiled implementation; try impl=torch"),
        (["optimizer=armijo", "impl=torch"], "optimizer=armijo has no torch implementation; try impl=manual"),
        (["optimizer=armijo", "impl=fused"], "optimizer=armijo has no fused implementation; try impl=manual"),
        (["device=cuda:99"], "device=cuda:99 is not available"),
    ],
)
def test_what_is_not_to_be_had_says_why(overrides: list[str], reason: str) -> None:
    """A missing twin or device is Unavailable with its reason, and no mistake of the configuration."""
    asked = question(*overrides)
    build.check_cell(asked)

    with pytest.raises(Unavailable, match=reason):
        build.build_cell(asked)


def test_auto_takes_the_accelerator_if_there_is_one() -> None:
    """device=auto is what the notebook does: cuda, else mps, else cpu; cuda is its first."""
    there = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"

    assert resolve_device("auto").type == there
    assert there != "cuda" or resolve_device("cuda") == resolve_device("cuda:0")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (None, "its file names no factory: write _target_"),
        ("nothing", "_target_ nothing cannot be imported"),
        ("no.such.module", "_target_ no.such.module cannot be imported"),
        ("gdbench.objectives.rosenbrok", "cannot be imported"),
        ("numpy.pi", "_target_ numpy.pi is not a function or class."),
        ("", "cannot be imported"),
    ],
)
def test_a_target_that_names_nothing_is_refused(target: Any, words: str) -> None:
    """The refusal says which configuration, what it names, and where code of one's own must lie."""
    with pytest.raises(UsageError, match=words) as refusal:
        locate(target, "objective=mine")

    assert str(refusal.value).startswith("objective=mine: ")


def test_an_objective_is_made_once() -> None:
    """The same configuration gives the same objective in a process: data sets are read once."""
    first, again, other = (load_objective(question("objective=rosenbrock", f"objective.n={n}")) for n in "225")

    assert first is again
    assert first is not other
