"""Conversion of points as users write them (numbers, lists, arrays, tensors, dicts of these) to tensors.

The values stay equal. Those that are not real numbers raise ``UsageError``; nothing is cast silently. Whole numbers and
Python's floats become float64, arrays and tensors keep their floating dtype; a run then rounds them to its dtype, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.errors import UsageError, to_one_line
from gdbench.tree import Params, leaves, numel

__all__ = ["convert_data", "convert_number", "convert_point", "find_overflow", "is_plain", "widest_dtype"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
FORMS = "give a number, a list of numbers, an array, a tensor, or a dict of these"


def convert_point(name: str, given: Any) -> Params:
    """Convert a user's point to floating tensors of the same values, detached from autograd.

    ``name`` is its name in messages.
    """
    if isinstance(given, Mapping):
        point: Params = {
            _check_key(name, key): _convert_floats(f"{name}[{key!r}]", leaf) for key, leaf in given.items()
        }
        if not point:
            raise UsageError(f"{name} is an empty dict: there is nothing to move; {FORMS}.")
    else:
        point = _convert_floats(name, given)
    if not numel(point):
        raise UsageError(f"{name} holds no number: there is nothing to move; {FORMS}.")
    return point


def widest_dtype(given: Any) -> torch.dtype:
    """Find the dtype of a start: the widest floating dtype of its tensors and arrays; float32 if there is none.

    Python's numbers and lists of them do not count, and neither do whole numbers.
    """
    widest: torch.dtype | None = None
    for leaf in given.values() if isinstance(given, Mapping) else [given]:
        if isinstance(leaf, Tensor) or hasattr(leaf, "__array__"):
            dtype = _convert_tensor("x0", leaf).dtype
            if dtype.is_floating_point:
                widest = dtype if widest is None else torch.promote_types(widest, dtype)
    return widest or torch.float32


def convert_data(name: str, given: Any) -> Any:
    """Convert the data of an objective to tensors of the same values and kind (floating, whole, complex, boolean)."""
    if isinstance(given, Mapping):
        return {key: convert_data(f"{name}[{key!r}]", leaf) for key, leaf in given.items()}
    if isinstance(given, Tensor):  # unchanged, also a sparse one; autograd cannot use inference tensors
        with torch.inference_mode(False):
            return given.clone() if given.is_inference() else given
    if not (isinstance(given, Sequence) or hasattr(given, "__array__")) or isinstance(given, str | bytes):
        raise UsageError(
            f"{name} is of type {type(given).__name__}: data are tensors, arrays or lists of numbers;"
            " let the function close over anything else."
        )
    return _convert_tensor(name, given)


def convert_number(name: str, given: Any) -> float | None:
    """Convert a known number of an objective to a float; None where it is not known."""
    if given is None:
        return None
    try:
        return float(given)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{name}={given!r} must be a real number, or None where it is not known.") from None


def find_overflow(tree: Any, dtype: torch.dtype) -> float | None:
    """Find the largest finite value of some tensors that is infinite in ``dtype``; None if there is none."""
    most = torch.finfo(dtype).max
    for leaf in leaves(tree):
        if not (leaf.layout is torch.strided and leaf.is_floating_point() and leaf.numel()):
            continue
        low, high = leaf.detach().aminmax()
        if bool(low >= -most) and bool(high <= most):  # false where one is not finite
            continue
        values = leaf.detach().abs()
        beyond = values[values.isfinite() & leaf.to(dtype).isinf()]
        if beyond.numel():
            return float(beyond.max())
    return None


def is_plain(tree: Any) -> bool:
    """Whether ``convert_point`` would return a tree unchanged."""
    if isinstance(tree, dict):
        return bool(tree) and all(isinstance(key, str) and _is_plain_tensor(leaf) for key, leaf in tree.items())
    return _is_plain_tensor(tree)


def _is_plain_tensor(leaf: Any) -> bool:
    return (
        type(leaf) is Tensor
        and leaf.dtype in FLOATS
        and leaf.layout is torch.strided
        and leaf.device.type != "meta"
        and leaf.numel() > 0
        and not (leaf.requires_grad or leaf.is_inference() or leaf.is_nested or leaf.is_neg())
    )


def _check_key(name: str, key: Any) -> str:
    if not isinstance(key, str):
        raise UsageError(f"{name} has the key {key!r}: the names of a point's tensors are text.")
    return key


def _convert_floats(name: str, given: Any) -> Tensor:
    tensor = _convert_tensor(name, given)
    if tensor.is_complex():
        raise UsageError(
            f"{name} is complex ({_dtype_name(tensor.dtype)}), and gdbench descends in real numbers: give"
            " torch.view_as_real of it, and let the function begin with torch.view_as_complex(x)."
        )
    if tensor.dtype == torch.bool:
        raise UsageError(f"{name} is true or false, which cannot be descended in; {FORMS}.")
    if not tensor.is_floating_point():
        return tensor.to(torch.float64)
    if tensor.dtype not in FLOATS:
        raise UsageError(f"{name} is {_dtype_name(tensor.dtype)}; allowed: {', '.join(map(_dtype_name, FLOATS))}.")
    return tensor


def _convert_tensor(name: str, given: Any) -> Tensor:
    """Convert numbers of any kind to a tensor of the same values; a tensor is not copied unless it must be."""
    if not isinstance(given, Tensor):
        return _tensor_from_array(name, _convert_array(name, given))
    if given.is_nested or given.layout is not torch.strided or given.is_quantized:
        raise UsageError(f"{name} is a nested, sparse or quantized tensor: give a dense one, such as its .to_dense().")
    if given.device.type == "meta":
        raise UsageError(f"{name} is on the device meta, where tensors have no values.")
    with torch.inference_mode(False):  # a clone is an ordinary tensor even where the caller is in inference mode
        plain = given.detach().as_subclass(Tensor)
        return (plain.clone() if plain.is_inference() else plain).resolve_neg().resolve_conj()


def _convert_array(name: str, given: Any) -> npt.NDArray[Any]:
    """Convert what is not a tensor to an array of its own kind of numbers."""
    if isinstance(given, Mapping):
        raise UsageError(f"{name} is a dict within a dict: name its tensors in one dict, as a state_dict does.")
    listed = isinstance(given, list | tuple | range)
    if not (listed or isinstance(given, bool | int | float | complex) or hasattr(given, "__array__")):
        raise UsageError(f"{name} is of type {type(given).__name__}; {FORMS}.")
    if listed and _has_tensor(given):
        raise UsageError(f"{name} is a list of tensors: give a dict of them, or torch.stack of them as one tensor.")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{name} is no array of numbers ({to_one_line(error, 80)}); {FORMS}.") from None
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise UsageError(f"{name} has masked values: fill them in first.")
    return array


def _has_tensor(given: Any) -> bool:
    return any(isinstance(part, Tensor) or (isinstance(part, list | tuple) and _has_tensor(part)) for part in given)


def _tensor_from_array(name: str, array: npt.NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise UsageError(f"{name} is of {array.dtype} values, which torch has no dtype for; {FORMS}.")
    kind = np.dtype(f"{array.dtype.kind}{array.dtype.itemsize}")
    native = np.array(array, dtype=kind, order="C").view(kind)  # numpy has two integer dtypes of 8 bytes, torch has one
    with torch.inference_mode(False):
        return torch.from_numpy(native)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
