"""Trace of the tensor operations of code, as text: equal traces compute the same."""

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
"""Constant tensors of the code are hashed if they hold no more numbers."""
REVEALING = frozenset({"tolist", "numpy", "__array__", "__dlpack__", "data_ptr", "storage", "untyped_storage"})
"""Functions that show numbers of a tensor to Python without a dispatched operation."""
REFUSED = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded)


class UntraceableError(Exception):
    """The trace would be incomplete: the code reads a number, draws one, or holds large constants."""


def trace_operations(code: Callable[..., Sequence[Tensor]], given: Sequence[Tensor]) -> str:
    """The operations of ``code(*given)``, one a line. Raises UntraceableError."""
    ledger = _OpTrace(given)
    with _Guard(), ledger:
        result = code(*given)
    return "\n".join([*ledger.lines, f"return {ledger.describe(result)}"])


class _Guard(TorchFunctionMode):
    """Refuses calls that show Python a number of a tensor."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in REVEALING:
            raise UntraceableError(func.__name__)
        return func(*args, **(kwargs or {}))


class _OpTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lists operations. A tensor is named by its storage and layout, so that views and writes in place show."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: dict[int, int] = {}
        self.held: list[Any] = []
        self.lines = [f"given {[self.name(tensor, new=True) for tensor in given]}"]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled under it, and to keep the compiler out torch would import it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(tag in func.tags for tag in REFUSED):
            raise UntraceableError(str(func))
        with torch._C.DisableTorchFunction():  # it is no look of the code's
            asked = f"{func} {self.describe(args)} {self.describe(kwargs or {})}"
            result = func(*args, **(kwargs or {}))
            self.lines.append(f"{asked} = {self.describe(result, new=True)}")
        return result

    def describe(self, value: Any, new: bool = False) -> str:
        """A value as text; ``new`` where it is an operation's result."""
        if isinstance(value, Tensor):
            return self.name(value, new)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name}: {self.describe(part, new)}" for name, part in value.items()) + "}"
        if isinstance(value, tuple | list):
            return "[" + ", ".join(self.describe(part, new) for part in value) + "]"
        return repr(value)

    def name(self, tensor: Tensor, new: bool = False) -> str:
        """The name of a tensor, with a hash of its numbers where it is a constant of the code."""
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
