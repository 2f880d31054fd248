"""The device that a cell runs on."""

from __future__ import annotations

import torch

from gdbench.errors import Unavailable

__all__ = ["resolve_device"]


def resolve_device(name: str) -> torch.device:
    """The device of a name, ``auto`` meaning an accelerator if there is one. Raises Unavailable if torch lacks it."""
    seen = ["cpu"]
    if torch.cuda.is_available():
        seen = [*(f"cuda:{index}" for index in range(torch.cuda.device_count())), *seen]
    if torch.backends.mps.is_available():
        seen = ["mps", *seen]
    if name == "auto":
        name = seen[0]
    if name not in seen and not (name == "cuda" and "cuda:0" in seen):
        raise Unavailable(f"device={name} is not available (torch finds: {', '.join(seen)}). Use device=auto.")
    return torch.device("cuda:0" if name == "cuda" else name)
