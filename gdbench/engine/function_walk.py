"""The walk over what a function is made of that feeds its digest."""

from __future__ import annotations

import enum
import hashlib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from gdbench.config.user_modules import USER_ERRORS, is_installed
from gdbench.engine import function_parts as parts

__all__ = ["BYTES", "FunctionWalk", "Undigestible"]


BYTES = 8


class Undigestible(Exception):
    """Something has no content that could be compared; says where it is and what."""


class FunctionWalk:
    """A walk over everything that a thing depends on, which feeds a hash."""

    def __init__(self, seen: Mapping[int, int] | None = None) -> None:
        self.hash = hashlib.blake2b(digest_size=BYTES)
        self.seen = dict(seen or {})
        """The number of each mutable thing met so far, by its id: met again it is but a reference."""
        self.alive: list[Any] = []
        self.path: list[str] = []

    def where(self) -> str:
        """The place of what is looked at, in words."""
        return ", ".join(reversed(self.path[-3:])) or "it"

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Within a named part, for messages; the name itself is not part of the content."""
        self.path.append(place)
        yield
        self.path.pop()  # not where an error passes: the path then says where it was

    def feed(self, kind: str, *pieces: str | bytes) -> None:
        """Add a kind and its parts, with their number and lengths, so that no two sequences of parts read alike."""
        for part in (kind, str(len(pieces)), *pieces):
            content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self.hash.update(len(content).to_bytes(8, "little"))
            self.hash.update(content)

    def refuse(self, thing: Any) -> typing.NoReturn:
        """Raise ``Undigestible`` for a thing."""
        kind = type(thing)
        raise Undigestible(f"{self.where()} holds a {parts.read_module_name(kind)}.{kind.__qualname__}")

    def any(self, thing: Any) -> None:
        """Add anything."""
        kind = type(thing)
        if kind in parts.SCALARS:
            self.feed(kind.__name__, repr(thing) if kind is not bytes else thing)
        elif kind in (tuple, frozenset, set):
            self.elements(kind.__name__, thing)
        elif kind is types.CodeType:
            self.code(thing)
        elif isinstance(thing, parts.DESCRIPTORS):
            self.feed("descriptor", thing.__qualname__)
        elif isinstance(thing, types.BuiltinFunctionType) and parts.is_module_or_none(thing.__self__):
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
        elif isinstance(thing, parts.TYPING) or parts.read_module_name(kind) == "typing":
            self.annotation(thing)
        elif isinstance(thing, parts.OPERATORS):
            self.feed("operator", str(thing))
        elif kind in parts.HANDLERS:
            self.feed(kind.__name__)
            for part in parts.HANDLERS[kind](thing):
                self.any(part)
        else:
            self.instance(thing)

    def elements(self, kind: str, things: Iterable[Any]) -> None:
        """Add a tuple in its order, or a set in that of its elements' digests."""
        if kind == "tuple":
            listed = list(things)
            self.feed(kind, str(len(listed)))
            for part in listed:
                self.any(part)
            return
        self.feed(kind, *sorted(self.alone(part) for part in things))

    def alone(self, thing: Any) -> bytes:
        """The digest of an element of a set, which knows what was met before the set."""
        walk = FunctionWalk(self.seen)
        walk.path, walk.alive = self.path, self.alive
        walk.any(thing)
        return walk.hash.digest()

    def tensor(self, tensor: Tensor) -> None:
        """Add a tensor by its content, dtype and shape."""
        try:
            content = parts.describe_tensor(tensor)
        except RuntimeError:  # one that torch.func or a compiler is tracing, or a subclass without storage
            content = None
        if content is None:
            self.refuse(tensor)
        self.feed("tensor")
        self.any(content)
        self.items(sorted(vars(tensor).items()))

    def array(self, array: Any) -> None:
        """Add an array, a number or a dtype of numpy's."""
        self.feed(type(array).__name__)
        self.any(parts.describe_array(array))
        if parts.is_user_class(type(array)):
            self.items(sorted(vars(array).items()))

    def annotation(self, thing: Any) -> None:
        """Add a type as annotations have it."""
        self.feed("annotation", str(getattr(thing, "__name__", type(thing).__name__)))
        for part in getattr(thing, "__args__", ()):
            self.any(part)

    def code(self, code: types.CodeType) -> None:
        """Add what a code object does, without where it stands and how it is called."""
        arguments = code.co_argcount + code.co_kwonlyargcount
        arguments += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args and **kwargs
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.feed("code", code.co_code, getattr(code, "co_exceptiontable", b""), str(counts))
        self.feed("names", *code.co_names, "", *code.co_varnames[:arguments], "", *code.co_freevars)
        self.elements("tuple", code.co_consts)

    def function(self, function: types.FunctionType) -> None:
        """Feed a function: its code and all that it computes with."""
        original = vars(function).get("_torchdynamo_orig_callable")
        if original is not None:  # torch.compile's wrapper, which computes what this does
            self.feed("compiled")
            self.any(original)
            return
        own, code = parts.is_user_code(function), function.__code__
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
        """Feed the content of a cell of a closure."""
        try:
            content = cell.cell_contents
        except ValueError:  # assigned later
            self.feed("empty cell")
            return
        self.any(content)

    def globals(self, function: types.FunctionType) -> None:
        """Add the globals that a function's code names, and what its own modules hold under the names it uses."""
        loaded, names = parts.list_names(function.__code__)
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

    def a_class(self, kind: type) -> None:
        """Feed a class: its name, and its content where it is the user's own."""
        self.feed("class", parts.read_module_name(kind), kind.__qualname__)
        if not parts.is_user_class(kind):
            return
        with self.at(f"class {kind.__qualname__}"):
            self.elements("tuple", kind.__bases__)
            metaclass = type(kind)
            self.any(metaclass)
            if isinstance(kind, enum.EnumMeta):
                self.items([(member.name, member.value) for member in kind])  # type: ignore[var-annotated]
            self.items(sorted(parts.list_class_content(kind).items()))

    def instance(self, thing: Any) -> None:
        """Add an object: its class, its attributes, and what it holds as a container or says of itself."""
        kind = type(thing)
        self.feed("object")
        self.any(kind)
        with self.at(f"a {kind.__qualname__}"):
            attributes = parts.list_attributes(thing)
            if isinstance(thing, (list, tuple)):
                self.elements("tuple", tuple(thing))
            elif isinstance(thing, (set, frozenset)):
                self.elements("set", thing)
            elif isinstance(thing, dict):
                self.items(thing.items())
                if default := getattr(thing, "default_factory", None):
                    self.any(default)
            elif isinstance(thing, (int, float, complex, str)):
                plain: Any = next(base for base in kind.__mro__ if base in parts.SCALARS)
                self.feed("value", repr(plain(thing)))
            elif isinstance(thing, (bytes, bytearray)):
                self.feed("value", bytes(thing))
            elif attributes is None or not parts.is_user_class(kind) or not parts.has_own_reduction(kind):
                try:  # of a file, a lock or a generator there is none, whatever attributes it has
                    content = parts.reduce_object(thing)
                except USER_ERRORS:
                    self.refuse(thing)
                if attributes is None or (not parts.is_user_class(kind) and parts.has_own_reduction(kind)):
                    self.elements("tuple", content)
                    return
            self.items(sorted((attributes or {}).items()))

    def items(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Add names or keys and what belongs to them, in the order given."""
        listed = list(pairs)
        self.feed("items", str(len(listed)))
        for key, value in listed:
            self.any(key)
            with self.at(f"{key!r}" if isinstance(key, str) else "an entry"):
                self.any(value)
