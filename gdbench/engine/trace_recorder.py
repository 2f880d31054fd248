"""Records traces: losses, gradient norms and points of some runs at some steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.config.spacing import space_logarithmically
from gdbench.engine.cell import Cell
from gdbench.engine.observer import Observer
from gdbench.engine.point_digest import digest_point, list_marked_steps
from gdbench.engine.tensor_stats import compute_norms, to_numpy, widen_loss
from gdbench.optimizers.base import Oracle
from gdbench.tree import Params, flatten, numel, tree_map

__all__ = ["MAX_TRACED_RUNS", "MAX_TRACED_SIZE", "TraceRecorder", "select_traced_runs", "select_traced_steps"]


Array = npt.NDArray[Any]


MAX_TRACED_SIZE = 16
"""Points of at most this many numbers are recorded in traces."""
MAX_TRACED_RUNS = 1000
"""Log-spaced traces are stored for at most this many runs of a cell, evenly chosen."""


def select_traced_runs(cell: Cell) -> Array:
    """Rows of the runs whose traces are stored: all, or, log-spaced, at most MAX_TRACED_RUNS, evenly chosen."""
    if cell.trace == "log" and cell.size > MAX_TRACED_RUNS:
        return np.linspace(0, cell.size - 1, MAX_TRACED_RUNS).round().astype(np.int64)
    return np.arange(0 if cell.trace == "none" else cell.size)


def select_traced_steps(steps: int, trace: str) -> Array:
    """The steps of a trace: all, none, or the start, ten per decade and the end."""
    if trace == "none":
        return np.empty(0, dtype=np.int64)
    if trace == "full":
        return np.arange(steps + 1)
    count = 1 + math.ceil(10 * math.log10(steps))
    spaced = space_logarithmically(Decimal(1), Decimal(steps), count) if steps > 1 else np.ones(1)
    return np.unique(np.concatenate([[0], np.rint(spaced), [steps]]).astype(np.int64))


def round_to_judged(traced: Array, interval: int, steps: int) -> Array:
    """The judged steps at or after some steps: the multiples of ``interval``, and the last step."""
    return traced if interval == 1 else np.unique(np.minimum(-(-traced // interval) * interval, steps))


class TraceRecorder:
    """Records loss, gradient norm and, where it is small, x at the traced steps; all stays on the device meanwhile."""

    def __init__(self, cell: Cell, laned: bool, traced: Array, full: Oracle | None) -> None:
        self.full = full
        self.steps = round_to_judged(select_traced_steps(cell.steps, cell.trace), cell.judge_every, cell.steps)
        self.wanted = frozenset(self.steps.tolist() if len(traced) else [])
        self.marks: dict[int, bytes] | None = None if laned or not cell.seconds else {}
        self.marked = frozenset(list_marked_steps(cell.steps) if self.marks is not None else [])
        self.noted = self.wanted | self.marked
        self.traced, self.laned = traced, laned
        self.pick: Callable[[Tensor], Tensor] = lambda leaf: leaf
        if laned and len(traced) < cell.size:
            index = torch.from_numpy(traced).to(cell.device)
            self.pick = lambda leaf: leaf[index]
        self.keep_x = numel(cell.start(int(cell.seeds[0]))) <= MAX_TRACED_SIZE
        self.sign = -1.0 if cell.maximize else 1.0
        self.seen: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def record(self, k: int, observer: Observer, x: Params, loss: Tensor, grad: Params) -> None:
        """Record what step k shows, where it is a wanted one."""
        if k not in self.noted:
            return
        self.mark(k, x)
        if k not in self.wanted:
            return
        if self.full is not None:  # steps saw other gradients
            grad = self.full.grad(x, k)[1]
        x, loss, grad = observer.expand((x, loss.detach(), grad))
        loss = self.pick(widen_loss(loss)) * self.sign
        norm = compute_norms(tree_map(self.pick, grad), self.laned)
        point = flatten(tree_map(lambda leaf: self.pick(leaf.detach()), x), self.laned).clone() if self.keep_x else None
        self.seen.append((loss, norm, point))

    def mark(self, k: int, x: Params) -> None:
        """Record the digest of the point, where step k is a marked one."""
        if self.marks is not None and k in self.marked:
            self.marks[k] = digest_point(x)

    def to_arrays(self) -> dict[str, Any]:
        """What was recorded, as arrays on the CPU."""
        runs = len(self.traced)
        losses = [np.atleast_1d(to_numpy(loss)) for loss, _, _ in self.seen]
        norms = [np.atleast_1d(to_numpy(norm)) for _, norm, _ in self.seen]
        points = [to_numpy(point).reshape(runs, -1) for _, _, point in self.seen if point is not None]
        return {
            "traced": self.traced,
            "steps": self.steps,
            "losses": np.array(losses, dtype=np.float64).reshape(len(self.steps), runs),
            "grad_norms": np.array(norms, dtype=np.float64).reshape(len(self.steps), runs),
            "points": np.stack(points, axis=1) if points else np.empty((runs, len(self.steps), 0)),
            "marks": () if self.marks is None else (self.marks,),
        }
