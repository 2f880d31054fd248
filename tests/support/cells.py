"""Small cells, and losses written down by hand, for the tests of what runs cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdbench.engine.cell import Cell
from gdbench.engine.compile.program import CompiledLanes, Program
from gdbench.engine.compile.step_code import ObservePoint
from gdbench.engine.runner import run_cell
from gdbench.objectives import Objective
from gdbench.optimizers import Hyper, Method, first_order
from gdbench.optimizers.sgd import gd

HITS = [f"hit_1e-{power:02d}" for power in range(1, 13)]


@dataclass(frozen=True)
class Tiny:
    """A maker that calls a factory."""

    make: Callable[..., Method] = gd
    lanes: bool = True
    is_compiled: bool = False
    uses_module: bool = False
    compile_s: float | None = None
    implementation: str = "tiny"

    def __call__(self, hyper: Mapping[str, Hyper]) -> Method:
        """The method with these hyper-parameters."""
        return self.make(**hyper)

    eager = __call__


class Compiled:
    """A maker whose steps are compiled, by ``backend``."""

    lanes = is_compiled = True
    uses_module = False
    implementation = "compiled"

    def __init__(self, make: Callable[..., Method] = gd, backend: str = "eager") -> None:
        self.make, self.program = make, Program(make, backend)

    @property
    def compile_s(self) -> float:
        """Seconds that torch.compile has taken."""
        return self.program.compile_s

    def __call__(self, hyper: Mapping[str, Hyper]) -> Method:
        """The method with these hyper-parameters, for a run alone."""
        return self.program.method(hyper)

    def eager(self, hyper: Mapping[str, Hyper]) -> Method:
        """The same, never compiled."""
        return self.make(**hyper)

    def in_lanes(self, hyper: Mapping[str, Hyper], look: ObservePoint) -> CompiledLanes:
        """The same, compiled, with numbers a lane."""
        return self.program.in_lanes(hyper, look)


def parabola(**more: Any) -> Objective:
    """x^2 of one number from 1, which gradient descent with lr = 1/4 halves in each step."""
    start = more.get("start", torch.ones((), dtype=torch.float64))
    minimiser = torch.zeros(() if callable(start) else start.shape, dtype=torch.float64)
    stated = {"minimum": 0.0, "minimisers": (minimiser,), "laned": True}
    return Objective(**{"fn": lambda x: x**2, "start": start, **stated, **more})


def small(objective: Objective, make: Any = gd, lr: float | Sequence[float] = 0.25, **more: Any) -> Cell:
    """A cell of as many runs as there are step sizes, or seeds; untimed unless asked."""
    seeds = np.atleast_1d(np.asarray(more.pop("seeds", 0), dtype=np.int64))
    rates = np.atleast_1d(np.asarray(lr, dtype=np.float64))
    runs = max(len(seeds), len(rates))
    settings = {"steps": 10, "dtype": torch.float64, "device": torch.device("cpu"), "trace": "none", **more}
    maker = make if isinstance(make, Tiny | Compiled) else Tiny(make)
    return Cell(objective, maker, {"lr": np.resize(rates, runs)}, np.resize(seeds, runs), **settings)


def row(cell: Cell, index: int = 0) -> dict[str, Any]:
    """One run's columns as plain values, None where null."""
    return {name: plain(column, index) for name, column in run_cell(cell).columns.items()}


def plain(column: Any, index: int) -> Any:
    """One value of a column, None where null."""
    value = column[index]
    if value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value


def hits(row: Mapping[str, Any]) -> list[Any]:
    """The first hits of the ladder."""
    return [row[name] for name in HITS]


def scripted(*sequences: Sequence[float], **more: Any) -> Objective:
    """An objective whose loss after k steps of ``walk`` stands in a list, one list a seed."""
    table = torch.tensor(sequences, dtype=torch.float64)

    def fn(x: Tensor, table: Tensor) -> Tensor:
        seed, k = x.detach().long().unbind(-1)
        return table[seed, k] + 0 * x.sum(-1)

    def start(seed: int) -> Tensor:
        return torch.tensor([seed, 0], dtype=torch.float64)

    return Objective(**{"fn": fn, "start": start, "data": {"table": table}, "laned": True, **more})


def walk(lr: Hyper) -> Method:
    """Turns to the next entry of a scripted objective."""
    return first_order(lambda x: (), lambda k, grad, state, x: (x + x.new_tensor([0, 1]), state))


def told(losses: Sequence[float], **more: Any) -> dict[str, Any]:
    """What the runner makes of a list of losses."""
    objective = scripted(losses, **{name: more.pop(name) for name in ("minimum",) if name in more})
    return row(small(objective, walk, steps=len(losses) - 1, **more))


def first_at_or_below(losses: Sequence[float], level: float) -> int | None:
    """The index of the first loss at or below a level."""
    return next((k for k, loss in enumerate(losses) if loss <= level and math.isfinite(loss)), None)
