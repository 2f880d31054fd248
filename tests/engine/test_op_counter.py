from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.cells import parabola
from torch import Tensor

from gdbench.engine.op_counter import count_ops, count_step_work
from gdbench.engine.oracle import oracle
from gdbench.optimizers import Method
from gdbench.optimizers.adam import adam
from gdbench.optimizers.sgd import gd
from gdbench.optimizers.torch_optim import torch_optim

CPU = torch.device("cpu")
A, B = torch.ones(1000), torch.ones(1000)
ARRAY = np.ones(1000, dtype=np.float32)
SPARSE = torch.eye(4).to_sparse()


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
        (lambda: torch.tensor([1.0, 2.0]), 1, 8),  # filled from outside, and born here all the same
        (lambda: torch.from_numpy(ARRAY) + 1, 2, 4000),  # the array's memory is its own
        (lambda: torch.add(A, B, out=torch.empty(0)), 2, 4000),  # what grows has so much more
        (lambda: SPARSE * 2, 1, 80),  # four places of two coordinates, and four values
    ],
)
def test_operations_and_bytes_of_a_known_step(step: object, ops: int, peak: int) -> None:
    """Every dispatched operation counts once, and of the memory the most that is alive at a time."""
    assert count_step_work(step, CPU) == (ops, peak)


def test_what_dies_is_not_counted_again() -> None:
    """A hundred temporaries one after the other need the memory of two."""

    def loop() -> Tensor:
        x = A
        for _ in range(100):
            x = x + B
        return x

    assert count_step_work(loop, CPU) == (100, 8000)


@pytest.mark.parametrize(
    "method", [gd(0.1), adam(0.1), torch_optim(torch.optim.Adam, {"lr": 0.1})], ids=["gd", "adam", "torch"]
)
def test_the_work_of_a_step_is_the_same_each_time(method: Method) -> None:
    """Counts repeat exactly, from step to step and from count to count."""
    objective = parabola(fn=lambda x: (x**2).sum(), start=torch.ones(100, dtype=torch.float64), minimisers=())
    ask = oracle(objective, laned=False)
    x, state = method.step(ask, 0, objective.start_at(0), method.init(objective.start_at(0)))[:2]
    told = {count_step_work(lambda: method.step(ask, 1, *method.copy(x, state)), CPU) for _ in range(3)}

    assert len(told) == 1
    ((ops, peak),) = told
    assert ops > 5
    assert peak >= 800 * 2  # a gradient and a new point, of 100 float64 numbers each


Part = Callable[[list[Tensor]], object]
"""A part of a step, which may change the tensors that the step holds."""
STEPS: dict[str, Part] = {
    "a sum": lambda held: held.append(held[-1] + 1.0),
    "in place": lambda held: held[-1].mul_(0.5),
    "a view": lambda held: held.append(held[-1].reshape(-1)[:1]),
    "a number": lambda held: held.append(held[-1] * torch.tensor(0.1)),
    "a list": lambda held: held.append(torch.tensor([0.1] * len(held))),
    "an array": lambda held: held.append(torch.from_numpy(np.full(len(held), 2.0, dtype=np.float32)) + A[: len(held)]),
    "an array's own": lambda held: held.append(torch.as_tensor(ARRAY)[: len(held)] * 2),
    "a closure's": lambda held: held.append(A * held[-1].sum()),
    "the last freed": lambda held: held.__delitem__(slice(max(1, len(held) - 1), None)),
    "all freed": lambda held: held.__delitem__(slice(1, None)),
    "out": lambda held: torch.add(A, B, out=torch.empty(0)),
    "a cycle": lambda held: held.append((lambda own: own.append(own) or held[-1] * 3)([held[-1] + 2])),
    "a new one": lambda held: held.append(held[-1].new_tensor([1.0, 2.0])),
    "a gradient": lambda held: held.append(torch.func.grad(lambda x: (x**2).sum())(A)),
}


@given(parts=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=30), rounds=st.integers(1, 8))
def test_any_step_counts_the_same_however_often_it_is_counted(parts: list[str], rounds: int) -> None:
    """Whatever lies at the addresses of what has died: a step's operations and bytes are its own."""

    def step() -> None:
        held = [A]
        for name in parts * rounds:
            STEPS[name](held)

    counts = []
    for repetition in range(4):
        counts.append(count_ops(step))
        junk = [torch.empty(size) for size in range(1, 40, repetition + 1)]  # other addresses are free next time
        del junk[::2]

    assert len({repr(count) for count in counts}) == 1


def test_adam_works_more_than_gradient_descent() -> None:
    """Counts tell methods apart: Adam has more operations and more memory than gradient descent."""
    objective = parabola()
    ask = oracle(objective, laned=False)
    works = []
    for method in (gd(0.1), adam(0.1)):
        x, state = objective.start_at(0), method.init(objective.start_at(0))
        works.append(count_step_work(lambda method=method, x=x, state=state: method.step(ask, 0, x, state), CPU))

    assert works[0].ops < works[1].ops
    assert works[0].peak_bytes < works[1].peak_bytes


def test_a_device_that_shows_nothing_is_told_nothing() -> None:
    """Where neither allocator nor operations can be seen, nothing is run and nothing is told."""
    assert count_step_work(lambda: 1 / 0, torch.device("meta")) == (None, None)
