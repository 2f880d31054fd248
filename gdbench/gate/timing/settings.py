"""Constants of the time layer: block lengths, the sequential test's error rates, confirmation and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["TimingSettings"]


@dataclass(frozen=True)
class TimingSettings:
    """Constants of the method. What differs between series (d0, d1, budget) is stated with each series."""

    looks: tuple[int, ...] = (5, 10, 20)
    """Numbers of replicates at which the test is evaluated; a series still open after the last one is undecided."""
    alphas: tuple[float, ...] = (1e-4, 3e-4, 6e-4)
    """Probability of a false ``slower`` spent at each look, for a true slowdown of exactly d0."""
    beta: float = 0.01
    """Probability that a slowdown of exactly d1 passes at a look."""
    family_alpha: float = 0.01
    """Probability of any false ``slower`` over all series of a run, held by Holm's procedure."""
    wall_share: float = 0.1
    """Fraction of the alphas spent on wall time, which also sees waits that the thread's CPU clock does not."""
    confirmations: int = 10
    """Fresh replicates with swapped roles in which every ``slower`` has to recur."""
    rounds_per_process: int = 3
    """Rounds that one process runs, each with fresh modules and tensors; measured, replicates of one process are no
    more alike than those of several."""
    block_s: float = 2e-4
    """Length of a block: well below a scheduler's time slice."""
    max_quads: int = 100
    """Most ABBA or BAAB quads of a replicate."""
    min_quads: int = 8
    warm_steps: int = 50
    warm_s: float = 0.1
    """Warm-up ends after this time even if not all of its steps are done."""
    long_block_s: float = 4e-3
    """Length of the blocks that measure the true size of an injected slowdown."""
    long_quads: int = 6
    control_zone: float = 0.01
    """A control or a null series whose whole interval lies beyond this contaminates the run."""
    null_series: int = 2
    """Number of series that are also measured head against head."""
    seed: int = 0
    """Of the orders of blocks and series, and of the workers' hash seeds."""

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Settings from ``asdict`` after a round trip through JSON, which makes lists of tuples."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
        return cls(**fields)

    @property
    def alpha(self) -> float:
        """The alphas of all looks together."""
        return sum(self.alphas)

    @property
    def max_replicates(self) -> int:
        """The most replicates of a series."""
        return self.looks[-1]

    def get_alpha(self, replicates: int) -> float:
        """The alpha of the last look at no more than so many replicates; of the first look if there was none yet."""
        reached = [alpha for look, alpha in zip(self.looks, self.alphas, strict=True) if look <= replicates]
        return reached[-1] if reached else self.alphas[0]
