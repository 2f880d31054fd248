"""What code does with tensors, written down: two codes of one record compute the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["UntraceableError", "trace_operations"]

MAX_CONSTANTS = 2**12
"""Tensors that code brings along are written down, if they have no more numbers."""
REVEALING = frozenset({"tolist", "numpy", "__array__", "__dlpack__", "data_ptr", "storage", "untyped_storage"})
"""What shows numbers of a tensor to Python with no operation in between."""
REFUSED = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded)


class UntraceableError(Exception):
    """A record would not be all: Python has looked at a number, drawn one, or brought many along."""


def trace_operations(code: Callable[..., Sequence[Tensor]], given: Sequence[Tensor]) -> str:
    """The operations of ``code(*given)``. Raises UnrecordedError."""
    ledger = _OpTrace(given)
    with _Guard(), ledger:
        result = code(*given)
    return "\n".join([*ledger.lines, f"return {ledger.told(result)}"])


class _Guard(TorchFunctionMode):
    """Lets Python see no number of a tensor."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in REVEALING:
            raise UntraceableError(func.__name__)
        return func(*args, **(kwargs or {}))


class _OpTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes operations down. A tensor is called by its memory and its place there, which views and changes share."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: dict[int, int] = {}
        self.held: list[Any] = []
        self.lines = [f"given {[self.name(each, new=True) for each in given]}"]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled under it, and to keep the compiler out torch would import it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(tag in func.tags for tag in REFUSED):
            raise UntraceableError(str(func))
        with torch._C.DisableTorchFunction():  # it is no look of the code's
            asked = f"{func} {self.told(args)} {self.told(kwargs or {})}"
            result = func(*args, **(kwargs or {}))
            self.lines.append(f"{asked} = {self.told(result, new=True)}")
        return result

    def told(self, value: Any, new: bool = False) -> str:
        """A value of any kind in words; ``new`` where an operation has just made it."""
        if isinstance(value, Tensor):
            return self.name(value, new)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name}: {self.told(each, new)}" for name, each in value.items()) + "}"
        if isinstance(value, tuple | list):
            return "[" + ", ".join(self.told(each, new) for each in value) + "]"
        return repr(value)

    def name(self, tensor: Tensor, new: bool = False) -> str:
        """What a tensor is called; one that the code has brought along is written out."""
        storage = tensor.untyped_storage()
        number = self.names.setdefault(storage._cdata, len(self.names))
        name = (
            f"{number}+{tensor.storage_offset()} {tensor.dtype} {tensor.device} {list(tensor.shape)} {tensor.stride()}"
        )
        if number < len(self.held):
            return name
        self.held.append(storage)  # or its address would be another's
        return name if new else f"{name} of {_hash_storage(storage)}"


def _hash_storage(storage: Any) -> str:
    if storage.nbytes() > 8 * MAX_CONSTANTS:
        raise UntraceableError("many numbers of its own")
    return hashlib.sha256(bytes(storage.tolist())).hexdigest()
