"""Methods and objectives of conf/ for the laws: built small, with step sizes at which they are stable."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.objectives import Objective, make_generator
from gdbench.optimizers import Method, StepInfo
from gdbench.optimizers.torch_construction import torch_arguments
from gdbench.optimizers.torch_optim import torch_optim
from gdbench.tree import Params, dot, flatten, leaves, tree_map

CONF = Path(__file__).parents[2] / "conf"
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
"""Allowed difference between manual and torch, relative to the larger of the point and the start."""


def target(block: dict[str, Any]) -> Any:
    """The object that ``_target_`` names."""
    module, name = block["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


# ---------------------------------------------------------------------------------------------------- objectives

SMALLER: dict[str, dict[str, Any]] = {
    "cnn": {"channels": 1, "samples": 20},
    "mean_field": {"width": 3},
    "mlp": {"hidden": 4, "samples": 20},
    "mlp_square": {"hidden": 4, "samples": 20},
    "many_tensors": {"tensors": 3},
    "transformer": {"width": 4, "context": 64},
}
"""Changes of shipped configurations of objectives whose size would make the laws slow."""
APART = {"cutest": "numpy of an extra, one point at a time: tests/objectives/test_cutest.py has laws of its own for it"}
"""Objectives that the laws leave out, and why."""
_SHIPPED: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted(CONF.glob("objective/*.yaml"))
    if path.stem not in APART
}
WORKLOADS = [name for name, entry in _SHIPPED.items() if signature(target(entry)).return_annotation == "Training"]
"""Training workloads, whose laws are those of ``tests/engine/training/test_workloads.py``."""
CONFIGURATIONS = {name: entry for name, entry in _SHIPPED.items() if name not in WORKLOADS}
OBJECTIVES = list(CONFIGURATIONS)


def build_configured(name: str, changes: dict[str, Any]) -> Objective:
    """The objective of a configuration, with some of its arguments changed; made once for all tests."""
    return made_once(name, tuple(changes.items()))


@cache
def made_once(name: str, changes: tuple[tuple[str, Any], ...]) -> Objective:
    """Cached ``build_configured``."""
    arguments = CONFIGURATIONS[name] | dict(changes)
    stated: Objective = target(arguments)(**{key: value for key, value in arguments.items() if key != "_target_"})
    return stated


def affine(x: dict[str, Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Least squares in a dict of a matrix and a scalar."""
    return ((a @ x["weight"] + x["bias"][..., None, None] - b) ** 2).sum((-1, -2)) / 2


def spread(*shape: int) -> Tensor:
    """Numbers in (-1, 1) without a pattern."""
    return torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) + 1).reshape(shape)


def identity_prox(x: Params, t: Any) -> Params:
    """The proximal map of 0, for proximal methods on objectives that state none."""
    return x


DICT = Objective(
    fn=affine,
    start={"weight": spread(3, 2), "bias": torch.tensor(0.5, dtype=torch.float64)},
    data={"a": spread(4, 3), "b": spread(4, 2)},
    laned=True,
)


@cache
def objective(name: str, dtype: torch.dtype = torch.float64) -> Objective:
    """An objective as shipped, or smaller where that is too slow; ``dict`` is one of a matrix and a scalar."""
    made = DICT if name == "dict" else build_configured(name, SMALLER.get(name, {}))
    return replace(made, prox=made.prox or identity_prox).to(dtype, "cpu")


def points(objective: Objective, count: int, spread: float = 0.1, seed: int = 0) -> list[Params]:
    """Distinct float64 points around the start."""
    near = make_generator(seed)
    start = objective.start_at(0)
    return [
        tree_map(lambda leaf: leaf + spread * leaf.new_empty(leaf.shape).normal_(generator=near), start)
        for _ in range(count)
    ]


# ---------------------------------------------------------------------------------------------------- optimizers


@dataclass(frozen=True)
class Entry:
    """One file of conf/optimizer."""

    manual: dict[str, Any] | None
    torch: dict[str, Any] | None
    default_lr: float
    hyper: dict[str, Any]


def entry(path: Path) -> Entry:
    """What a file of conf/optimizer says."""
    content = yaml.safe_load(path.read_text())
    return Entry(*(content.pop(name) for name in ("manual", "torch", "default_lr")), hyper=content)


OPTIMIZERS = {path.stem: entry(path) for path in sorted(CONF.glob("optimizer/*.yaml"))}
MANUAL = [name for name, entry in OPTIMIZERS.items() if entry.manual]
TORCH = [name for name, entry in OPTIMIZERS.items() if entry.torch]
TWINS = [name for name in MANUAL if name in TORCH]
MATRICES = {"muon"}
"""Methods for matrices only."""
PROXIMAL = {"fista", "ista"}
"""Methods that use the two parts of an objective."""


FACTS = {"smoothness": 2e3, "strong_convexity": 1.0, "minimum": 0.0}
"""The values of what a method must know of an objective: an L that is large enough for all."""


def hypers(name: str, changed: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters of a method as shipped, some changed."""
    shipped = OPTIMIZERS[name]
    facts = {fact: FACTS[fact] for fact in FACTS if shipped.hyper.get(fact, 0) is None}
    return {"lr": shipped.default_lr, **shipped.hyper, **facts, **changed}


def factory(name: str) -> Any:
    """The manual factory of a method."""
    block = OPTIMIZERS[name].manual
    assert block is not None, f"{name} has no manual form"
    return target(block)


def manual(name: str, **changed: Any) -> Method:
    """The manual method."""
    method: Method = factory(name)(**hypers(name, changed))
    return method


def twin(name: str, impl: str = "torch", **changed: Any) -> Method:
    """The method by its torch.optim class."""
    block = OPTIMIZERS[name].torch
    assert block is not None, f"{name} has no torch form"
    return torch_optim(target(block), torch_arguments(block, hypers(name, changed)), impl)


def form(name: str, **changed: Any) -> Method:
    """The manual method, or torch's where there is none."""
    return manual(name, **changed) if OPTIMIZERS[name].manual else twin(name, **changed)


# ---------------------------------------------------------------------------------------------------- step sizes

SHARE = 0.1
"""The step size in units of 1 / L: far from 3.8 / L, where the heavy ball with momentum 0.9 diverges."""
WALK = 20
"""The number of steps for which a step size must be stable."""
BY_LR = 1e-3
"""The step size of methods whose step length does not depend on the gradient."""


def rate(optimizer: str, name: str) -> float:
    """A step size at which a method is stable on an objective.

    A method that searches, or is told of the objective, finds its lengths by itself and keeps its default. One whose
    steps grow with the gradient takes a share of 1 / L, and any other one a small number. Where there are kinks a
    proximal method takes 1 / L of what is smooth.
    """
    shipped = OPTIMIZERS[optimizer]
    if any(shipped.hyper.get(fact, 0) is None for fact in FACTS) or not form(optimizer).constant_cost:
        return shipped.default_lr
    if form(optimizer).proximal and objective(name).smooth:
        return 1 / (objective(name).smoothness or math.nan)
    return stable_lr(name) if follows_gradient(optimizer) else BY_LR


@cache
def follows_gradient(optimizer: str) -> bool:
    """Whether the first steps of a method get longer where the gradient does."""
    plane = torch.linspace(0.5, 2.0, 12, dtype=torch.float64).reshape(3, 4)
    moved = []
    for scale in (1.0, 4.0):
        slope = Objective(
            fn=lambda x, scale=scale: scale * (plane * x).sum(), start=torch.ones_like(plane), prox=identity_prox
        )
        ends, _ = path(form(optimizer, lr=1e-6), slope, 6)
        moved.append(float((ends[-1] - ends[0]).norm()))  # type: ignore[operator,union-attr]
    return moved[1] > 2 * moved[0]


@cache
def stable_lr(name: str) -> float:
    """A share of 1 / L, L being the largest curvature met by the heavy ball that takes this very step size."""
    of = objective(name)
    bound = curvature(of, of.start_at(0))
    for _ in range(40):
        lr = SHARE / bound
        seen, losses = path(manual("momentum", lr=lr), of, WALK)
        first, last = (float(of.value(x)) for x in (seen[0], seen[-1]))  # of all data, where steps see batches
        met = [curvature(of, seen[index]) for index in (WALK // 4, WALK // 2, WALK)]
        if torch.tensor([*losses, *met]).isfinite().all() and max(met) <= 2 * bound and last <= first:
            return lr
        bound *= 4
    raise AssertionError(f"{name} has no step size at which the heavy ball goes down")


def curvature(of: Objective, x: Params, trips: int = 8) -> float:
    """About the largest eigenvalue of the Hessian at x: power iteration on differences of the gradient."""
    ask = oracle(of, laned=False)
    _, here = ask.grad(x, 0)
    reach = 1e-5 * (1 + float(dot(x, x, laned=False)) ** 0.5)
    along = tree_map(lambda leaf: torch.sin(torch.arange(leaf.numel()).to(leaf) + 1).reshape(leaf.shape), x)
    size = torch.nan
    for _ in range(trips):
        length = float(dot(along, along, laned=False)) ** 0.5
        there = tree_map(lambda leaf, way, length=length: leaf + reach / max(length, 1e-300) * way, x, along)
        along = tree_map(lambda a, b: (a - b) / reach, ask.grad(there, 0)[1], here)
        size = float(dot(along, along, laned=False)) ** 0.5
    return max(size, 1e-3) if size == size else size


# ---------------------------------------------------------------------------------------------------------- paths


def path(method: Method, objective: Objective, steps: int) -> tuple[list[Params], list[float]]:
    """The points x_0 ... x_steps of a run alone, and the losses at all but the last."""
    points: list[Params] = []
    losses: list[float] = []

    def look(k: int, x: Params, seen: StepInfo) -> None:
        points.append(x)
        losses.append(float(seen.loss.detach()))

    last, _ = descent(method, oracle(objective, laned=False), objective.start_at(0), range(steps), look=look)
    return [*points, tree_map(Tensor.detach, last)], losses


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """NAdam and others of torch.optim keep scalars in torch's default dtype; here it is the one of the run."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def apart(a: Params, b: Params, start: Params) -> float:
    """The difference of two points, relative to the larger of the second and the start (largest coordinates)."""
    there, here, origin = (flatten(tree, laned=False).double() for tree in (a, b, start))
    return float((there - here).abs().max() / torch.maximum(here.abs().max(), origin.abs().max()))


def same(a: Params, b: Params) -> bool:
    """Equality to the last bit."""
    return all(torch.equal(u, v) for u, v in zip(leaves(a), leaves(b), strict=True))


def manual_equals_torch(
    name: str, objective: Objective, dtype: torch.dtype, lr: float, steps: int, impl: str = "torch", **changed: Any
) -> None:
    """Manual and torch have the same trajectory, until the loss is at its rounding errors."""
    objective = objective.to(dtype, "cpu")
    with default_dtype(dtype):
        ours, losses = path(manual(name, lr=lr, **changed), objective, steps)
        theirs, _ = path(twin(name, impl, lr=lr, **changed), objective, steps)
    floor = float("-inf")
    if objective.minimum is not None:
        floor = objective.minimum + 16 * torch.finfo(dtype).eps * max(abs(objective.minimum), abs(losses[0]))
    for k, loss in enumerate(losses):
        assert loss == loss, f"{name} {changed}: NaN after {k} steps"
        if loss <= floor:
            return
        distance = apart(ours[k + 1], theirs[k + 1], ours[0])
        assert distance <= TOLERANCE[dtype], f"{name} {changed}: {distance:.1e} apart after {k + 1} steps"
