"""Counter-based random numbers: number i of step k of a seed is a pure function of i, k and the seed.

There is no generator with a state, so a run draws the same numbers alone, in a lane, compiled, timed or resumed. The
functions are written for one seed ``[]``; vmap maps them over lanes, and torch.compile makes one graph of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gdbench.objectives.validation import check_int

__all__ = ["Batch", "make_batch_sampler", "random_bits", "random_indices", "random_normals", "random_uniforms"]

Batch = Callable[[Mapping[str, Tensor], Tensor, int | Tensor], Mapping[str, Tensor]]
"""``batch(data, seed, k)``: the data that replace those of the same names in the gradient of step k."""

GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
"""The constants of SplitMix64 as signed numbers; the first is 2^64 over the golden ratio."""


def mix_bits(state: Tensor) -> Tensor:
    """Output of SplitMix64 for a state (Steele, Lea and Flood 2014, OOPSLA), int64; products wrap around."""
    z = state + GOLDEN
    z = (z ^ (z >> 30 & (1 << 34) - 1)) * FIRST  # torch shifts in copies of the sign bit, which the mask removes
    z = (z ^ (z >> 27 & (1 << 37) - 1)) * SECOND
    return z ^ (z >> 31 & (1 << 33) - 1)


def random_bits(seed: Tensor, k: int | Tensor, count: int) -> Tensor:
    """Random numbers 0 ... count - 1 of step k of a seed: int64 ``[count]``, all 64 bits random.

    ``mix_bits(mix_bits(k + seed G) + i)`` with the golden constant G, whose multiples are so far apart that no two
    pairs of a seed and a step below 2^31 share a stream.
    """
    k = k.to(torch.int64) if isinstance(k, Tensor) else k
    return mix_bits(mix_bits(k + seed * GOLDEN) + torch.arange(count, device=seed.device))


def random_indices(seed: Tensor, k: int | Tensor, count: int, of: int) -> Tensor:
    """``count`` whole numbers in [0, of), drawn uniformly with replacement."""
    return ((random_bits(seed, k, count) >> 33 & (1 << 31) - 1) * of) >> 31


def random_uniforms(seed: Tensor, k: int | Tensor, count: int) -> Tensor:
    """``count`` numbers in [0, 1), uniform, in the widest dtype of the device."""
    dtype = torch.float32 if seed.device.type == "mps" else torch.float64
    return (random_bits(seed, k, count) >> 11 & (1 << 53) - 1).to(dtype) * 2.0**-53


def random_normals(seed: Tensor, k: int | Tensor, count: int) -> Tensor:
    """``count`` standard normal numbers (Box and Muller 1958), in the widest dtype of the device."""
    even = random_uniforms(seed, k, 2 * count) + 2.0**-54
    return (-2 * even[:count].log()).sqrt() * (2 * math.pi * even[count:]).cos()


def make_batch_sampler(*names: str, batch: object, of: int, axis: int = 0) -> Batch | None:
    """Build a ``Batch`` that draws ``batch`` of the ``of`` samples along an axis of the data ``names``; None for 0.

    Samples are drawn uniformly with replacement, so the gradient is unbiased. Raises UsageError for a batch outside
    0 ... ``of``.
    """
    count = check_int("batch", batch, least=0, most=of)

    def draw(data: Mapping[str, Tensor], seed: Tensor, k: int | Tensor) -> Mapping[str, Tensor]:
        chosen = random_indices(seed, k, count, of)
        return {name: data[name].index_select(axis, chosen) for name in names}

    return draw if count else None
