"""Whether losses and gradients that were computed in two ways are equal but for rounding."""

from __future__ import annotations

import torch

from gdbench.tree import Params, leaves

__all__ = ["is_close", "is_close_tree"]

ROUNDING = 2**10
"""Losses and gradients agree to so many roundings, in lanes, alone and compiled: sums over a batch differ in order."""


def is_close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are equal but for rounding, relative to the largest number."""
    largest = float(b.abs().max()) if b.numel() else 0.0
    bound = ROUNDING * torch.finfo(b.dtype).eps * max(largest, torch.finfo(b.dtype).tiny)
    return torch.allclose(a, b, rtol=0.0, atol=bound, equal_nan=True)


def is_close_tree(a: Params, b: Params) -> bool:
    """The same of two trees, relative to their largest number."""
    largest = max(float(leaf.abs().max()) for leaf in leaves(b))
    bound = ROUNDING * torch.finfo(leaves(b)[0].dtype).eps * largest
    pairs = zip(leaves(a), leaves(b), strict=True)
    return all(torch.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True) for one, other in pairs)
