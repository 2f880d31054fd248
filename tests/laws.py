"""Laws that every method obeys, written once over conf/optimizer and crossed with objectives by the tests."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from gdbench.descent import descent
from gdbench.objectives import Objective
from gdbench.optimizers import Method, Seen
from gdbench.optimizers.torch_optim import torch_arguments, torch_optim
from gdbench.oracle import oracle
from gdbench.params import Params, flat, tree_map

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
"""How far manual and torch may part, relative to the larger of the point and the start."""


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


OPTIMIZERS = {path.stem: entry(path) for path in sorted(Path(__file__).parents[1].glob("conf/optimizer/*.yaml"))}
FACTS = {"smoothness": 1.0, "strong_convexity": 0.1, "minimum": 0.0}
"""What a method is told of an objective that it must know something of: lr is then the step in units of 1 / L."""
MANUAL = [name for name, each in OPTIMIZERS.items() if each.manual]
TWINS = [name for name, each in OPTIMIZERS.items() if each.manual and each.torch]


def target(block: dict[str, Any]) -> Any:
    """The object that ``_target_`` names."""
    module, name = block["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def hypers(name: str, changed: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters of a method as shipped, some changed."""
    shipped = OPTIMIZERS[name]
    facts = {fact: FACTS[fact] for fact, number in shipped.hyper.items() if number is None}
    return {"lr": shipped.default_lr, **shipped.hyper, **facts, **changed}


def factory(name: str) -> Any:
    """The factory of our own form of a method."""
    block = OPTIMIZERS[name].manual
    assert block is not None, f"{name} has no manual form"
    return target(block)


def manual(name: str, **changed: Any) -> Method:
    """Our own form of a method."""
    method: Method = factory(name)(**hypers(name, changed))
    return method


def twin(name: str, impl: str = "torch", **changed: Any) -> Method:
    """The torch.optim form of a method."""
    block = OPTIMIZERS[name].torch
    assert block is not None, f"{name} has no torch form"
    return torch_optim(target(block), torch_arguments(block, hypers(name, changed)), impl)


def path(method: Method, objective: Objective, steps: int) -> tuple[list[Params], list[float]]:
    """The points x_0 ... x_steps of a run alone, and the losses at all but the last."""
    points: list[Params] = []
    losses: list[float] = []

    def look(k: int, x: Params, seen: Seen) -> None:
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
    """How far apart two points are, relative to the larger of the second and the start (largest coordinates)."""
    there, here, origin = (flat(each, laned=False).double() for each in (a, b, start))
    return float((there - here).abs().max() / torch.maximum(here.abs().max(), origin.abs().max()))


def manual_equals_torch(
    name: str, objective: Objective, dtype: torch.dtype, lr: float, steps: int, impl: str = "torch", **changed: Any
) -> None:
    """Our form of a method and torch's walk the same path, until the loss is down at its rounding errors."""
    objective = objective.to(dtype, "cpu")
    with default_dtype(dtype):
        ours, losses = path(manual(name, lr=lr, **changed), objective, steps)
        theirs, _ = path(twin(name, impl, lr=lr, **changed), objective, steps)
    floor = float("-inf")
    if objective.minimum is not None:
        floor = objective.minimum + 16 * torch.finfo(dtype).eps * max(abs(objective.minimum), abs(losses[0]))
    for k, loss in enumerate(losses):
        if loss <= floor:
            return
        distance = apart(ours[k + 1], theirs[k + 1], ours[0])
        assert distance <= TOLERANCE[dtype], f"{name} {changed}: {distance:.1e} apart after {k + 1} steps"
