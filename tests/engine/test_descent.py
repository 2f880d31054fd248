from __future__ import annotations

import pytest
import torch
from support.cells import parabola

from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.optimizers import Method, StepInfo
from gdbench.optimizers.sgd import gd, momentum
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.tree import Params

OBJECTIVE = parabola()
ASK = oracle(OBJECTIVE, laned=False)
METHODS = pytest.mark.parametrize(
    "method",
    [gd(0.25), momentum(0.05), torch_optim(torch.optim.SGD, {"lr": 0.05, "momentum": 0.9})],
    ids=["gd", "momentum", "torch"],
)


@METHODS
def test_the_look_sees_the_point_before_its_step(method: Method) -> None:
    """At step k the look is given k, x_k as it was, also where the step moves it in place, and the loss there."""
    looks: list[tuple[int, Params, StepInfo]] = []
    descent(method, ASK, OBJECTIVE.start_at(0), range(5), look=lambda *each: looks.append(each))

    assert [k for k, _, _ in looks] == [0, 1, 2, 3, 4]
    assert float(looks[0][1]) == 1
    assert [float(x) ** 2 for _, x, _ in looks] == [float(seen.loss.detach()) for *_, seen in looks]
    assert [2 * float(x) for _, x, _ in looks] == [float(seen.grad) for *_, seen in looks]
    assert len({float(x) for _, x, _ in looks}) == 5


def test_halving_by_hand() -> None:
    """Gradient descent on x^2 with lr 1/4 halves x: after ten steps it stands at 2^-10 exactly."""
    x, _ = descent(gd(0.25), ASK, OBJECTIVE.start_at(0), range(10))

    assert float(x) == 2.0**-10


@METHODS
def test_watching_changes_nothing(method: Method) -> None:
    """The bare loop and the loop that is looked on end at the same bits."""
    bare, _ = descent(method, ASK, OBJECTIVE.start_at(0), range(20))
    seen, _ = descent(method, ASK, OBJECTIVE.start_at(0), range(20), look=lambda k, x, seen: None)

    assert torch.equal(bare, seen)


@METHODS
def test_a_run_can_be_interrupted(method: Method) -> None:
    """With its state a run goes on as if it had never paused."""
    whole, _ = descent(method, ASK, OBJECTIVE.start_at(0), range(20))
    x, state = descent(method, ASK, OBJECTIVE.start_at(0), range(7))
    x, _ = descent(method, ASK, x, range(7, 20), state)

    assert torch.equal(x, whole)


@METHODS
def test_the_start_is_left_alone(method: Method) -> None:
    """No method moves the start it was given, and no steps at all leave x where it was."""
    start = OBJECTIVE.start_at(0).clone()
    descent(method, ASK, start, range(5))
    x, _ = descent(method, ASK, start, range(0))

    assert float(start) == float(x) == 1


def test_steps_count_on_from_where_they_begin() -> None:
    """A step is told its own index, from the range it is in."""
    told: list[int] = []

    def step(oracle: object, k: int, x: Params, state: None) -> tuple[Params, None, StepInfo]:
        told.append(k)
        return x, None, StepInfo(torch.zeros(()), x, 0, 0)

    descent(Method(lambda x: None, step), ASK, torch.zeros(()), range(3, 6))

    assert told == [3, 4, 5]
