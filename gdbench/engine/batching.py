"""How the runs of a cell are executed: as lanes of one batch, by vmap, or one by one; and why."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.cell import Cell
from gdbench.engine.compile.state_structure import describe_form
from gdbench.engine.descent import descent
from gdbench.engine.oracle import oracle
from gdbench.engine.training.lane_check import explain_unbatchable_training
from gdbench.errors import UsageError
from gdbench.objectives.base import Prox
from gdbench.optimizers.base import CompositeParts, Step
from gdbench.results.constant_column import is_constant
from gdbench.tree import Params, dot, leaves, numel, select_run, stack_runs, tree_map

__all__ = ["check_scalar", "choose_execution_mode", "find_overflowing_runs", "split_into_chunks"]

Array = npt.NDArray[Any]
CACHE_NUMBERS = 2**18
"""x and its like hold at most so many numbers in a chunk of lanes; a quarter where a graph holds the observer too."""
MODULE_NUMBERS = 2**20
"""The same of modules: their steps have more operations, each of which takes a time of its own."""
MIN_CHUNK_LANES = 16


def choose_execution_mode(cell: Cell) -> tuple[bool, str]:
    """Whether the convergence pass runs in lanes, and how in words, for the column ``implementation``."""
    if cell.size == 1:
        return False, "solo"
    if not cell.make_method.lanes:
        return False, "run by run: torch.optim objects hold one run"
    if cell.draws and cell.objective.training is None:
        return False, f"run by run: each run draws at random from its own seed ({', '.join(sorted(cell.draws))})"
    if cell.dtype in (torch.float16, torch.bfloat16):
        return False, "run by run: a lane's own lr would be rounded to half precision"
    if refusal := _explain_unbatchable_method(cell):
        return False, f"run by run: the method does not accept a number per lane ({refusal})"
    if cell.objective.training is not None:
        refusal = explain_unbatchable_training(cell)
        return (True, "lanes by vmap") if refusal is None else (False, f"run by run: {refusal}")
    try:
        points = _make_distinct_points(cell.start(int(cell.seeds[0])))
        solo = torch.stack([cell.objective.value(point).detach() for point in points])
    except USER_ERRORS as error:
        if not cell.starts_differ():  # every run fails here
            raise
        return False, f"run by run: the objective raises at a start ({_shorten(error)})"
    if cell.objective.is_stochastic and (refusal := _explain_unbatchable_draws(cell, points)):
        return False, refusal
    if cell.objective.laned:
        if not _is_close(cell.objective.value(stack_runs(points)), solo):
            raise UsageError(
                "the objective says laned=True but maps [L, ...] to other losses than one point at a time:"
                " sum over the event axes only (dim=-1), or leave laned out."
            )
        return True, "lanes"
    try:
        way = oracle(cell.objective, laned=True)
        laned = (way.full or way).grad(stack_runs(points), 0)[0]
    except USER_ERRORS as error:  # what vmap cannot trace can still run one by one
        return False, f"run by run: vmap refuses ({_shorten(error)})"
    if not _is_close(laned, solo):
        return False, "run by run: vmap gives other losses than one point at a time"
    return True, "lanes by vmap"


def _explain_unbatchable_draws(cell: Cell, points: list[Params]) -> str | None:
    """Why lanes cannot each have their own batch: vmap fails or mixes them up; None if they can."""
    seeds = torch.arange(len(points), device=cell.device)
    solo = [cell.objective.batch_value(point, seed, 0).detach() for point, seed in zip(points, seeds, strict=True)]
    try:
        laned = oracle(cell.objective, laned=True).of(seeds).grad(stack_runs(points), 0)[0]
    except USER_ERRORS as error:
        return f"run by run: vmap refuses batches ({_shorten(error)})"
    return (
        None if _is_close(laned, torch.stack(solo)) else "run by run: vmap gives other batches than one run at a time"
    )


def find_overflowing_runs(cell: Cell) -> Array:
    """Which runs have a hyper-parameter that overflows in the dtype: torch may refuse it, lanes would have infinity.

    Compiled steps hold hyper-parameters as float64 tensors in any case.
    """
    beyond = np.zeros(cell.size, dtype=bool)
    if not cell.make_method.is_compiled:
        most = torch.finfo(cell.dtype).max
        for column in cell.hyper.values():
            beyond |= np.abs(column[:1] if is_constant(column) else column) > most
    return beyond


def split_into_chunks(cell: Cell, rows: Array, laned: bool) -> list[Array]:
    """Rows that run together: as many as keep a tensor within a core's cache; without lanes, one by one."""
    if not laned:
        return list(rows[:, None])
    if cell.make_method.is_compiled and cell.device.type != "cpu":  # only a CPU has a cache to keep chunks in
        return [rows]
    if cell.objective.training is not None:
        numbers = MODULE_NUMBERS
    else:
        numbers = CACHE_NUMBERS // 4 if cell.make_method.is_compiled else CACHE_NUMBERS
    lanes = max(MIN_CHUNK_LANES, numbers // numel(cell.start(int(cell.seeds[0]))))
    return np.array_split(rows, math.ceil(len(rows) / lanes))


def check_scalar(value: object, x: Params) -> None:
    """``UsageError`` unless an objective returned a scalar that depends differentiably on x, from which it came."""
    if not isinstance(value, Tensor):
        raise UsageError(f"the objective returned {type(value).__name__}, not a tensor: end it with .sum() or .mean().")
    if value.dim():
        raise UsageError(
            f"the objective returned a tensor of shape {list(value.shape)}, not a scalar:"
            " end it with .sum() or .mean()."
        )
    if not value.requires_grad:
        raise UsageError(
            "the objective is not differentiable: its value does not depend on x through torch operations"
            " (no .detach(), .item(), .data or numpy between x and the result)."
        )
    if all(slope is None for slope in torch.autograd.grad(value, leaves(x), retain_graph=True, allow_unused=True)):
        raise UsageError("the objective does not depend on x: its value is computed from other tensors alone.")


def _explain_unbatchable_method(cell: Cell) -> str | None:
    """Why a method cannot run in lanes: it raises, or gives other points than run by run; None if it can.

    Tested by value, with two steps on a quadratic that supports lanes: a number per lane that is not shaped to
    broadcast over x would otherwise be applied to its coordinates.
    """
    few = cell.take(_select_extreme_runs(cell))
    start = cell.start(int(cell.seeds[0]))
    points = [tree_map(lambda leaf, i=i: torch.full_like(leaf, 1 + i / 4), start) for i in range(few.size)]
    together, apart = (_QuadraticOracle(laned, cell.objective.prox) for laned in (True, False))
    try:
        x, state = descent(cell.make_method.eager(few.laned_hyper()), together, stack_runs(points), range(2))
        describe_form(state)  # dropping lanes needs it
    except USER_ERRORS as error:
        return _shorten(error)
    for row, point in enumerate(points):
        try:
            alone, _ = descent(cell.make_method.eager(few.solo_hyper(row)), apart, point, range(2))
        except USER_ERRORS as error:
            return f"one of its runs raises, which lanes would hide: {_shorten(error)}"
        if not all(_is_close(a, b, atol=2.0) for a, b in zip(leaves(select_run(x, row)), leaves(alone), strict=True)):
            return "it gives other points than run by run; see gdbench.tree.per_run"
    return None


def _select_extreme_runs(cell: Cell) -> npt.NDArray[np.intp]:
    """The first, middle and last run, and those with the smallest and largest value of each swept hyper-parameter.

    Values that a method rejects are most often among these.
    """
    varied = [column for column in cell.hyper.values() if not is_constant(column)]
    ends = [int(end) for column in varied for end in (column.argmin(), column.argmax())]
    return np.unique([0, cell.size // 2, cell.size - 1, *ends])


@dataclass(frozen=True)
class _QuadraticOracle:
    """The oracle of sum(x^2) / 2, whose gradient is x and whose Hessian is 1, with the objective's own prox."""

    laned: bool
    prox: Prox | None = None
    full: None = None

    @property
    def split(self) -> CompositeParts | None:
        return None if self.prox is None else CompositeParts(_QuadraticOracle(self.laned), self.prox)

    def value(self, x: Params, k: Step) -> Tensor:
        return dot(x, x, self.laned) / 2

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        return self.value(x, k), x

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        return v


def _shorten(error: BaseException) -> str:
    return textwrap.shorten(str(error), 120, placeholder=" …")


def _make_distinct_points(start: Params, count: int = 3) -> list[Params]:
    """Points near the start with different values, so that mixed-up lanes are detected."""
    return [tree_map(lambda leaf, i=i: leaf * (1 + 0.01 * i) + 0.01 * i, start) for i in range(count)]


def _is_close(laned: Tensor, solo: Tensor, atol: float = 0.0) -> bool:
    """Whether two tensors are equal but for rounding of themselves, and of numbers as large as ``atol``."""
    rounding = 64 * torch.finfo(solo.dtype).eps
    same_shape = laned.shape == solo.shape
    return same_shape and torch.allclose(laned, solo, rtol=rounding, atol=rounding * atol, equal_nan=True)
