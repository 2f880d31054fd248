"""Digests of the points of a run at marked steps, by which two passes are compared bit by bit."""

from __future__ import annotations

import hashlib

import torch

from gdbench.tree import Params, leaves

__all__ = ["digest_point", "list_marked_steps"]


def list_marked_steps(steps: int) -> list[int]:
    """The steps at which the timed pass is compared with the observed one: powers of two, and the last."""
    return sorted({*(2**power for power in range(steps.bit_length())), steps})


def digest_point(x: Params) -> bytes:
    """A digest of the very bits of a point."""
    code = hashlib.blake2b(digest_size=16)
    for leaf in leaves(x):
        code.update(leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return code.digest()
