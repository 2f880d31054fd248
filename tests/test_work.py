from __future__ import annotations

import pytest
import torch
from cells import parabola
from torch import Tensor

from gdbench.optimizers import Method
from gdbench.optimizers.adam import adam
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.oracle import oracle
from gdbench.work import step_work

CPU = torch.device("cpu")
A, B = torch.ones(1000), torch.ones(1000)


@pytest.mark.parametrize(
    ("step", "ops", "peak"),
    [
        (lambda: None, 0, 0),
        (lambda: A + B, 1, 4000),
        (lambda: (A + B) * 2, 2, 8000),  # the sum lives until the product is there
        (lambda: ((A + B) * 2) * 3, 3, 8000),  # ... and then makes room
        (lambda: [A + B, A - B, A * B], 3, 12000),
        (lambda: (A + B).sum(), 2, 4004),
        (lambda: A.view(10, 100)[0].t(), 3, 0),  # views bring no memory of their own
        (lambda: A.add_(0.0), 1, 0),  # nor does a sum in place
        (lambda: torch.empty(5, dtype=torch.float64), 1, 40),
    ],
)
def test_operations_and_bytes_of_a_known_step(step: object, ops: int, peak: int) -> None:
    """Every dispatched operation counts once, and of the memory the most that is alive at a time."""
    assert step_work(step, CPU) == (ops, peak)


def test_what_dies_is_not_counted_again() -> None:
    """A hundred temporaries one after the other need the memory of two."""

    def loop() -> Tensor:
        x = A
        for _ in range(100):
            x = x + B
        return x

    assert step_work(loop, CPU) == (100, 8000)


@pytest.mark.parametrize(
    "method", [gd(0.1), adam(0.1), torch_optim(torch.optim.Adam, {"lr": 0.1})], ids=["gd", "adam", "torch"]
)
def test_the_work_of_a_step_is_the_same_each_time(method: Method) -> None:
    """Counts repeat exactly, from step to step and from count to count."""
    objective = parabola(fn=lambda x: (x**2).sum(), start=torch.ones(100, dtype=torch.float64), minimisers=())
    ask = oracle(objective, laned=False)
    x, state = method.step(ask, 0, objective.start_at(0), method.init(objective.start_at(0)))[:2]
    told = {step_work(lambda: method.step(ask, 1, *method.copy(x, state)), CPU) for _ in range(3)}

    assert len(told) == 1
    ((ops, peak),) = told
    assert ops > 5
    assert peak >= 800 * 2  # a gradient and a new point, of 100 float64 numbers each


def test_adam_works_more_than_gradient_descent() -> None:
    """Counts tell methods apart: Adam has more operations and more memory than gradient descent."""
    objective = parabola()
    ask = oracle(objective, laned=False)
    works = []
    for method in (gd(0.1), adam(0.1)):
        x, state = objective.start_at(0), method.init(objective.start_at(0))
        works.append(step_work(lambda method=method, x=x, state=state: method.step(ask, 0, x, state), CPU))

    assert works[0].ops < works[1].ops
    assert works[0].peak_bytes < works[1].peak_bytes


def test_a_device_that_shows_nothing_is_told_nothing() -> None:
    """Where neither allocator nor operations can be seen, nothing is run and nothing is told."""
    assert step_work(lambda: 1 / 0, torch.device("meta")) == (None, None)
