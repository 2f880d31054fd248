"""Whether the runs of a training cell can be lanes: verified by value before they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdbench.config.user_modules import USER_ERRORS
from gdbench.engine.random_state import set_globals
from gdbench.engine.training.closeness import is_close, is_close_tree
from gdbench.objectives.training import TRAIN
from gdbench.objectives.training_data import list_tensors
from gdbench.tree import select_run, stack_runs

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell

__all__ = ["explain_unbatchable_training"]

CHECKED_RUNS = 3


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
