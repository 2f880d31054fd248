"""Which objectives favour methods that work by coordinate, found by trying them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives import Objective, make_generator
from gdbench.objectives.base import count_coordinates
from gdbench.tree import flatten, unflatten

__all__ = ["is_separable", "starts_on_diagonal"]

TRIES = 8
"""Draws of points and halves, at each reach."""
REACHES = (0.01, 0.1, 1.0, 10.0)
"""How far from the start, relative to 1 + |x|: near it, for not all are defined far off, and beyond kinks."""
ROUNDING = 1e-12
"""So much of the largest loss may a sum of four losses miss 0 by rounding."""


def is_separable(objective: Objective) -> bool:
    """Whether f is a sum of functions of one coordinate each: its mixed second differences are 0, to rounding.

    Of two points around the start half of the coordinates are exchanged, drawn anew each time; the sum of the losses
    stays the same where, and only where, no coordinate of one half acts together with one of the other. What is not
    finite says nothing. False for a function of one number.
    """
    if count_coordinates(objective) == 1:
        return False
    stated, generator = objective.to(torch.float64, "cpu"), make_generator(0)
    known = False
    for reach in REACHES * TRIES:
        difference = _mixed_difference(stated, generator, reach)
        if abs(difference) > ROUNDING:
            return False
        known |= math.isfinite(difference)
    return known


def _mixed_difference(objective: Objective, generator: torch.Generator, reach: float) -> float:
    """f(a, b) + f(c, d) - f(a, d) - f(c, b) over the largest of them, for halves (a, b) and (c, d) of two points."""
    start = objective.start_at(0)
    at = flatten(start, laned=False)
    one, other = (at + reach * torch.randn(len(at), generator=generator, dtype=at.dtype) * (1 + at.abs()) for _ in "ab")
    half = torch.randperm(len(at), generator=generator) < len(at) // 2
    points = (one, other, torch.where(half, one, other), torch.where(half, other, one))
    losses = [float(objective.value(unflatten(point, start, laned=False)).detach()) for point in points]
    return (losses[0] + losses[1] - losses[2] - losses[3]) / max(1e-300, *map(abs, losses))


def starts_on_diagonal(objective: Objective) -> bool:
    """Whether a minimiser is as far from the start in every coordinate: one step along signs is there."""
    start = objective.start_at(0)
    if not isinstance(start, Tensor) or start.numel() == 1:
        return False
    ways = [(minimiser - start).abs().flatten() for minimiser in objective.minimisers]  # type: ignore[operator]
    return any(bool(way.max() - way.min() <= 1e-9 * way.max()) for way in ways)
