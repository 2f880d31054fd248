"""Observer of the runs of a pass: a single run, compiled lanes, or eager lanes.

Eager lanes are observed in place, record first hits in a ``HitLog`` and may drop lanes that are no longer finite,
because in lanes observing costs as much as the steps themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from gdbench.engine.first_hits import HitLog
from gdbench.engine.observations import Observations, summarize
from gdbench.engine.observer_state import (
    choose_step_dtype,
    compute_judged_loss,
    count_work,
    is_finite,
    make_spec,
    make_state,
    observe_lanes,
    observe_point,
)
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params

__all__ = ["Observer"]

MIN_LANES = 1024
"""Below this many lanes the dispatch of operations dominates, so that dropping lanes saves nothing."""
MAX_FINITE_SHARE = 0.75
"""Lanes are dropped when at most this share of them is finite: to copy the others costs about a step."""


class Observer:
    """The observer of one run, of compiled lanes, or of eager lanes, of which some may be dropped."""

    def __init__(
        self,
        thresholds: Tensor,
        start: Tensor,
        maximize: bool,
        steps: int,
        counts: bool,
        *,
        eager_lanes: bool = False,
    ) -> None:
        """``thresholds`` is ``[T]`` of a single run, else ``[T, L]``, or ``[T, 1]`` where the lanes share them."""
        self.start = start
        self.hit_log = HitLog(thresholds, start) if eager_lanes else None
        self.all_spec = self.spec = make_spec(thresholds, start, maximize, counts, counts_misses=not eager_lanes)
        step_dtype = choose_step_dtype(start.dtype, steps) if eager_lanes else torch.int32
        self.all_state = self.state = make_state(self.spec, step_dtype)
        """``all_*`` are of all lanes, ``state`` and ``spec`` of those that are left."""
        self.points = 0
        self.rows: Tensor | None = None
        """Which lanes are left; None while all are."""
        self.all_finite = True
        """Whether those are: then to ask all together takes a third of the time of lane by lane."""

    def observe(self, k: int, x: Params, seen: StepInfo) -> None:
        """Observe x_k of the lanes that are left."""
        self.points = k + 1
        if self.hit_log is None:
            self.state = observe_point(self.spec, k, x, seen, self.state)
            return
        loss = compute_judged_loss(seen.loss, self.start.dtype, self.spec.maximize)
        self.all_finite = self.all_finite and bool(is_finite(loss, x, seen.grad, laned=False))
        finite = None if self.all_finite else is_finite(loss, x, seen.grad, laned=True)
        self.state = observe_lanes(self.spec, k, loss, finite, seen, self.state)
        self.hit_log.record(k, self.state.best, self.rows)

    def add_work(self, seen: StepInfo) -> None:
        """Add the work of a step whose point is not judged, while its run is finite and, so far, above its target."""
        alive = self.state.finite_points == self.points
        self.state = count_work(seen, alive, alive & (self.state.best > self.spec.run_target), self.state)

    @property
    def count(self) -> int:
        """How many lanes are left."""
        return len(self.state.best)

    def find_finite_lanes(self) -> Tensor | None:
        """The lanes that are still finite, at least one, where it pays to drop the others; else None."""
        if self.all_finite or self.count < MIN_LANES:
            return None
        alive = self.state.finite_points == self.points
        if int(alive.sum()) > MAX_FINITE_SHARE * len(alive):
            return None
        lanes = alive.nonzero()[:, 0]
        return lanes if len(lanes) else lanes.new_zeros(1)

    def keep_lanes(self, lanes: Tensor) -> Tensor:
        """Drop all other lanes, whose observations are complete. Returns which of the first lanes are left."""
        count = self.count
        self._store_state()
        self.rows = lanes if self.rows is None else self.rows[lanes]

        def pick(leaf: Tensor) -> Tensor:
            return leaf[lanes] if leaf.shape[:1] == (count,) else leaf

        self.spec, self.state = tree_map_only(Tensor, pick, (self.spec, self.state))
        if self.hit_log is not None:
            self.hit_log.keep_lanes(lanes)
        self.all_finite = bool((self.state.finite_points == self.points).all())
        return self.rows

    def _store_state(self) -> None:
        """Write the state of the lanes that are left into that of all lanes."""
        if self.rows is None:
            self.all_state = self.state
            return
        for whole, part in zip(tree_leaves(self.all_state), tree_leaves(self.state), strict=True):
            whole[self.rows] = part

    def summarize(self, steps: int) -> Observations[Tensor]:
        """The observations of all runs, after x_steps was observed."""
        self._store_state()
        hits = None if self.hit_log is None else self.hit_log.list_first_hits(steps)
        return summarize(self.all_spec, steps, self.all_state, hits)

    def expand(self, values: Any) -> Any:
        """Values of the lanes that are left as values of all, NaN (or 0, of integers) for those that were dropped."""
        if self.rows is None:
            return values

        def expand_leaf(leaf: Tensor) -> Tensor:
            fill = torch.nan if leaf.is_floating_point() else 0
            whole = leaf.new_full((len(self.start), *leaf.shape[1:]), fill)
            whole[self.rows] = leaf
            return whole

        return tree_map_only(Tensor, expand_leaf, values)
