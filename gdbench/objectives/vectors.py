"""Constructors of points, in float64."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import torch
from torch import Tensor

__all__ = ["alternating", "ramp", "sign_combinations", "vector"]


def vector(*numbers: float) -> Tensor:
    """The point with these coordinates, ``[n]``."""
    return torch.tensor(numbers, dtype=torch.float64)


def alternating(n: int, odd: float, even: float) -> Tensor:
    """The vector (odd, even, odd, even, ...) of n numbers."""
    return vector(odd, even).repeat(n // 2 + 1)[:n]


def ramp(n: int) -> Tensor:
    """The vector (1, 2, ..., n)."""
    return torch.arange(1, n + 1, dtype=torch.float64)


def sign_combinations(numbers: Iterable[float]) -> tuple[Tensor, ...]:
    """List all points (+-a, +-b, ...) with both signs of every number that is not 0."""
    return tuple(vector(*point) for point in product(*([a, -a] if a else [a] for a in numbers)))
