"""What functions, classes and objects consist of, for ``function_digest``; and which code is a user's."""

from __future__ import annotations

import copyreg
import dis
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdbench.config.user_modules import is_installed

__all__ = [
    "DESCRIPTORS",
    "HANDLERS",
    "OPERATORS",
    "SCALARS",
    "TYPING",
    "describe_array",
    "describe_tensor",
    "has_own_reduction",
    "is_module_or_none",
    "is_user_class",
    "is_user_code",
    "list_attributes",
    "list_class_content",
    "list_names",
    "read_module_name",
    "reduce_object",
]

GENERATED = (
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__annotations__",
    "__slotnames__",  # copyreg's cache
    "_abc_impl",
    "_backward_cls",
)
"""Attributes of a class that say nothing of what it does, or are made by Python or torch itself."""
GENERATED_PREFIXES = ("__dataclass_", "__firstlineno__", "__static_attributes__", "__annotate")
SCALARS = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented), range)
DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)
TYPING = (types.GenericAlias, types.UnionType, typing.TypeVar, typing.ForwardRef)

HANDLERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    list: tuple,
    dict: lambda thing: tuple(part for pair in thing.items() for part in pair),
    bytearray: lambda thing: (bytes(thing),),
    memoryview: lambda thing: (thing.tobytes(),),
    slice: lambda thing: (thing.start, thing.stop, thing.step),
    types.MappingProxyType: lambda thing: (dict(thing),),
    types.CellType: lambda thing: (thing.cell_contents,),
    types.MethodType: lambda thing: (thing.__func__, thing.__self__),
    types.BuiltinMethodType: lambda thing: (thing.__qualname__, thing.__self__),
    types.MethodWrapperType: lambda thing: (thing.__name__, thing.__self__),
    staticmethod: lambda thing: (thing.__func__,),
    classmethod: lambda thing: (thing.__func__,),
    property: lambda thing: (thing.fget, thing.fset, thing.fdel),
    functools.partial: lambda thing: (thing.func, thing.args, thing.keywords, vars(thing)),
    functools.partialmethod: lambda thing: (thing.func, thing.args, thing.keywords),
    functools.cached_property: lambda thing: (thing.func,),
    type(functools.lru_cache(lambda: None)): lambda thing: (thing.__wrapped__,),
    torch.dtype: lambda thing: (str(thing),),
    torch.device: lambda thing: (str(thing),),
}
"""What the usual kinds of things consist of."""


def describe_tensor(tensor: Tensor) -> tuple[Any, ...] | None:
    """The facts and the bytes of a tensor; None where its layout has none that could be compared."""
    plain = tensor.detach()
    facts = f"{plain.dtype} {list(plain.shape)} {plain.layout} {plain.device.type} {tensor.requires_grad}"
    named = (read_module_name(type(tensor)), type(tensor).__qualname__, facts)
    if plain.is_meta:
        return named
    if plain.layout == torch.sparse_coo:
        plain = plain.coalesce()
        return (*named, describe_tensor(plain.indices()), describe_tensor(plain.values()))
    if plain.layout != torch.strided or plain.is_quantized:
        return None
    flat = plain.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return (*named, flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")


def describe_array(array: Any) -> tuple[Any, ...]:
    """The dtype, the shape and the bytes or objects of an array or a number of numpy's; a dtype in words."""
    dtype = array if isinstance(array, np.dtype) else array.dtype
    words = str(dtype.descr if dtype.names else dtype.str)
    if array is dtype:
        return (words,)
    objects = np.asarray(array).ravel().tolist() if dtype.hasobject else np.ascontiguousarray(array).tobytes()
    mask = np.ma.getmaskarray(array).tobytes() if isinstance(array, np.ma.MaskedArray) else b""
    return (words, array.shape, objects, mask)


def reduce_object(thing: Any) -> tuple[Any, ...]:
    """What an object says that it can be made again from. Raises what it raises where it cannot be."""
    if isinstance(thing, torch.Generator):
        return (thing.get_state(),)
    reducer = copyreg.dispatch_table.get(type(thing))
    content = reducer(thing) if reducer else thing.__reduce_ex__(4)
    if isinstance(content, str):
        return (str(getattr(thing, "__module__", "")), content)
    maker, arguments, state, *streams = (*content, None, None)[:5]
    return (maker, arguments, state, *(None if stream is None else tuple(stream) for stream in streams))


def list_class_content(kind: type) -> dict[str, Any]:
    """What a class holds, without what Python or torch have made; of an enumeration its functions alone."""
    return {
        name: value
        for name, value in vars(kind).items()
        if name not in GENERATED
        and not name.startswith(GENERATED_PREFIXES)
        and (isinstance(value, types.FunctionType) or not isinstance(kind, enum.EnumMeta))
    }


def is_module_or_none(owner: Any) -> bool:
    """Whether the owner of a builtin says nothing of its content."""
    return owner is None or isinstance(owner, types.ModuleType)


def is_user_code(function: types.FunctionType) -> bool:
    """Whether a function's code is the user's, wherever a decorator says that it belongs."""
    file = function.__code__.co_filename
    ours = str(function.__globals__.get("__name__")).partition(".")[0] == "gdbench"
    return not (ours or is_installed(file) or file.startswith("<frozen"))


def read_module_name(kind: type) -> str:
    """The name of a class's module; of some that are written in C there is none to be had."""
    name: Any = kind.__module__
    return name if isinstance(name, str) else ""


def is_user_class(kind: type) -> bool:
    """Whether a class is written by the user rather than installed, of which gdbench counts as a part."""
    top = read_module_name(kind).partition(".")[0]
    if not isinstance(vars(kind).get("__module__"), str):  # made in C
        return False
    if top in ("builtins", "gdbench") or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(read_module_name(kind)), "__file__", None)
    return file is None or not is_installed(file)


def has_own_reduction(kind: type) -> bool:
    """Whether a class states itself what its objects consist of."""
    return any(
        getattr(kind, name, None) is not getattr(object, name, None)
        for name in ("__reduce__", "__reduce_ex__", "__getstate__")
    )


def list_attributes(thing: Any) -> dict[str, Any] | None:
    """The attributes of an object, in its ``__dict__`` and its slots; None where it can have none."""
    slots = {
        name
        for base in type(thing).__mro__
        for name, value in vars(base).items()
        if isinstance(value, types.MemberDescriptorType)
    }
    held = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    own = getattr(thing, "__dict__", None)
    return {**held, **own} if own is not None else (held or None)


def list_names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals that code loads, that of inner functions too; and all names that it uses, attributes among them."""
    loaded = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    used = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more, names = list_names(inner)
            loaded |= more
            used |= names
    return frozenset(loaded), frozenset(used)
