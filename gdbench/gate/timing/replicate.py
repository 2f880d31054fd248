"""One replicate of two subjects, wherever they are: in this process, or at the end of a pipe."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from gdbench.gate.timing.abba_blocks import Billed, Fit, Sample, long_ratio, replicate
from gdbench.gate.timing.settings import Settings

__all__ = ["Subject", "measured", "sized"]


class Subject(Protocol):
    """What can be measured."""

    @property
    def fit(self) -> Fit:
        """Which numbers of steps a block may have."""
        ...

    @property
    def block(self) -> Callable[[int], Billed]:
        """Does a block."""
        ...

    def warm(self, steps: int, seconds: float) -> int:
        """Go on until warm; returns the step it is at."""
        ...

    def to(self, step: int) -> None:
        """Go on to exactly this step."""
        ...


def measured(
    base: Subject, head: Subject, seconds: float, settings: Settings, rng: np.random.Generator, swapped: bool
) -> Sample:
    """One replicate; ``swapped`` has head take the place of base in every quad, and tells of it as if it had not."""
    fit = _side_by_side(base, head, settings)
    if not swapped:
        return replicate(base.block, head.block, seconds, settings, rng, fit)
    told = replicate(head.block, base.block, seconds, settings, rng, fit)
    return replace(told, cpu=-told.cpu, wall=-told.wall, base_s=told.head_s, head_s=told.base_s)


def sized(plain: Subject, slowed: Subject, settings: Settings) -> float:
    """The true size of an injected slowdown, ln, by long blocks beside the same work without it."""
    fit = _side_by_side(plain, slowed, settings)
    return long_ratio(plain.block, slowed.block, settings, fit)


def _side_by_side(base: Subject, head: Subject, settings: Settings) -> Fit:
    """Warm both up to one step, and put away what is garbage by then: collecting is off while there are clocks."""
    head.to(base.warm(settings.warm_steps, settings.warm_s))
    gc.collect()
    return Fit(min(base.fit.most, head.fit.most), max(base.fit.multiple, head.fit.multiple))
