"""Marks on the way of a run: digests of the points that it comes through, so that two passes can be compared."""

from __future__ import annotations

import hashlib

import torch

from gdbench.tree import Params, leaves

__all__ = ["digest_point", "list_marked_steps"]


def list_marked_steps(steps: int) -> list[int]:
    """The steps at which a bare pass is held against the watched one: each twice the one before, and the last."""
    return sorted({*(2**power for power in range(steps.bit_length())), steps})


def digest_point(x: Params) -> bytes:
    """A digest of the very bits of a point."""
    code = hashlib.blake2b(digest_size=16)
    for leaf in leaves(x):
        code.update(leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return code.digest()
