"""The equality laws of semantics.md over every optimizer, every objective and both dtypes, 100 steps each."""

from __future__ import annotations

import importlib
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from cells import HITS, Compiled, Tiny, plain, small
from laws import MANUAL, OPTIMIZERS, TOLERANCE, TWINS, apart, default_dtype, factory, hypers, manual, path, twin
from torch import Tensor
from torch.utils._pytree import tree_map as every

from gdbench.descent import descent
from gdbench.objectives import Objective
from gdbench.optimizers.compiled import Program
from gdbench.oracle import oracle
from gdbench.params import Params, flat, leaves, stack_lanes
from gdbench.runner import run_cell

torch.set_num_threads(1)

STEPS = 100
FOLDER = Path(__file__).parents[1] / "conf" / "objective"
SMALLER = {"mlp": {"hidden": 4, "samples": 50}}  # the shipped size would make the laws slow
OBJECTIVES = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]
DTYPES = [torch.float32, torch.float64]

STABLE = {
    "beale": 1e-3,
    "himmelblau": 1e-3,
    "logistic": 0.03,
    "mlp": 0.03,
    "notebook_log": 1e-4,  # unbounded below: a longer walk would end at the logarithm of 0
    "notebook_manual": 0.05,
    "notebook_matrix": 0.05,
    "notebook_sgd": 0.05,
    "notebook_square": 0.005,
    "quadratic": 0.1,
    "rosenbrock": 3e-4,
    "styblinski_tang": 1e-3,
}
"""Step sizes at which methods that follow the gradient are stable, with momentum too."""
THEORY = ("gd_optimal", "heavy_ball_optimal", "nesterov_optimal", "chebyshev")
BY_GRADIENT = ("armijo", "gd", "momentum", "nesterov", *THEORY)
"""Methods whose steps are as long as the gradient; those of others are as long as lr, whatever the objective."""


@cache
def objective(name: str, dtype: torch.dtype) -> Objective:
    """An objective as shipped, or smaller where that is too slow."""
    arguments = yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) | SMALLER.get(name, {})
    module, of = arguments.pop("_target_").rsplit(".", 1)
    stated: Objective = getattr(importlib.import_module(module), of)(**arguments)
    return stated.to(dtype, "cpu")


def stable_lr(optimizer: str, name: str) -> float:
    """A step size at which a method is stable on an objective."""
    return STABLE[name] if optimizer in BY_GRADIENT else 1.0 if optimizer in ("adadelta", "lbfgs") else 1e-3


@cache
def walked(optimizer: str, name: str, dtype: torch.dtype) -> tuple[list[Params], list[float]]:
    """The watched path of a run of our own form."""
    with default_dtype(dtype):
        return path(manual(optimizer, lr=stable_lr(optimizer, name)), objective(name, dtype), STEPS)


@cache
def walked_by_torch(optimizer: str, name: str, dtype: torch.dtype) -> list[Params]:
    """The watched path of a run of torch's form; NAdam keeps its momentum product in torch's default dtype."""
    with default_dtype(dtype):
        return path(twin(optimizer, lr=stable_lr(optimizer, name)), objective(name, dtype), STEPS)[0]


def same(a: Params, b: Params) -> bool:
    """Equality to the last bit."""
    return all(torch.equal(u, v) for u, v in zip(leaves(a), leaves(b), strict=True))


crossed = pytest.mark.parametrize(
    ("optimizer", "name", "dtype"),
    [(optimizer, name, dtype) for dtype in DTYPES for name in OBJECTIVES for optimizer in MANUAL],
    ids=str,
)


TORCH = [
    (optimizer, name, dtype)
    for optimizer, each in OPTIMIZERS.items()
    for name in OBJECTIVES
    for dtype in DTYPES
    # From the logarithms torch's strong Wolfe search steps to negative numbers, and raises on their NaN: see below.
    if each.torch and (optimizer, name) != ("lbfgs", "notebook_log")
]

# Manual is torch.


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("optimizer", TWINS)
def test_manual_is_torch(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """Our form and torch.optim's walk the same path, until the loss is down at its rounding errors."""
    of, floor = objective(name, dtype), -np.inf
    ours, losses = walked(optimizer, name, dtype)
    theirs = walked_by_torch(optimizer, name, dtype)
    if of.minimum is not None:
        floor = of.minimum + 16 * torch.finfo(dtype).eps * max(abs(of.minimum), abs(losses[0]))
    told = [apart(a, b, ours[0]) for a, b, loss in zip(ours[1:], theirs[1:], losses, strict=True) if loss > floor]

    assert np.isfinite(losses).all()
    assert max(told) <= TOLERANCE[dtype]


# Lanes are solo.


@crossed
def test_lanes_are_solo(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """Through the runner a run in lanes has the status that it has alone, and first hits within one step."""
    maker = Tiny(lambda lr: manual(optimizer, lr=lr))
    rates = stable_lr(optimizer, name) * np.array([1.0, 0.5])
    of = objective(name, torch.float64)
    together = run_cell(small(of, maker, lr=rates, steps=STEPS, dtype=dtype)).columns
    lane = int(dtype == torch.float32)  # one of the two alone, to save time
    alone = run_cell(small(of, maker, lr=rates[lane], steps=STEPS, dtype=dtype)).columns

    assert together["lanes"][lane] == 2
    assert together["status"][lane] == alone["status"][0]
    for hit in (*HITS, "steps_to_target"):
        here, there = plain(together[hit], lane), plain(alone[hit], 0)
        assert (here is None) == (there is None), hit
        assert here is None or abs(here - there) <= 1, hit


def lane_of(tree: Any, index: int) -> Any:
    """One lane of x or of a state, contiguous; what is not laned stays as it is."""
    return every(lambda leaf: leaf[index].clone() if isinstance(leaf, Tensor) and leaf.dim() else leaf, tree)


@crossed
def test_a_step_in_lanes_is_a_step_alone(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """From the same x and state, half way, a step in a lane equals a step alone within 4 ulps of x, whatever its sums.

    The most seen is 1.6 (RMSprop, logistic): the rounding of a gradient's sums reaches x multiplied by the step size.
    """
    of = objective(name, dtype)
    rates = stable_lr(optimizer, name) * np.array([1.0, 0.7, 0.3])
    lanes, ask = manual(optimizer, lr=torch.from_numpy(rates)), oracle(of, laned=True)
    x, state = descent(lanes, ask, stack_lanes([of.start_at(0)] * len(rates)), range(STEPS // 2))
    new, _, _ = lanes.step(ask, STEPS // 2, x, state)
    for index, lr in enumerate(rates):
        here = lane_of(x, index)
        there, _, _ = manual(optimizer, lr=float(lr)).step(
            oracle(of, laned=False), STEPS // 2, here, lane_of(state, index)
        )
        ulp = torch.finfo(dtype).eps * max(flat(each, laned=False).abs().max() for each in (here, there))

        assert (flat(lane_of(new, index), laned=False) - flat(there, laned=False)).abs().max() <= 4 * ulp


# Watched is timed.


@crossed
def test_watched_is_bare(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """The pass that records nothing ends at the very bits at which the watched pass ends."""
    of = objective(name, dtype)
    with default_dtype(dtype):
        method = manual(optimizer, lr=stable_lr(optimizer, name))
        bare, _ = descent(method, oracle(of, laned=False), of.start_at(0), range(STEPS))

    assert same(bare, walked(optimizer, name, dtype)[0][-1])


@pytest.mark.parametrize(("optimizer", "name", "dtype"), TORCH, ids=str)
def test_torch_watched_is_bare(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """torch.optim, L-BFGS among it, goes where it goes when looked at."""
    of = objective(name, dtype)
    with default_dtype(dtype):
        method = twin(optimizer, lr=stable_lr(optimizer, name))
        bare, _ = descent(method, oracle(of, laned=False), of.start_at(0), range(STEPS))

    assert same(bare, walked_by_torch(optimizer, name, dtype)[-1])


def test_lbfgs_leaves_the_finite_beyond_the_logarithm() -> None:
    """Where torch's own line search raises for want of a finite loss, the run is nonfinite, its finite steps told."""
    maker = Tiny(lambda lr: twin("lbfgs", lr=lr), lanes=False)
    columns = run_cell(small(objective("notebook_log", torch.float64), maker, lr=1.0, steps=STEPS)).columns

    assert columns["status"].tolist() == ["nonfinite"]
    assert columns["best_loss"][0] == columns["start_loss"][0]
    assert columns["event_step"][0] == 1


# Compiled is manual.


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("optimizer", MANUAL)
def test_compiled_is_manual(optimizer: str, name: str, dtype: torch.dtype) -> None:
    """The graph that torch.compile makes of a step walks our own path, and the same one whether looked at or not."""
    of, hyper = objective(name, dtype), hypers(optimizer, {"lr": stable_lr(optimizer, name)})
    method, ask = Program(factory(optimizer), "eager").method(hyper), oracle(of, laned=False, compiled=True)
    bare, _ = descent(method, ask, of.start_at(0), range(STEPS))
    seen, _ = descent(method, ask, of.start_at(0), range(STEPS), look=lambda k, x, seen: None)
    ours, _ = walked(optimizer, name, dtype)

    assert same(bare, seen)
    assert apart(bare, ours[-1], ours[0]) <= TOLERANCE[dtype]


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [*((optimizer, "rosenbrock") for optimizer in MANUAL), *(("momentum", name) for name in OBJECTIVES)],
)
def test_compiled_lanes_are_manual_ones(optimizer: str, name: str) -> None:
    """Through the runner lanes in compiled strides have the statuses of eager ones, and first hits within one step."""
    rates = stable_lr(optimizer, name) * np.array([1.0, 0.5, 0.1])
    of, method, more = objective(name, torch.float64), factory(optimizer), hypers(optimizer, {})
    del more["lr"]
    told = []
    for maker in (Tiny(partial(method, **more)), Compiled(partial(method, **more))):
        cell = small(of, maker, lr=rates, steps=STEPS, dtype=torch.float32)
        cell.__dict__["fused"] = 4
        told.append(run_cell(cell).columns)
    eager, compiled = told

    assert eager["status"].tolist() == compiled["status"].tolist()
    for column in (*HITS, "steps_to_target", "gradients", "evaluations"):
        for lane in range(len(rates)):
            here, there = plain(eager[column], lane), plain(compiled[column], lane)
            assert (here is None) == (there is None), column
            assert here is None or abs(here - there) <= (30 if column == "evaluations" else 1), column
