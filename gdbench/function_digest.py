"""Digest of a function and of all that it computes with: its code, what it closes over, defaults, globals, attributes.

Two functions that differ in any of these have different digests; the same function, made twice or in two processes, has
one. Nothing enters by its address, by ``repr`` or by the order of a hash table. What is installed (torch, numpy ...)
counts by its name, the user's own code by what it is; what has no content that could be compared (an open file, a lock,
a generator) raises ``Undigestible``.
"""

from __future__ import annotations

import copyreg
import dis
import enum
import functools
import hashlib
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdbench.user_modules import is_installed

__all__ = ["NOT_COMPARABLE", "Undigestible", "digest", "digest_or_reason"]

NOT_COMPARABLE = "not comparable: "
"""How the reason begins that stands in place of a digest."""
BYTES = 8
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
DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
METHOD_DESCRIPTORS = (types.MethodDescriptorType, types.ClassMethodDescriptorType)
OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)
TYPING = (types.GenericAlias, types.UnionType, typing.TypeVar, typing.ForwardRef)


class Undigestible(Exception):
    """Something has no content that could be compared; says where it is and what."""


def digest(thing: Any) -> str:
    """The digest of a function, an object or a value, in hexadecimal digits. Raises ``Undigestible``."""
    walk = _Walk()
    try:
        walk.any(thing)
    except RecursionError:
        raise Undigestible(f"{walk.where()} is nested too deeply") from None
    return walk.hash.hexdigest()


def digest_or_reason(thing: Any) -> str:
    """The digest, or ``NOT_COMPARABLE`` and why there is none."""
    try:
        return digest(thing)
    except Undigestible as reason:
        return f"{NOT_COMPARABLE}{reason}"


class _Walk:
    """A walk over everything that a thing depends on, which feeds a hash."""

    def __init__(self, seen: Mapping[int, int] | None = None) -> None:
        self.hash = hashlib.blake2b(digest_size=BYTES)
        self.seen = dict(seen or {})
        """The number of each mutable thing met so far, by its id: met again it is but a reference."""
        self.alive: list[Any] = []
        self.path: list[str] = []

    def where(self) -> str:
        return ", ".join(reversed(self.path[-3:])) or "it"

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Within a named part, for messages; the name itself is not part of the content."""
        self.path.append(place)
        yield
        self.path.pop()  # not where an error passes: the path then says where it was

    def feed(self, kind: str, *parts: str | bytes) -> None:
        """Add a kind and its parts, each with its length, so that no two sequences of parts read alike."""
        for part in (kind, *parts):
            content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self.hash.update(len(content).to_bytes(8, "little"))
            self.hash.update(content)

    def refuse(self, thing: Any) -> typing.NoReturn:
        kind = type(thing)
        raise Undigestible(f"{self.where()} holds a {_module(kind)}.{kind.__qualname__}")

    # -------------------------------------------------------------------------------------------------- dispatch

    def any(self, thing: Any) -> None:
        """Add anything."""
        kind = type(thing)
        if kind in SCALARS:
            self.feed(kind.__name__, repr(thing) if kind is not bytes else thing)
        elif kind in (tuple, frozenset, set):
            self.elements(kind.__name__, thing)
        elif kind is types.CodeType:
            self.code(thing)
        elif isinstance(thing, DESCRIPTORS + METHOD_DESCRIPTORS):
            self.feed("descriptor", thing.__qualname__)
        elif isinstance(thing, types.BuiltinFunctionType) and _is_module_or_none(thing.__self__):
            self.feed("builtin", str(thing.__module__), thing.__qualname__)
        elif not self.is_reference(thing):
            self.mutable(thing)

    def is_reference(self, thing: Any) -> bool:
        """Add the number of a thing that was met before; if it was not, give it one."""
        if (number := self.seen.get(id(thing))) is not None:
            self.feed("again", str(number))
            return True
        self.seen[id(thing)] = len(self.seen)
        self.alive.append(thing)  # or another could get its id
        return False

    def mutable(self, thing: Any) -> None:
        """Add what may be met again, or hold itself."""
        kind = type(thing)
        if isinstance(thing, Tensor):
            self.tensor(thing)
        elif isinstance(thing, (np.ndarray, np.generic, np.dtype)):
            self.array(thing)
        elif isinstance(thing, types.FunctionType):
            self.function(thing)
        elif isinstance(thing, types.ModuleType):
            self.module(thing, frozenset())
        elif isinstance(thing, type):
            self.a_class(thing)
        elif isinstance(thing, enum.Enum):
            self.feed("member")
            self.any((thing.name, thing.value, kind))
        elif isinstance(thing, TYPING) or _module(kind) == "typing":
            self.annotation(thing)
        elif isinstance(thing, OPERATORS):
            self.feed("operator", str(thing))
        elif kind in HANDLERS:
            self.feed(kind.__name__)
            for part in HANDLERS[kind](thing):
                self.any(part)
        else:
            self.instance(thing)

    # ------------------------------------------------------------------------------------------------ plain values

    def elements(self, kind: str, things: Iterable[Any]) -> None:
        """Add a tuple in its order, or a set in that of its elements' digests."""
        if kind == "tuple":
            parts = list(things)
            self.feed(kind, str(len(parts)))
            for part in parts:
                self.any(part)
            return
        self.feed(kind, *sorted(self.alone(part) for part in things))

    def alone(self, thing: Any) -> bytes:
        """The digest of an element of a set, which knows what was met before the set."""
        walk = _Walk(self.seen)
        walk.path, walk.alive = self.path, self.alive
        walk.any(thing)
        return walk.hash.digest()

    def tensor(self, tensor: Tensor) -> None:
        try:
            self.numbers(tensor)
        except RuntimeError:  # one that torch.func or a compiler is tracing, or a subclass without storage
            self.refuse(tensor)
        self.items(sorted(vars(tensor).items()))

    def numbers(self, tensor: Tensor) -> None:
        plain = tensor.detach()
        facts = f"{plain.dtype} {list(plain.shape)} {plain.layout} {plain.device.type} {tensor.requires_grad}"
        self.feed("tensor", f"{type(tensor).__module__}.{type(tensor).__qualname__}", facts)
        if plain.is_meta:
            return
        if plain.layout != torch.strided or plain.is_quantized:
            if plain.layout != torch.sparse_coo:
                self.refuse(tensor)
            plain = plain.coalesce()
            self.numbers(plain.indices())
            self.numbers(plain.values())
            return
        flat = plain.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        self.feed("numbers", flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")

    def array(self, array: Any) -> None:
        if isinstance(array, np.dtype):
            self.feed("dtype", str(array.descr if array.names else array.str))
            return
        self.feed(type(array).__name__, str(array.dtype.descr if array.dtype.names else array.dtype.str))
        self.feed("shape", str(list(array.shape)))
        if array.dtype.hasobject:
            for element in np.asarray(array).ravel().tolist():
                self.any(element)
        else:
            self.feed("numbers", np.ascontiguousarray(array).tobytes())
        if isinstance(array, np.ma.MaskedArray):
            self.array(np.ma.getmaskarray(array))
        if _is_own(type(array)):
            self.items(sorted(vars(array).items()))

    def annotation(self, thing: Any) -> None:
        """Add a type as annotations have it."""
        self.feed("annotation", str(getattr(thing, "__name__", type(thing).__name__)))
        for part in getattr(thing, "__args__", ()):
            self.any(part)

    # --------------------------------------------------------------------------------------------------- functions

    def code(self, code: types.CodeType) -> None:
        """Add what a code object does, without where it stands and how it is called."""
        arguments = code.co_argcount + code.co_kwonlyargcount
        arguments += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args and **kwargs
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.feed("code", code.co_code, getattr(code, "co_exceptiontable", b""), str(counts))
        self.feed("names", *code.co_names, "", *code.co_varnames[:arguments], "", *code.co_freevars)
        self.elements("tuple", code.co_consts)

    def function(self, function: types.FunctionType) -> None:
        original = vars(function).get("_torchdynamo_orig_callable")
        if original is not None:  # torch.compile's wrapper, which computes what this does
            self.feed("compiled")
            self.any(original)
            return
        own, code = _is_own_code(function), function.__code__
        if not own:
            self.feed("installed", str(function.__module__), function.__qualname__, code.co_qualname)
        with self.at(f"function {function.__qualname__}"):
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
                with self.at(f"closure {name!r}"):
                    self.cell(cell)
            if not own and "<locals>" not in code.co_qualname:
                return
            with self.at("defaults"):
                self.any(function.__defaults__)
                self.items(sorted((function.__kwdefaults__ or {}).items()))
            with self.at("attributes"):
                self.items(sorted(vars(function).items()))
            if own:
                self.code(code)
                self.globals(function)

    def cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:  # assigned later
            self.feed("empty cell")
            return
        self.any(content)

    def globals(self, function: types.FunctionType) -> None:
        """Add the globals that a function's code names, and what its own modules hold under the names it uses."""
        loaded, names = _names(function.__code__)
        for name in sorted(loaded):
            if name not in function.__globals__:
                self.feed("builtin or missing", name)
                continue
            self.feed("global", name)
            with self.at(f"global {name!r}"):
                value = function.__globals__[name]
                if isinstance(value, types.ModuleType):
                    self.module(value, names)
                else:
                    self.any(value)

    def module(self, module: types.ModuleType, names: frozenset[str]) -> None:
        """Add a module by its name; of one's own also what has one of the names, and its functions and classes."""
        self.feed("module", module.__name__)
        file = getattr(module, "__file__", None)
        if file is None or is_installed(file) or module.__name__.partition(".")[0] == "gdbench":
            return
        for name, value in sorted(vars(module).items()):
            mine = isinstance(value, (types.FunctionType, type)) and value.__module__ == module.__name__
            if mine or (name in names and not name.startswith("__")):
                self.feed("attribute", name)
                with self.at(f"{module.__name__}.{name}"):
                    if isinstance(value, types.ModuleType):
                        if not self.is_reference(value):
                            self.module(value, names)
                    else:
                        self.any(value)

    # --------------------------------------------------------------------------------------- classes and their objects

    def a_class(self, kind: type) -> None:
        self.feed("class", _module(kind), kind.__qualname__)
        if not _is_own(kind):
            return
        with self.at(f"class {kind.__qualname__}"):
            self.elements("tuple", kind.__bases__)
            metaclass = type(kind)
            self.any(metaclass)
            content = {
                name: value
                for name, value in vars(kind).items()
                if name not in GENERATED and not name.startswith(GENERATED_PREFIXES)
            }
            if isinstance(kind, enum.EnumMeta):
                self.items([(member.name, member.value) for member in kind])  # type: ignore[var-annotated]
                content = {name: each for name, each in content.items() if isinstance(each, types.FunctionType)}
            self.items(sorted(content.items()))

    def instance(self, thing: Any) -> None:
        """Add an object: its class, its attributes, and what it holds as a container or says of itself."""
        kind = type(thing)
        self.feed("object")
        self.any(kind)
        with self.at(f"a {kind.__qualname__}"):
            attributes = _attributes(thing)
            if isinstance(thing, (list, tuple)):
                self.elements("tuple", tuple(thing))
            elif isinstance(thing, (set, frozenset)):
                self.elements("set", thing)
            elif isinstance(thing, dict):
                self.items(thing.items())
                if default := getattr(thing, "default_factory", None):
                    self.any(default)
            elif isinstance(thing, (int, float, complex, str)):
                plain: Any = next(base for base in kind.__mro__ if base in SCALARS)
                self.feed("value", repr(plain(thing)))
            elif isinstance(thing, (bytes, bytearray)):
                self.feed("value", bytes(thing))
            elif attributes is None or not _is_own(kind) or not _reduces_itself(kind):
                parts = self.reduced(thing)  # of a file, a lock or a generator there is none, whatever it inherits
                if attributes is None or (not _is_own(kind) and _reduces_itself(kind)):
                    self.elements("tuple", parts)
                    return
            self.items(sorted((attributes or {}).items()))

    def reduced(self, thing: Any) -> tuple[Any, ...]:
        """What an object says that it can be made again from."""
        if isinstance(thing, torch.Generator):
            return (thing.get_state(),)
        try:
            reducer = copyreg.dispatch_table.get(type(thing))
            parts = reducer(thing) if reducer else thing.__reduce_ex__(4)
        except Exception:
            self.refuse(thing)
        if isinstance(parts, str):
            return (str(getattr(thing, "__module__", "")), parts)
        maker, arguments, state, *streams = (*parts, None, None)[:5]
        return (maker, arguments, state, *(None if stream is None else tuple(stream) for stream in streams))

    def items(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Add names or keys and what belongs to them, in the order given."""
        listed = list(pairs)
        self.feed("items", str(len(listed)))
        for key, value in listed:
            self.any(key)
            with self.at(f"{key!r}" if isinstance(key, str) else "an entry"):
                self.any(value)


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


def _is_module_or_none(owner: Any) -> bool:
    return owner is None or isinstance(owner, types.ModuleType)


def _is_own_code(function: types.FunctionType) -> bool:
    """Whether a function's code is the user's, wherever a decorator says that it belongs."""
    file = function.__code__.co_filename
    ours = str(function.__globals__.get("__name__")).partition(".")[0] == "gdbench"
    return not (ours or is_installed(file) or file.startswith("<frozen"))


def _module(kind: type) -> str:
    """The name of a class's module; of some that are written in C there is none to be had."""
    name: Any = kind.__module__
    return name if isinstance(name, str) else ""


def _is_own(kind: type) -> bool:
    """Whether a class is written by the user rather than installed, of which gdbench counts as a part."""
    top = _module(kind).partition(".")[0]
    if not isinstance(vars(kind).get("__module__"), str):  # made in C
        return False
    if top in ("builtins", "gdbench") or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(_module(kind)), "__file__", None)
    return file is None or not is_installed(file)


def _reduces_itself(kind: type) -> bool:
    """Whether a class states itself what its objects consist of."""
    return any(
        getattr(kind, name, None) is not getattr(object, name, None)
        for name in ("__reduce__", "__reduce_ex__", "__getstate__")
    )


def _attributes(thing: Any) -> dict[str, Any] | None:
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


def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals that code loads, that of inner functions too; and all names that it uses, attributes among them."""
    loaded = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    used = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more, names = _names(inner)
            loaded |= more
            used |= names
    return frozenset(loaded), frozenset(used)
