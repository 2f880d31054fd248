"""Copies of torch optimizers with everything they hold: state, groups, attributes, and references among these.

``Optimizer.__getstate__`` omits the attributes of a subclass, so deepcopy alone loses an average, a counter or an inner
optimizer. Here every attribute goes through one deepcopy, whose memo makes references to a parameter, a state tensor or
the optimizer itself lead to their copies.
"""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gdbench.errors import Unavailable, to_one_line
from gdbench.tree import Params, leaves

__all__ = ["copy_optimizer"]

CONSTANTS = (
    *(bool, int, float, complex, str, bytes, type, types.ModuleType, types.BuiltinFunctionType, type(None)),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)
"""Types of immutable objects, which copies share."""
PLAIN = frozenset({bool, float, complex, str, bytes, type(None), torch.dtype, torch.device})
"""Types that need no inspection: nine in ten of the objects that an optimizer holds."""
LEAST_ADDRESS = 1 << 16
"""No object has an address below it, so smaller numbers are not addresses."""


def copy_optimizer(optimizer: Optimizer, point: Params, *beside: Any) -> tuple[Any, ...]:
    """Copy an optimizer, with ``point``, the parameters it updates, and what refers to them, such as a module.

    Returns the copies in the order of the arguments; what they share is shared by the copies. Raises Unavailable with
    the attribute and the reason where something that the optimizer holds cannot be copied.
    """
    parts = list(walk_objects(optimizer))
    refuse_uncopyable(optimizer, parts, point)
    memo: dict[int, Any] = {}
    originals = [part for _, part in parts if is_optimizer(part, optimizer)]
    functions = [part for _, part in parts if isinstance(part, types.FunctionType) and not is_constant(part)]
    for original in originals:  # first, so that references among optimizers lead to the copies
        memo[id(original)] = object.__new__(type(original))
    for function in functions:
        memo[id(function)] = copy_empty(function)
    memo.update(copy_derived(beside))
    point, *copies = deepcopy((point, *beside), memo)
    for name, part in parts:
        if isinstance(part, types.ModuleType):
            memo[id(part)] = part
        elif isinstance(part, weakref.ref):
            if id(part()) not in memo:
                raise copy_error(optimizer, name, "it holds a weak reference to an object outside of the optimizer")
            memo[id(part)] = weakref.ref(memo[id(part())])
    for original in originals:
        for name, value in iterate_attributes(original):
            try:
                copied = value if type(value) in PLAIN else deepcopy(value, memo)
            except (TypeError, RuntimeError) as error:
                raise copy_error(optimizer, name, to_one_line(error)) from error
            if name in vars(original):
                vars(memo[id(original)])[name] = copied
            else:
                setattr(memo[id(original)], name, copied)
    for function in functions:
        fill_function(function, memo[id(function)], memo)
    rename_keys(parts, memo)
    return memo[id(optimizer)], point, *copies


def copy_derived(objects: Iterable[Any]) -> dict[int, Tensor]:
    """Copy the tensors that modules hold and autograd made, such as a stored activation, which deepcopy refuses."""
    modules = [part for part in objects if isinstance(part, nn.Module)]
    held = [part for module in modules for _, part in walk_objects(module) if isinstance(part, Tensor)]
    return {id(part): part.detach().clone() for part in held if not part.is_leaf}


def copy_empty(function: types.FunctionType) -> types.FunctionType:
    """Copy a function with an empty closure and without defaults: deepcopy would return the function itself."""
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    return types.FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)


def fill_function(function: types.FunctionType, copied: types.FunctionType, memo: dict[int, Any]) -> None:
    """Set closure, defaults and attributes of a copied function to copies of the original's."""
    for cell, original in zip(copied.__closure__ or (), function.__closure__ or (), strict=True):
        if original != types.CellType():
            cell.cell_contents = deepcopy(original.cell_contents, memo)
    copied.__defaults__ = deepcopy(function.__defaults__, memo)
    copied.__kwdefaults__ = deepcopy(function.__kwdefaults__, memo)
    vars(copied).update(vars(function))


def rename_keys(parts: Iterable[tuple[str, Any]], memo: Mapping[int, Any]) -> None:
    """Replace keys of the copied dicts that are the ``id()`` of a copied object by the id of its copy."""
    for _, part in parts:
        if isinstance(part, dict) and any(key in memo for key in part if type(key) is int):
            copied = memo[id(part)]
            renamed = {id(memo[key]) if type(key) is int and key in memo else key: copied[key] for key in copied}
            copied.clear()
            copied.update(renamed)


def is_optimizer(part: Any, outermost: Any) -> bool:
    """Whether an object is copied attribute by attribute: any Optimizer, and the outermost object of any class."""
    return part is outermost or isinstance(part, Optimizer)


def iterate_attributes(part: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over the attributes of an object, in ``__dict__`` and in slots."""
    yield from getattr(part, "__dict__", {}).items()
    for cls in type(part).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(part, name):
                yield name, getattr(part, name)


def walk_objects(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over all objects that an object holds, itself first, each with the attribute that leads to it.

    Text, small numbers and the insides of tensors are left out.
    """
    seen: set[int] = set()
    waiting: deque[tuple[str, Any]] = deque([("", optimizer)])
    while waiting:
        name, part = waiting.popleft()
        kind = type(part)
        if kind in PLAIN or (kind is int and part < LEAST_ADDRESS) or id(part) in seen:
            continue
        if kind is not int:
            seen.add(id(part))
        yield name, part
        if is_optimizer(part, optimizer):
            waiting.extend(iterate_attributes(part))
        else:
            waiting.extend((name, held) for held in iterate_contents(part, kind))


def iterate_contents(part: Any, kind: type) -> Iterator[Any]:
    """Iterate over what an object holds: members, attributes, and what a function, partial or method refers to."""
    if kind is dict or isinstance(part, Mapping):
        yield from (key for key in part if type(key) is not int)
        yield from part.values()
    elif isinstance(part, (Tensor, weakref.ref, *CONSTANTS)):
        return
    elif isinstance(part, types.FunctionType):
        yield from list_captured(part)
    elif isinstance(part, (list, tuple, set, frozenset, deque)):
        yield from part
    elif isinstance(part, functools.partial):
        yield from (part.func, *part.args, *part.keywords.values())
    elif isinstance(part, types.MethodType):
        yield from (part.__self__, part.__func__)
    if kind not in (dict, OrderedDict, list, tuple):
        yield from (held for _, held in iterate_attributes(part))


def list_captured(function: types.FunctionType) -> list[Any]:
    """List what a function refers to besides its globals: the variables of its closure and its defaults."""
    enclosed = inspect.getclosurevars(function).nonlocals.values()
    return [*enclosed, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def is_constant(value: Any) -> bool:
    """Whether a value is immutable: numbers, text, types, and functions and tuples of these."""
    if isinstance(value, types.FunctionType):
        return all(map(is_constant, list_captured(value)))
    if isinstance(value, (tuple, frozenset)):
        return all(map(is_constant, value))
    return isinstance(value, CONSTANTS)


def refuse_uncopyable(optimizer: Optimizer, parts: Iterable[tuple[str, Any]], point: Params) -> None:
    """Raise Unavailable where deepcopy would silently share an object between the copies or leave it out."""
    memory = {leaf.data_ptr() for leaf in leaves(point) if leaf.numel()}
    places = memory | {id(leaf) for leaf in leaves(point)}
    for name, part in parts:
        if (isinstance(part, int) and part in places) or (isinstance(part, Mapping) and memory & part.keys()):
            raise copy_error(optimizer, name, "it uses the address of a parameter; use the parameter itself as key")
        if isinstance(part, types.BuiltinFunctionType) and isinstance(part.__self__, Tensor):
            raise copy_error(optimizer, name, "it holds a method of a tensor")


def copy_error(optimizer: Optimizer, name: str, reason: str) -> Unavailable:
    """Word the error for an optimizer that cannot be copied, which timing needs."""
    cls = type(optimizer)
    return Unavailable(
        f"{cls.__module__}.{cls.__qualname__} cannot be copied for timing, its attribute {name}: {reason}"
    )
