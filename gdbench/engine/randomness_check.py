"""Checks of a cell before it runs: which global generators it draws from, and whether its first steps repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.cell import Cell
from gdbench.engine.descent import descent
from gdbench.engine.random_state import find_moved, preserve_globals, read_states
from gdbench.errors import Unavailable
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params, leaves, tree_map

__all__ = ["LateDraws", "ProgressCallback", "find_draws", "find_late_draws", "is_seed_effective", "run_seeded"]

ProgressCallback = Callable[[int], None]
"""Called with the number of steps made, summed over runs."""

Result = TypeVar("Result")

CHECKED_STEPS = 3
"""Steps that are tried, twice: enough for what draws in every step or makes its state in the first or second."""


def run_seeded(cell: Cell, progress: ProgressCallback, run: Callable[[Cell, bool, ProgressCallback], Result]) -> Result:
    """The result of ``run(cell, repeats, progress)``, after the cell's random draws were found.

    ``repeats`` says whether its first steps repeat. The global generators are afterwards as they were. Where a run
    draws in a later step than the first few, all is done once more, with its generators set from (seed, step).
    """
    with preserve_globals():
        cell, repeats = find_draws(cell)
        while True:
            refuse_compiled_draws(cell)
            counter = ProgressCounter(progress)
            try:
                return run(cell, repeats, counter)
            except LateDraws as late:
                progress(-counter.lane_steps)
                cell = replace(cell, draws=cell.draws | late.names)


class ProgressCounter:
    """A progress callback that counts, so that repeated steps can be subtracted."""

    def __init__(self, progress: ProgressCallback) -> None:
        self.pulse, self.lane_steps = progress, 0

    def __call__(self, lane_steps: int) -> None:
        """Count and pass on so many steps of runs."""
        self.lane_steps += lane_steps
        self.pulse(lane_steps)


def find_draws(cell: Cell) -> tuple[Cell, bool]:
    """The cell with the global generators that it draws from, and whether its first steps repeat bit for bit.

    One run takes them alone, eagerly, and takes them again: with the generators set from (seed, step) where the first
    time has moved them. A run that differs then draws from somewhere else, or depends on what ran before it. What is
    drawn for the first time later on is found by ``find_late_draws``.
    """
    if cell.device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # its generators exist from then on
    before = read_states()
    first = record_first_steps(cell)
    drawn = find_moved(before)
    if drawn:
        cell = replace(cell, draws=cell.draws | drawn)
        first = record_first_steps(cell)
    again = record_first_steps(cell)
    return cell, len(first) == len(again) and all(map(is_bitwise_equal, first, again))


def record_first_steps(cell: Cell) -> list[Tensor]:
    """The losses of the first steps of one run and its last point, up to an exception.

    Where the run is to be timed it is copied, too: an optimizer that cannot be is Unavailable.
    """
    numbers: list[Tensor] = []

    def look(k: int, x: Params, seen: StepInfo) -> None:
        numbers.append(seen.loss.detach().clone())

    try:
        oracle, judge = cell.oracle(laned=False), cell.judge(laned=False)
        x = tree_map(lambda leaf: leaf.detach().clone(), cell.start(int(cell.seeds[0])))  # a step may write to it
        numbers.append((judge.full or judge).value(x, 0).detach().clone())
        method = cell.solo_method(0, eager=True)
        x, state = descent(method, oracle, x, range(min(CHECKED_STEPS, cell.steps)), look=look)
        numbers.extend(leaf.detach().clone() for leaf in leaves(x))
    except USER_ERRORS:
        return numbers
    if cell.seconds:
        method.copy(x, state)
    return numbers


def is_bitwise_equal(first: Tensor, second: Tensor) -> bool:
    """Equality to the last bit, NaN being equal to NaN."""
    return first.shape == second.shape and bool(((first == second) | (first.isnan() & second.isnan())).all())


def refuse_compiled_draws(cell: Cell) -> None:
    """Raise Unavailable where a compiled step would draw: its graph has a stream of its own, or none."""
    if cell.make_method.is_compiled and cell.draws:
        raise Unavailable(
            f"the step or the objective draws at random ({', '.join(sorted(cell.draws))}), which a compiled graph does"
            " otherwise than Python code; use impl=manual"
        )


class LateDraws(Exception):
    """A later step drew at random; ``names`` are the generators."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


def find_late_draws(cell: Cell, before: Mapping[str, Any]) -> None:
    """Raise LateDraws where a pass over all steps has moved generators that the first steps left alone.

    Not of compiled steps: their graph has no branch that a later step could take, and the compiler draws for itself.
    """
    names = frozenset[str]() if cell.make_method.is_compiled else find_moved(before) - cell.draws
    if names:
        raise LateDraws(names)


def is_seed_effective(cell: Cell, columns: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether the seed changes anything.

    Where it could do so only by what a run draws, runs that differ in the seed alone must not all be copies: code that
    sets its generator itself draws the same for every seed.
    """
    if not cell.draws or replace(cell, draws=frozenset()).seed_matters():
        return cell.seed_matters()
    outcome = ("status", "status_step", "start_loss", "best_loss", "final_loss", "grad_norm", "gradient_evals")
    names = [name for name in outcome if name in columns]
    results: dict[tuple[Any, ...], dict[int, list[str]]] = {}
    for row in range(cell.size):
        numbers = tuple(cell.solo_hyper(row).values())
        results.setdefault(numbers, {})[int(cell.seeds[row])] = [str(columns[name][row]) for name in names]
    pairs = [list(by_seed.values()) for by_seed in results.values() if len(by_seed) > 1]
    return not pairs or any(result != runs[0] for runs in pairs for result in runs)
