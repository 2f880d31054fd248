from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.cells import Tiny, parabola, small
from torch import Tensor

from gdbench.engine.batching import check_scalar, choose_execution_mode
from gdbench.engine.runner import run_cell
from gdbench.errors import UsageError
from gdbench.objectives import Objective
from gdbench.optimizers import Hyper, Method, first_order
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim

START = torch.tensor([1.0, 2.0], dtype=torch.float64)


def stated(fn: Callable[[Tensor], Tensor], **more: Any) -> Objective:
    """An objective of two numbers."""
    return Objective(**{"fn": fn, "start": START, "minimum": 0.0, **more})


def of_two(objective: Objective, **more: Any) -> tuple[bool, str]:
    """How a cell of two runs of an objective is carried."""
    return choose_execution_mode(small(objective, lr=[0.1, 0.2], **more))


def test_how_runs_are_carried() -> None:
    """A run alone is solo; several are lanes where the objective says laned, lanes by vmap where it says nothing."""
    assert choose_execution_mode(small(parabola())) == (False, "solo")
    assert of_two(stated(lambda x: (x**2).sum(-1), laned=True)) == (True, "lanes")
    assert of_two(stated(lambda x: (x**2).sum())) == (True, "lanes by vmap")


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: (x**2).sum(),  # one number for all lanes, though its gradients would be right
        lambda x: (x**2).sum().expand(x.shape[:-1]),  # the right shape, the wrong losses
        lambda x: ((x - x.reshape(-1, 2)[0]) ** 2 + x**2).sum(-1),  # every lane sees the first
        lambda x: (x**2).sum(-1).flip(-1) if x.dim() > 1 else (x**2).sum(-1),  # lanes in the wrong order
        lambda x: (x**2).sum(0),  # sums over the lanes
    ],
)
def test_a_laned_objective_that_lies_is_refused_by_value(fn: Callable[[Tensor], Tensor]) -> None:
    """``laned=True`` is believed only if distinct points side by side have the losses that each has alone."""
    alone = fn(START).sum()
    lying = stated(lambda x: fn(x) if x.dim() > 1 else (fn(x) if fn(x).dim() == 0 else alone), laned=True)
    with pytest.raises(UsageError, match=r"^the objective says laned=True but .*sum over the event axes only"):
        of_two(lying)


def branching(x: Tensor) -> Tensor:
    """A branch on data, which vmap cannot follow."""
    return (x**2).sum() if x.sum() > 0 else -x.sum()


def read_out(x: Tensor) -> Tensor:
    """A number read out of a tensor, which vmap cannot follow."""
    return (x**2).sum() * (1 + 0 * x[0].item())


@pytest.mark.parametrize("fn", [branching, read_out])
def test_what_vmap_refuses_goes_run_by_run(fn: Callable[[Tensor], Tensor]) -> None:
    """A branch on data or an ``.item()`` sends the runs one by one, with vmap's reason, to the same results."""
    objective = stated(fn)
    laned, how = of_two(objective)
    by_one = run_cell(small(objective, lr=[0.1, 0.2])).columns
    by_lanes = run_cell(small(stated(lambda x: (x**2).sum()), lr=[0.1, 0.2])).columns

    assert not laned
    assert how.startswith("run by run: vmap refuses (")
    assert how.endswith(")")
    assert "\n" not in how
    assert by_one["lanes"].tolist() == [1, 1]
    assert by_one["implementation"].tolist() == [f"tiny, {how}"] * 2
    assert by_lanes["lanes"].tolist() == [2, 2]
    assert by_one["final_loss"].tolist() == pytest.approx(by_lanes["final_loss"].tolist(), rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_goes_run_by_run(dtype: torch.dtype) -> None:
    """A step size a lane would be rounded to half precision; run by run it stays what it is."""
    cell = small(parabola(), lr=[1e-8, 0.25], dtype=dtype)
    laned, how = choose_execution_mode(cell)

    assert not laned
    assert how == "run by run: a lane's own lr would be rounded to half precision"
    assert run_cell(cell).columns["final_loss"].tolist() == [1, 4.0**-10]


def test_a_step_size_that_half_precision_cannot_hold_still_counts() -> None:
    """lr = 1e-8 is 0 in float16; times a gradient of 2e4 it moves x all the same."""
    steep = parabola(fn=lambda x: 2e4 * x, minimum=None, minimisers=(), start=torch.tensor(0.0))
    columns = run_cell(small(steep, lr=[1e-8, 2e-8], dtype=torch.float16, steps=1)).columns

    assert columns["final_loss"].tolist() == pytest.approx([-4.0, -8.0], rel=0.01)


def test_torch_optimizers_go_run_by_run() -> None:
    """torch.optim objects hold one run; behind the same call they are carried one after the other."""
    maker = Tiny(lambda lr: torch_optim(torch.optim.SGD, {"lr": lr}), lanes=False)
    columns = run_cell(small(parabola(), maker, lr=[0.25, 0.5])).columns

    assert columns["implementation"].tolist() == ["tiny, run by run: torch.optim objects hold one run"] * 2
    assert columns["final_loss"].tolist() == [4.0**-10, 0.0]


@pytest.mark.parametrize("laned", [True, False])
def test_a_dict_of_tensors_goes_in_lanes(laned: bool) -> None:
    """Parameters that are a dict are carried as any other, with one start a seed."""

    def fn(x: dict[str, Tensor]) -> Tensor:
        return (x["a"] ** 2).sum(-1).sum(-1) + x["b"] ** 2

    def start(seed: int) -> dict[str, Tensor]:
        return {"a": torch.full((2, 3), 1.0 + seed).double(), "b": torch.tensor(2.0 + seed).double()}

    objective = Objective(fn=fn, start=start, minimum=0.0, laned=laned)
    columns = run_cell(small(objective, lr=[0.25] * 4, seeds=[0, 1, 1, 2], steps=2)).columns
    expected = [6 * (1 + s) ** 2 + (2 + s) ** 2 for s in (0, 1, 1, 2)]

    assert columns["lanes"].tolist() == [4] * 4
    assert columns["start_loss"].tolist() == expected
    assert columns["final_gap"].tolist() == [4.0**-2] * 4


def test_a_sampled_order_of_lanes_is_the_order_of_rows() -> None:
    """Rows keep the order in which their numbers were given."""
    rates = [0.3, 0.1, 0.45, 0.2]
    columns = run_cell(small(parabola(), lr=rates, steps=1)).columns

    assert columns["final_loss"].tolist() == pytest.approx([(1 - 2 * lr) ** 2 for lr in rates])


def test_a_program_of_lanes_asks_once_for_all() -> None:
    """Lanes are one program: a hundred runs ask the objective as often as two do."""
    calls = 0

    def fn(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return (x**2).sum(-1)

    counts = []
    for runs in (2, 100):
        calls = 0
        run_cell(small(stated(fn, laned=True), gd, lr=np.linspace(0.01, 0.2, runs)))
        counts.append(calls)

    assert counts[0] == counts[1]


CUT_OFF = (
    "the objective is not differentiable: its value does not depend on x through torch operations"
    " (no .detach(), .item(), .data or numpy between x and the result)."
)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (1.0, "the objective returned float, not a tensor: end it with .sum() or .mean()."),
        (torch.ones(3), "the objective returned a tensor of shape [3], not a scalar: end it with .sum() or .mean()."),
        (torch.ones(1), "the objective returned a tensor of shape [1], not a scalar: end it with .sum() or .mean()."),
        (torch.ones(()), CUT_OFF),
    ],
)
def test_what_is_no_scalar_is_refused_in_words(returned: object, words: str) -> None:
    """A number, a vector or a value without a gradient is refused with what came and what to do."""
    with pytest.raises(UsageError) as refused:
        check_scalar(returned, START)

    assert str(refused.value) == words


def test_a_scalar_that_hangs_on_x_is_accepted() -> None:
    """A 0-d tensor with a gradient is what an objective returns."""
    x = START.clone().requires_grad_()
    check_scalar((x**2).sum(), x)


def test_a_method_that_takes_no_number_a_lane_runs_run_by_run() -> None:
    """An update that forgets per_run would meet coordinates with lanes: it is found out by value and run alone."""

    def forgetful(lr: Hyper) -> Method:
        return first_order(lambda x: (), lambda k, grad, state, x: (x - lr * grad, state))

    plane = Objective(fn=lambda x: (x**2).sum(), start=torch.tensor([1.0, 2.0, 3.0]), minimum=0.0)
    columns = run_cell(small(plane, forgetful, lr=[0.1, 0.2, 0.3])).columns

    assert "per_run" in columns["implementation"][0]
    assert columns["lanes"].tolist() == [1, 1, 1]
    assert columns["final_loss"] == pytest.approx(14 * np.array([0.8, 0.6, 0.4]) ** 20)
