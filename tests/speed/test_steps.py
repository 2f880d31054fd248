"""A warmed step of every method: who carries it out, on a number, on real data and on a dict of tensors.

A round is a block of steps from a snapshot that is restored outside of the clock; ``extra_info`` holds the time of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gdbench.config.compose import Composer, prepare_hydra
from gdbench.engine.build import build_cell
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.errors import Unavailable
from gdbench.sweeps.planner import plan_overrides

OPTIMIZERS = sorted(path.stem for path in Path(__file__).parents[2].glob("conf/optimizer/*.yaml"))
IMPLS = ("manual", "torch", "foreach", "fused")
OBJECTIVES = ("notebook_manual", "logistic", "mlp")
COMPILED = ("gd", "adam")
"""Compilation takes seconds a method: two of them tell what it brings."""
BLOCK = 10
WARM = 20

CELLS = [
    *itertools.product(OBJECTIVES, OPTIMIZERS, IMPLS),
    *itertools.product(OBJECTIVES, COMPILED, ["compiled"]),
]


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    """One composer for all cells, as in a sweep."""
    with prepare_hydra():
        yield Composer()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as gdbench gives to a run that does not ask for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ready(composer: Composer, objective: str, optimizer: str, impl: str) -> Cell:
    """A cell at a tenth of the method's own learning rate, where no method leaves the finite numbers."""
    words = [
        f"objective={objective}",
        f"optimizer={optimizer}",
        f"impl={impl}",
        "device=cpu",
        "lr=null",
        "lr_scale=0.1",
    ]
    (job,) = plan_overrides(words, composer)
    return build_cell(job.spec)


@pytest.mark.parametrize(("objective", "optimizer", "impl"), CELLS, ids=["-".join(each) for each in CELLS])
def test_step(objective: str, optimizer: str, impl: str, composer: Composer, benchmark: Any) -> None:
    """A step takes so long; what torch, the method or this machine does not have is skipped with its reason."""
    try:
        cell = ready(composer, objective, optimizer, impl)
        method, oracle = cell.make_method(cell.solo_hyper(0)), cell.oracle(laned=False)
        warm = descent(method, oracle, cell.start(0), range(WARM))
    except Unavailable as reason:
        pytest.skip(str(reason))

    def restored() -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, state = method.copy(*warm)
        return (method, oracle, x, range(WARM, WARM + BLOCK), state), {}

    benchmark.group = objective
    benchmark.extra_info.update(
        objective=objective,
        optimizer=optimizer,
        impl=impl,
        dtype=str(cell.dtype).removeprefix("torch."),
        implementation=cell.make_method.implementation,
        steps=BLOCK,
    )
    benchmark.pedantic(descent, setup=restored, rounds=60, warmup_rounds=5)
    if benchmark.stats:
        benchmark.extra_info["step_s"] = benchmark.stats.stats.median / BLOCK
