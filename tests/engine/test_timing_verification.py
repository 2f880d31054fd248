"""What is timed is the run that was watched: to the bit alone, by the law of lanes in lanes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import Tiny, parabola, plain, small
from torch import Tensor

import gdbench
from gdbench.engine.runner import CellResult, run_cell
from gdbench.engine.timer import Clock
from gdbench.objectives import Objective
from gdbench.objectives.classical import rosenbrock
from gdbench.optimizers import Method, first_order
from gdbench.optimizers.sgd import gd, momentum
from gdbench.optimizers.torch_optim import torch_optim


class Ticks:
    """A clock that a look at it moves on, by a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self.now += 1e-3
        return self.now


TIMES = ("step_s", "first_step_s", "time_to_target_s", "step_time_ratio", "reference_s")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On one CPU thread passes are compared to the bit; the reference loop takes no time, as nothing here asks it."""
    free = lambda *_: lambda count: lambda: None  # noqa: E731
    monkeypatch.setattr("gdbench.engine.timing_pass.make_notebook_loop", free)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def told(answer: CellResult, name: str, index: int = 0) -> Any:
    """A value of a column, None where null."""
    return plain(answer.columns[name], index)


def changing(calls: int, **more: Any) -> Objective:
    """x^2, which becomes 2 x^2 when its n-th gradient is asked for."""
    count = 0

    def fn(x: Tensor) -> Tensor:
        nonlocal count
        count += x.requires_grad
        return x**2 if count < calls else 2 * x**2

    return parabola(fn=fn, **more)


def torch_gd(lr: float) -> Method:
    """Gradient descent by torch.optim."""
    return torch_optim(torch.optim.SGD, {"lr": lr})


@pytest.mark.parametrize("make", [gd, Tiny(torch_gd, lanes=False)], ids=["manual", "torch"])
@pytest.mark.parametrize("calls", [20, 40, 100, 130])
def test_an_objective_that_changes_has_no_times(make: Any, calls: int) -> None:
    """One that is another function from its n-th call on, when it is watched, proven or timed, is found out."""
    answer = run_cell(small(changing(calls), make, lr=0.2, steps=30, seconds=1e-6))

    assert told(answer, "error") is None
    assert told(answer, "status") == "target"
    assert told(answer, "timing_error")
    assert told(answer, "timed") is False
    for name in TIMES:
        assert told(answer, name) is None


def test_an_objective_that_changes_among_lanes_has_no_times() -> None:
    """Lanes that saw the first function, timed on the second, have no times either."""
    cell = small(changing(25), lr=[0.05, 0.06], steps=80, seconds=1.0)
    answer = run_cell(cell, Clock(Ticks(), lambda: None))
    errors = [told(answer, "timing_error", row) for row in (0, 1)]

    assert all(error and "in lanes and" in error for error in errors)
    assert not any(answer.columns["timed"])
    assert answer.columns["status"].tolist() == ["target", "target"]


def test_an_objective_that_changes_is_found_by_default() -> None:
    """Through the Python API, with default timing, its row keeps its result and tells why it has no times."""
    count = 0

    def turning(x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return (x**2).sum() if count < 150 else (3 * x**2).sum()

    row = gdbench.run(objective=turning, x0=torch.ones(2), lr=0.01, steps=200, dtype="float64", trace="none").iloc[0]

    assert row["status"] not in ("failed", "unavailable")
    assert "the timed pass" in row["timing_error"]
    assert np.isnan(row["step_s"])


def parting(below: float) -> Objective:
    """x^2, whose gradient is half as long in lanes where x lies below a number."""

    def fn(x: Tensor) -> Tensor:
        return torch.where(x.abs() < below, x**2 * (0.5 if x.dim() else 1.0), x**2)

    return parabola(fn=fn)


def test_lanes_that_part_have_no_times() -> None:
    """Lanes that go elsewhere than alone, though not near the start where that is tried, are not timed as the run."""
    cell = small(parting(1e-2), lr=[0.05, 0.1], steps=200, seconds=1.0)
    answer = run_cell(cell, Clock(Ticks(), lambda: None))

    assert told(answer, "lanes") == 2
    assert "in lanes and" in told(answer, "timing_error", 1)
    assert told(answer, "step_s", 1) is None
    assert told(answer, "status", 1) == "target"


def chaotic() -> Objective:
    """With lr = 1 descent is x -> 4 x (1 - x), and lanes write the same polynomial otherwise: rounding decides all."""

    def fn(x: Tensor) -> Tensor:
        return x * x * (4 * x / 3 - 1.5) if x.dim() else 4 * x**3 / 3 - 3 * x**2 / 2

    return Objective(fn=fn, start=torch.tensor(0.3, dtype=torch.float64), laned=True, minimum=-2.0)


@pytest.mark.slow
def test_chaos_is_no_fault() -> None:
    """Where rounding decides a run, lanes part from it alone, and its times stand."""
    answer = run_cell(small(chaotic(), lr=[1.0, 0.999], steps=300, seconds=1.0), Clock(Ticks(), lambda: None))
    alone = run_cell(small(chaotic(), lr=1.0, steps=300))

    assert told(answer, "final_loss") != pytest.approx(told(alone, "final_loss"), rel=1e-3)
    assert answer.columns["timing_error"].tolist() == [None, None]
    assert answer.columns["timed"].all()


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "count"), [(torch.float64, 3), (torch.float32, 8), (torch.float64, 8)])
def test_a_grid_of_heavy_balls_is_timed(dtype: torch.dtype, count: int) -> None:
    """On Rosenbrock's function, at step sizes from tame to wild, no run in lanes loses its times."""
    rates = np.geomspace(1e-5, 2e-3, count)
    grid = small(rosenbrock(), momentum, lr=rates, dtype=dtype, steps=300, seconds=count / 2)
    answer = run_cell(grid, Clock(Ticks(), lambda: None))

    assert answer.columns["timing_error"].tolist() == [None] * count
    assert answer.columns["timed"].sum() == np.isin(answer.columns["status"], ["nonfinite"], invert=True).sum()


def drawing(lr: float) -> Method:
    """Descent with a step of its own chance."""
    return first_order(lambda x: (), lambda k, grad, state, x: (x - lr * grad + 1e-3 * torch.randn_like(x), state))


def test_chance_outside_of_the_seed_is_named() -> None:
    """A method that draws from torch's global generators is timed if they are set in each step, or told why not."""
    error = told(run_cell(small(parabola(), Tiny(drawing), steps=20, seconds=1e-6)), "timing_error")

    assert error is None or "draws from torch's global generators" in error


@pytest.mark.parametrize(("steps", "verified"), [(1, 1), (10, 10), (200, 200), (3000, 256)])
def test_how_many_steps_were_verified_is_told(steps: int, verified: int) -> None:
    """All steps of a run are compared, or, where the budget is too small for them, those in which it is timed."""
    answer = run_cell(small(parabola(), lr=1e-4, steps=steps, seconds=1e-9))

    assert told(answer, "verified_steps") == verified
    assert told(answer, "timing_error") is None


def test_all_steps_are_verified_where_there_is_time() -> None:
    """The proof goes over the run's own steps."""
    answer = run_cell(small(parabola(), lr=1e-4, steps=3000, seconds=0.3), Clock(Ticks(), lambda: None))

    assert told(answer, "verified_steps") == 3000


def narrow(lr: float) -> Method:
    """A method of points of its own shape alone."""

    def update(k: Any, grad: Tensor, state: Any, x: Tensor) -> Any:
        assert x.shape == (3,)
        return x - lr * grad, state

    return first_order(lambda x: (), update)


def test_a_method_of_one_shape_is_warmed_up_on_it() -> None:
    """A process is warmed up on points of the run's shape, as a method may take no other."""
    bowl = Objective(fn=lambda x: (x**2).sum(), start=torch.ones(3, dtype=torch.float64), minimum=0.0)
    answer = run_cell(small(bowl, narrow, lr=0.1, seconds=1e-6))

    assert told(answer, "error") is told(answer, "timing_error") is None
    assert told(answer, "timed") is True


def fragile(lr: float) -> Method:
    """A method that raises on a gradient of ones."""

    def update(k: Any, grad: Tensor, state: Any, x: Tensor) -> Any:
        if bool((grad == 1).all()):
            raise ArithmeticError("ones")
        return x - lr * grad, state

    return first_order(lambda x: (), update)


def test_a_warm_up_that_raises_is_told() -> None:
    """The result stays, there are no times, and the reason stands beside it."""
    answer = run_cell(small(parabola(), Tiny(fragile, lanes=False), lr=0.1, seconds=1e-6))

    assert told(answer, "status") == "budget" or told(answer, "status") == "target"
    assert told(answer, "timing_error") == "warming up raised ArithmeticError: ones"
    assert told(answer, "step_s") is None
