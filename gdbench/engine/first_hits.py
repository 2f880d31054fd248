"""First hits: the step at which the best loss so far first is at or below each target.

There are two ways to count, as measured. In a compiled step each target has a counter of its own, which stays in a
register: about 1 ns a run and step. Eagerly a counter is an operation a target; lanes compare with the next target
alone, and record those that reach it: a third of the time for 100,000 runs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["HitLog", "count_misses"]


def count_misses(
    best: Tensor, targets: tuple[Tensor, ...], after: Tensor, misses: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """First-hit step of each target, as the number of the ``after`` = k + 1 points with a best loss above it.

    A comparison alone, without a branch or a transfer from the device.
    """
    return tuple(torch.where(best > target, after, count) for count, target in zip(misses, targets, strict=True))


class _Hits(NamedTuple):
    """Lanes that reached targets in one step, numbered as before any was dropped: targets reached before and after."""

    lanes: Tensor
    step: int
    before: Tensor
    after: Tensor


class HitLog:
    """The first hits of eager lanes: in most steps no lane reaches a target, so only those that do are recorded."""

    def __init__(self, thresholds: Tensor, start: Tensor) -> None:
        """``thresholds`` ``[T, L]``, or ``[T, 1]`` where the lanes share them; ``start`` ``[L]``."""
        ordered = thresholds.sort(dim=0, descending=True)
        self.order, self.runs = ordered.indices, len(start)
        self.targets = torch.cat([ordered.values, torch.full_like(thresholds[:1], -torch.inf)])
        """From the highest, and last one that no finite loss reaches."""
        self.next = self.targets[0].expand_as(start).clone()
        self.reached = torch.zeros_like(start, dtype=torch.int64)
        self.hits: list[_Hits] = []

    def record(self, k: int, best: Tensor, rows: Tensor | None) -> None:
        """Record the lanes whose best loss ``[L]`` reaches a target at step k; ``rows``: their numbers before drops."""
        reaching = torch.le(best, self.next, out=torch.empty_like(best))  # as numbers: half the time of bools
        if not reaching.sum():
            return
        lanes = reaching.nonzero()[:, 0]
        targets = self.targets if self.targets.shape[1] == 1 else self.targets[:, lanes]
        reached = (targets >= best[lanes]).sum(0)
        self.hits.append(_Hits(lanes if rows is None else rows[lanes], k, self.reached[lanes], reached))
        self.reached[lanes] = reached
        self.next[lanes] = targets.expand(-1, len(lanes)).gather(0, reached[None])[0]

    def keep_lanes(self, lanes: Tensor) -> None:
        """Drop all other lanes, which reach nothing any more."""
        if self.targets.shape[1] > 1:
            self.targets = self.targets[:, lanes]
        self.next, self.reached = self.next[lanes], self.reached[lanes]

    def list_first_hits(self, steps: int) -> Tensor:
        """``[T, L]``: the first step at which each target was hit; ``steps + 1`` where it never was."""
        first = torch.full((len(self.order), self.runs), steps + 1, dtype=torch.int32, device=self.order.device)
        for hits in self.hits:
            for target in range(int(hits.before.min()), int(hits.after.max())):
                reached = (hits.before <= target) & (target < hits.after)
                first[target, hits.lanes[reached]] = hits.step
        return torch.empty_like(first).scatter_(0, self.order.expand_as(first), first)
