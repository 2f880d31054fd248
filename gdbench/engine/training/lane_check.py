"""Whether the runs of a training cell can be lanes: verified by value before they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.random_state import set_globals
from gdbench.objectives.training import TRAIN
from gdbench.objectives.training_data import list_tensors
from gdbench.tree import Params, leaves, select_run, stack_runs

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell

__all__ = ["explain_unbatchable_training"]

CHECKED_RUNS = 3
ROUNDING = 2**10
"""Losses and gradients in lanes and alone agree to so many roundings: sums over a batch differ in their order."""


def explain_unbatchable_training(cell: Cell) -> str | None:
    """Why the runs of a training cell cannot be lanes; None if losses, gradients and metrics there are those alone."""
    if not list_tensors(cell.objective.data, TRAIN):
        return "the batches come from a Dataset or a loader, one run at a time"
    if cell.draws - {"torch"}:
        return f"each run draws at random from its own seed ({', '.join(sorted(cell.draws - {'torch'}))})"
    few = cell.take(np.arange(cell.size)[:: max(1, cell.size // CHECKED_RUNS)][:CHECKED_RUNS])
    try:
        points = [few.start(int(seed)) for seed in few.seeds]
        oracle, x = few.oracle(laned=True), stack_runs(points)
        loss, grad = oracle.grad(x, 1)
        scores = few.training_judge(laned=True).judge(x, oracle.buffers)  # type: ignore[union-attr]
    except USER_ERRORS as error:
        return f"vmap refuses ({' '.join(str(error).split())[:120]})"
    for row, point in enumerate(points):
        alone = few.oracle(laned=False, row=row)
        set_globals(few.draws, int(few.seeds[row]), 1)
        one, slope = alone.grad(point, 1)
        judged = few.training_judge(laned=False).judge(point, alone.buffers)  # type: ignore[union-attr]
        pairs = [(loss[row], one), *((scores[name][row], judged[name]) for name in judged)]
        if not (all(is_close(*pair) for pair in pairs) and is_close_tree(select_run(grad, row), slope)):
            return "vmap gives other losses than one run at a time"
    return None


def is_close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are equal but for rounding, relative to the largest number."""
    largest = float(b.abs().max()) if b.numel() else 0.0
    bound = ROUNDING * torch.finfo(b.dtype).eps * max(largest, torch.finfo(b.dtype).tiny)
    return torch.allclose(a, b, rtol=0.0, atol=bound, equal_nan=True)


def is_close_tree(a: Params, b: Params) -> bool:
    """The same of two trees, relative to their largest number."""
    largest = max(float(leaf.abs().max()) for leaf in leaves(b))
    bound = ROUNDING * torch.finfo(leaves(b)[0].dtype).eps * largest
    pairs = zip(leaves(a), leaves(b), strict=True)
    return all(torch.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True) for one, other in pairs)
