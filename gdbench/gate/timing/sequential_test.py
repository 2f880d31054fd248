"""When a ratio is a slowdown: planned looks with a dead zone, Holm over the series. Arithmetic alone, on arrays.

A replicate is the log ratio head / base of a series; replicates are taken for normal with mean mu. ``slower`` rejects
mu <= ln(1 + d0), ``no slower`` rejects mu >= ln(1 + d1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from gdbench.gate.timing.settings import Settings

__all__ = ["Evidence", "Finding", "found_from", "holm", "judge", "limit", "p_above", "strictness"]

Array = npt.NDArray[np.float64]

FASTER, NO_SLOWER, SLOWER, UNDECIDED = "faster", "no slower", "slower", "undecided"
COURSES = 1_000
"""Simulated ones, for the slowdown that is found: its power is then known to 0.7%."""


def limit(mean: Any, s: Any, count: int, alpha: float) -> Any:
    """The upper confidence limit mean + t(1 - alpha, count - 1) s / sqrt(count); alpha above 1/2 gives a lower one."""
    return mean + stats.t.ppf(1 - alpha, count - 1) * s / math.sqrt(count)


def p_above(mean: Any, s: Any, count: int, bound: float) -> Any:
    """The one-sided p-value of mu <= bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (mean - bound) * math.sqrt(count) / s
    # Replicates that all agree (a fake clock's) leave no doubt: their mean lies above the bound, or it does not.
    return np.where(np.asarray(s) > 0, stats.t.sf(t, count - 1), np.where(mean > bound, 0.0, 1.0))


def strictness(hypotheses: int, settings: Settings) -> float:
    """What the alphas are multiplied with, so that one series alone, of so many, is beyond Holm's first bound."""
    return min(1.0, settings.family / (settings.alpha * max(hypotheses, 1)))


@dataclass(frozen=True)
class Evidence:
    """The replicates of a series so far, ``[..., R]``: log ratios by the thread's clock and by wall time."""

    cpu: Array
    wall: Array

    def first(self, count: int) -> Evidence:
        """What was known after so many replicates."""
        return Evidence(self.cpu[..., :count], self.wall[..., :count])

    @property
    def count(self) -> int:
        """How many replicates there are."""
        return int(self.cpu.shape[-1])

    @property
    def mean(self) -> Array:
        """The mean log ratio by the thread's clock."""
        return np.asarray(self.cpu.mean(-1))

    @property
    def s(self) -> Array:
        """The standard deviation of the replicates."""
        return np.asarray(self.cpu.std(-1, ddof=1))

    def lower(self, alpha: float) -> Array:
        """The lower limit of mu."""
        return np.asarray(limit(self.mean, self.s, self.count, 1 - alpha))

    def upper(self, alpha: float) -> Array:
        """The upper limit of mu."""
        return np.asarray(limit(self.mean, self.s, self.count, alpha))

    @property
    def by_wall(self) -> Evidence:
        """The same with wall time in the place of the thread's clock."""
        return Evidence(self.wall, self.wall)


def p_slower(evidence: Evidence, d0: float, d1: float, settings: Settings) -> Array:
    """The p-value of "no slowdown beyond d0", valid however often and at whichever look it is taken.

    The two clocks share it by weights (wall time is noisier, and is asked for a slowdown beyond d1); the looks share it
    by their alphas.
    """
    wall, share = evidence.by_wall, settings.wall_share
    p_cpu = p_above(evidence.mean, evidence.s, evidence.count, math.log1p(d0)) / (1 - share)
    p_wall = p_above(wall.mean, wall.s, wall.count, math.log1p(d1)) / share if share else np.ones_like(p_cpu)
    spent = settings.alpha / settings.spends(evidence.count)
    p: Array = np.minimum(np.minimum(p_cpu, p_wall) * spent, 1.0)
    return p


@dataclass(frozen=True)
class Finding:
    """What a look at replicates finds; fields are arrays of the shape that the evidence has without its last axis."""

    slower: npt.NDArray[np.bool_]
    passes: npt.NDArray[np.bool_]
    faster: npt.NDArray[np.bool_]
    p: Array

    @property
    def verdict(self) -> str:
        """In words, of a single series."""
        if self.slower:
            return SLOWER
        if self.passes:
            return FASTER if self.faster else NO_SLOWER
        return UNDECIDED


def judge(evidence: Evidence, d0: float, d1: float, settings: Settings, strict: float = 1.0) -> Finding:
    """One look: ``slower``, ``passes`` (``faster`` among them), or neither, which asks for more replicates."""
    p = p_slower(evidence, d0, d1, settings)
    slower = p <= settings.alpha * strict
    waits = evidence.by_wall.lower(0.05) > math.log1p(d0) if settings.wall_share else np.zeros_like(slower)
    passes = (evidence.upper(settings.beta) < math.log1p(d1)) & ~waits & ~slower
    faster = passes & (evidence.upper(settings.beta) < -math.log1p(d0))
    return Finding(slower, passes, faster, p)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979), in the order of ``p``: at most q of them below q by chance, whatever depends."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(each) for each in adjusted]


@cache
def found_from(s: float, d0: float, d1: float, settings: Settings, strict: float = 1.0, power: float = 0.95) -> float:
    """The smallest slowdown that courses of the rule find with this power, from the replicates' SD: a fraction.

    By simulation of normal replicates, since a slowdown may also pass at an early look; NaN for an s that is not known.
    """
    if not math.isfinite(s):
        return math.nan
    noise = s * np.random.default_rng(0).standard_normal((COURSES, settings.most))
    low, high = math.log1p(d0), math.log1p(d0) + 20 * s + 1e-6
    for _ in range(10):
        middle = (low + high) / 2
        found = _slower(noise + middle, d0, d1, settings, strict)
        low, high = (low, middle) if found >= power else (middle, high)
    return math.expm1(high)


def _slower(replicates: Array, d0: float, d1: float, settings: Settings, strict: float) -> float:
    """The share of courses that end slower."""
    known = Evidence(replicates, replicates)
    slower, going = np.zeros(len(replicates), bool), np.ones(len(replicates), bool)
    for look in settings.looks:
        found = judge(known.first(look), d0, d1, settings, strict)
        slower |= going & found.slower
        going &= ~(found.slower | found.passes)
    return float(slower.mean())
