"""Group-sequential test of a slowdown: planned looks with a dead zone, Holm's procedure over the series. Pure NumPy.

A replicate is the log ratio head / base of the step times of a series; replicates are taken as normal with mean mu.
``slower`` rejects mu <= ln(1 + d0), ``no slower`` rejects mu >= ln(1 + d1).
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

from gdbench.gate.timing.settings import TimingSettings

__all__ = [
    "FASTER",
    "NO_SLOWER",
    "SLOWER",
    "UNDECIDED",
    "LogRatios",
    "LookResult",
    "adjust_holm",
    "alpha_scale",
    "compute_p_slower",
    "evaluate_look",
    "find_detectable_slowdown",
]

Array = npt.NDArray[np.float64]

FASTER, NO_SLOWER, SLOWER, UNDECIDED = "faster", "no slower", "slower", "undecided"
SIMULATIONS = 1_000
"""Simulated tests behind a detectable slowdown: its power is then known to 0.7%."""


def compute_limit(mean: Any, sd: Any, count: int, alpha: float) -> Any:
    """Upper confidence limit mean + t(1 - alpha, count - 1) sd / sqrt(count); a lower one for alpha above 1/2."""
    return mean + stats.t.ppf(1 - alpha, count - 1) * sd / math.sqrt(count)


def compute_p_above(mean: Any, sd: Any, count: int, bound: float) -> Any:
    """One-sided p-value of mu <= bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (mean - bound) * math.sqrt(count) / sd
    # With no spread at all (a fake clock) there is no doubt: the mean lies above the bound, or it does not.
    return np.where(np.asarray(sd) > 0, stats.t.sf(t, count - 1), np.where(mean > bound, 0.0, 1.0))


def alpha_scale(hypotheses: int, settings: TimingSettings) -> float:
    """Factor on the alphas such that a single series, among so many, also passes Holm's first bound."""
    return min(1.0, settings.family_alpha / (settings.alpha * max(hypotheses, 1)))


@dataclass(frozen=True)
class LogRatios:
    """Log ratios of a series' replicates, ``[..., R]``: by the thread's CPU clock and by wall time."""

    cpu: Array
    wall: Array

    def take_first(self, count: int) -> LogRatios:
        """The first ``count`` replicates."""
        return LogRatios(self.cpu[..., :count], self.wall[..., :count])

    @property
    def count(self) -> int:
        """Number of replicates."""
        return int(self.cpu.shape[-1])

    @property
    def mean(self) -> Array:
        """Mean log ratio by the CPU clock."""
        return np.asarray(self.cpu.mean(-1))

    @property
    def sd(self) -> Array:
        """Standard deviation of the replicates by the CPU clock."""
        return np.asarray(self.cpu.std(-1, ddof=1))

    def lower(self, alpha: float) -> Array:
        """Lower confidence limit of mu."""
        return np.asarray(compute_limit(self.mean, self.sd, self.count, 1 - alpha))

    def upper(self, alpha: float) -> Array:
        """Upper confidence limit of mu."""
        return np.asarray(compute_limit(self.mean, self.sd, self.count, alpha))

    @property
    def by_wall(self) -> LogRatios:
        """The same replicates with wall time in place of CPU time."""
        return LogRatios(self.wall, self.wall)


def compute_p_slower(ratios: LogRatios, d0: float, d1: float, settings: TimingSettings) -> Array:
    """P-value of "no slowdown beyond d0", valid however often and at whichever look it is taken.

    A weighted Bonferroni correction over the two clocks (wall time is noisier, and must exceed d1), and over the looks
    by their alphas.
    """
    wall, share = ratios.by_wall, settings.wall_share
    p_cpu = compute_p_above(ratios.mean, ratios.sd, ratios.count, math.log1p(d0)) / (1 - share)
    p_wall = compute_p_above(wall.mean, wall.sd, wall.count, math.log1p(d1)) / share if share else np.ones_like(p_cpu)
    look_weight = settings.alpha / settings.get_alpha(ratios.count)
    p: Array = np.minimum(np.minimum(p_cpu, p_wall) * look_weight, 1.0)
    return p


@dataclass(frozen=True)
class LookResult:
    """Decisions at one look; arrays of the shape of the log ratios without their last axis."""

    slower: npt.NDArray[np.bool_]
    passes: npt.NDArray[np.bool_]
    faster: npt.NDArray[np.bool_]
    p: Array

    @property
    def verdict(self) -> str:
        """The verdict of a single series."""
        if self.slower:
            return SLOWER
        if self.passes:
            return FASTER if self.faster else NO_SLOWER
        return UNDECIDED


def evaluate_look(ratios: LogRatios, d0: float, d1: float, settings: TimingSettings, scale: float = 1.0) -> LookResult:
    """Decide ``slower``, ``passes`` (``faster`` among them), or neither, which asks for more replicates.

    ``scale`` multiplies the alphas (``alpha_scale``).
    """
    p = compute_p_slower(ratios, d0, d1, settings)
    slower = p <= settings.alpha * scale
    waits = ratios.by_wall.lower(0.05) > math.log1p(d0) if settings.wall_share else np.zeros_like(slower)
    passes = (ratios.upper(settings.beta) < math.log1p(d1)) & ~waits & ~slower
    faster = passes & (ratios.upper(settings.beta) < -math.log1p(d0))
    return LookResult(slower, passes, faster, p)


def adjust_holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979) in the order of ``p``: they hold the family-wise error under any dependence."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


@cache
def find_detectable_slowdown(
    sd: float, d0: float, d1: float, settings: TimingSettings, scale: float = 1.0, power: float = 0.95
) -> float:
    """Smallest slowdown that the whole test detects with this power, given the replicates' SD: a fraction.

    By simulation of normal replicates, since a slowdown may also pass at an early look; NaN if the SD is not known.
    """
    if not math.isfinite(sd):
        return math.nan
    noise = sd * np.random.default_rng(0).standard_normal((SIMULATIONS, settings.max_replicates))
    low, high = math.log1p(d0), math.log1p(d0) + 20 * sd + 1e-6
    for _ in range(10):
        middle = (low + high) / 2
        detected = _simulate_slower(noise + middle, d0, d1, settings, scale)
        low, high = (low, middle) if detected >= power else (middle, high)
    return math.expm1(high)


def _simulate_slower(replicates: Array, d0: float, d1: float, settings: TimingSettings, scale: float) -> float:
    """Fraction of simulated tests, one a row, that end as ``slower``."""
    ratios = LogRatios(replicates, replicates)
    slower, open_ = np.zeros(len(replicates), bool), np.ones(len(replicates), bool)
    for look in settings.looks:
        result = evaluate_look(ratios.take_first(look), d0, d1, settings, scale)
        slower |= open_ & result.slower
        open_ &= ~(result.slower | result.passes)
    return float(slower.mean())
