"""How the time layer measures and when it is sure: every constant of the method in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The rule and the portions. What differs from series to series (d0, d1, budget) stands with the series."""

    looks: tuple[int, ...] = (5, 10, 20)
    """After so many replicates a verdict is tried; after the last one a series stays undecided."""
    alphas: tuple[float, ...] = (1e-4, 3e-4, 6e-4)
    """What each look may spend of a series' chance of a false ``slower``, were its slowdown exactly d0."""
    beta: float = 0.01
    """The chance that a slowdown of exactly d1 passes at a look."""
    family: float = 0.01
    """The chance of any false ``slower`` in a whole run, held by Holm's procedure."""
    wall_share: float = 0.1
    """What of the alphas goes to wall time, which sees waits that the thread's own clock does not."""
    confirmations: int = 10
    """Fresh replicates, roles swapped, that every ``slower`` has to stand up to."""
    rounds_a_process: int = 3
    """A process carries out so many rounds, each with modules and tensors of its own; measured, replicates of one
    process are no more alike than those of several."""
    block_s: float = 2e-4
    """The length of a block: well below a scheduler's time slice."""
    quads: int = 100
    """Most ABBA or BAAB quads of a replicate."""
    least_quads: int = 8
    warm_steps: int = 50
    warm_s: float = 0.1
    """Warming up ends after this long even if it has not done all its steps."""
    long_block_s: float = 4e-3
    """The length of the blocks that tell the true size of an injected slowdown."""
    long_quads: int = 6
    control_zone: float = 0.01
    """A control or the null series beyond this, with its whole interval, contaminates the run."""
    nulls: int = 2
    """How many series are also measured head against head."""
    seed: int = 0
    """Of the orders of blocks and series, and of the workers' hash seeds."""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """From what JSON makes of ``asdict``: its tuples have become lists."""
        kept: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in plain.items()}
        return cls(**kept)

    @property
    def alpha(self) -> float:
        """What all looks at one series may spend together."""
        return sum(self.alphas)

    @property
    def most(self) -> int:
        """The most replicates of a series."""
        return self.looks[-1]

    def spends(self, replicates: int) -> float:
        """The alpha of the look at so many replicates, or of the last one before it; of the first where none was."""
        reached = [alpha for look, alpha in zip(self.looks, self.alphas, strict=True) if look <= replicates]
        return reached[-1] if reached else self.alphas[0]
