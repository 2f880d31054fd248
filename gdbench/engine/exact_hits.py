"""The very step at which a run first reaches its target, between two judged steps: the run is made again up to there.

Steps up to the judged hit are repeated, which are the same as before, and each step since the judgement before it is
judged. None of this counts as the method's work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.engine.observer_state import compute_judged_loss
from gdbench.engine.random_state import set_globals
from gdbench.engine.tensor_stats import to_numpy
from gdbench.engine.training.functional import read_judged_buffers
from gdbench.engine.training.judge import TRAIN_LOSS
from gdbench.engine.training.target_reached import find_reached
from gdbench.tree import Params

if TYPE_CHECKING:
    from gdbench.engine.cell import Cell

__all__ = ["find_exact_hits", "find_no_hits"]

Array = npt.NDArray[Any]
IsReached = Callable[[int, Params, Any], Array]
"""``is_reached(k, x, state)``: which runs are at their target at x_k."""


def find_no_hits(runs: int) -> Array:
    """The exact hits ``[3, runs]`` of runs that are not made again: -1."""
    return np.full((3, runs), -1, dtype=np.int64)


def find_exact_hits(
    cell: Cell, laned: bool, hits: Array, thresholds: Tensor, before_steps: Callable[[int], None]
) -> Array:
    """The first-hit step of every run, and gradients and evaluations before it, ``[3, runs]``; -1 where it has none.

    ``hits`` are the judged first hits ``[runs]``, beyond the last step without one; ``thresholds`` the losses to reach.
    """
    exact = find_no_hits(len(hits))
    before = (hits - 1) // cell.judge_every * cell.judge_every
    replayed = (hits > 0) & (hits <= cell.steps)
    wanted = {k for first, hit in zip(before[replayed], hits[replayed], strict=True) for k in range(first + 1, hit + 1)}
    if not wanted:
        return exact
    oracle = cell.oracle(laned)
    x = cell.starts() if laned else cell.start(int(cell.seeds[0]))
    method = cell.make_method(cell.laned_hyper()) if laned else cell.solo_method(0)
    is_reached = _make_check(cell, laned, oracle, thresholds)
    state, work = method.begin(x, laned), np.zeros((2, len(hits)), dtype=np.int64)
    for k in range(max(wanted) + 1):
        if k in wanted:
            before_steps(0)
            reached = is_reached(k, method.output_at(x, state), state) | (hits == k)
            found = replayed & (exact[0] < 0) & (k > before) & (k <= hits) & reached
            exact[:, found] = np.vstack([np.full(len(hits), k), work])[:, found]
        x, state, info = method.step(oracle, k, x, state)
        work += np.stack([np.broadcast_to(_to_counts(count), len(hits)) for count in info[2:]])
    return exact


def _to_counts(count: int | Tensor) -> Array:
    """Work of a step, one number or one for each run."""
    return to_numpy(count) if isinstance(count, Tensor) else np.array(count)


def _make_check(cell: Cell, laned: bool, oracle: Any, thresholds: Tensor) -> IsReached:
    """What says which runs are at their target: a loss, or conditions on metrics."""
    training_judge = cell.training_judge(laned) if cell.objective.training else None

    def judge_training(k: int, x: Params, state: Any) -> dict[str, Tensor]:
        assert training_judge is not None
        if not laned:
            set_globals(cell.draws, int(cell.seeds[0]), k)
        return training_judge.judge(x, read_judged_buffers(oracle, state))

    def check_metrics(k: int, x: Params, state: Any) -> Array:
        values = judge_training(k, x, state)
        assert cell.target_metric is not None
        # In float64, as they are recorded: 0.7 in float32 is not 0.7.
        numbers = {name: np.atleast_1d(to_numpy(value)).astype(np.float64) for name, value in values.items()}
        return find_reached(cell.target_metric, numbers)

    def check_loss(k: int, x: Params, state: Any) -> Array:
        if training_judge is not None:
            loss = judge_training(k, x, state)[TRAIN_LOSS]
        else:
            judge = cell.judge(laned)
            loss = judge.grad(x, k)[0] if judge.full is None else judge.full.value(x, k)
        with torch.no_grad():
            return np.atleast_1d(to_numpy(compute_judged_loss(loss, thresholds.dtype, cell.maximize) <= thresholds))

    return check_loss if cell.target_metric is None else check_metrics
