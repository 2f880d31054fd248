"""COCO's random number generator, so that x*, f* and rotations of an instance equal COCO's to the last digit.

The generators of NumPy and torch are not used. All operations are in float64 on the CPU, in COCO's order.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["draw_minimum", "draw_normal", "draw_optimum", "draw_rotation", "draw_uniform"]

Array = npt.NDArray[np.float64]

MODULUS, FACTOR = 2147483647, 16807
"""Park and Miller's generator: the next state is FACTOR times the last, modulo MODULUS."""
SHELF, WARM_UP = 32, 40
"""Size of the table that shuffles the sequence (Bays and Durham), and steps until it is full."""


def draw_uniform(n: int, seed: int) -> Array:
    """Draw n uniform numbers in (0, 1)."""
    state = max(1, abs(seed))
    shelf = [0] * SHELF
    for i in reversed(range(WARM_UP)):
        state = FACTOR * state % MODULUS
        if i < SHELF:
            shelf[i] = state
    numbers, last = np.empty(n), shelf[0]
    for i in range(n):
        state = FACTOR * state % MODULUS
        place = last // 67108865
        last, shelf[place] = shelf[place], state
        numbers[i] = last / 2.147483647e9
    return np.where(numbers == 0, 1e-99, numbers)


def draw_normal(n: int, seed: int) -> Array:
    """Draw n standard normal numbers, by Box and Muller."""
    uniform = draw_uniform(2 * n, seed)
    normal = [
        math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v) for u, v in zip(uniform[:n], uniform[n:], strict=True)
    ]
    return np.where(np.array(normal) == 0, 1e-99, normal)


def draw_optimum(n: int, seed: int) -> Array:
    """Draw x* on a grid of [-4, 4]^n, without 0."""
    place = 8 * np.floor(1e4 * draw_uniform(n, seed)) / 1e4 - 4
    return np.where(place == 0, -1e-5, place)


def draw_minimum(seed: int) -> float:
    """Draw f*, a ratio of two normal numbers (Cauchy distributed), with two decimals, limited to +-1000."""
    ratio = float(draw_normal(1, seed)[0]) / float(draw_normal(1, seed + 1)[0])
    return min(1000.0, max(-1000.0, math.floor(100 * 100 * ratio + 0.5) / 100))


@lru_cache(maxsize=64)
def draw_rotation(n: int, seed: int) -> Tensor:
    """Draw an orthogonal matrix: normal columns, orthogonalised one after the other (Gram and Schmidt)."""
    columns = draw_normal(n * n, seed).reshape(n, n)  # row j holds column j
    for i, column in enumerate(columns):
        for before in columns[:i]:
            column -= (column @ before) * before
        column /= math.sqrt(column @ column)
    return torch.from_numpy(columns.T.copy())
