"""A module as a function of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

__all__ = ["ModuleFunction"]

Place = tuple[dict[str, Any], str]
"""A dictionary of a module, and the name of a tensor in it."""


class ModuleFunction:
    """Calls a module with other parameters and buffers, as ``torch.func.functional_call`` does.

    Where each tensor stands is found once: to find it takes longer than the forward pass of a small network. While it
    is called, the module holds the given tensors, so that two threads cannot share one.
    """

    def __init__(self, module: nn.Module) -> None:
        """Take a module that nothing else calls, in the mode in which it is called."""
        self.module, self.places = module, find_places(module)

    def __call__(self, params: Any, buffers: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> Any:
        """The outputs of the module; what it writes to its buffers, or puts in their place, is written to these."""
        given = {**params, **buffers}
        held = [(place, place[0][place[1]]) for name in given for place in self.places[name]]
        for name, tensor in given.items():
            for owner, key in self.places[name]:
                owner[key] = tensor
        try:
            outputs = self.module(*inputs)
            for name, buffer in buffers.items():
                owner, key = self.places[name][0]
                if owner[key] is not buffer:
                    buffer.copy_(owner[key].detach())
            return outputs
        finally:
            for (owner, key), tensor in held:
                owner[key] = tensor


def find_places(module: nn.Module) -> dict[str, list[Place]]:
    """The places of each parameter and buffer of a module, by its first name; tied ones have several."""
    places: dict[int, list[Place]] = {}
    names: dict[int, str] = {}
    for prefix, part in module.named_modules():
        for owner in (part._parameters, part._buffers):
            for key, tensor in owner.items():
                if tensor is not None:
                    names.setdefault(id(tensor), f"{prefix}.{key}" if prefix else key)
                    places.setdefault(id(tensor), []).append((owner, key))
    return {name: places[number] for number, name in names.items()}
