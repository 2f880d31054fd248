"""The structure of a method's state without the numbers in its tensors: a compiled step holds for one structure.

A graph has tensors as its inputs; containers, plain numbers and None are written into it as they were when it was made.
So a state is taken apart into its tensors and its form, and each form has a graph of its own.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gdbench.errors import Unavailable
from gdbench.tree import put_lanes_last

__all__ = ["Form", "assemble", "describe_form", "list_tensors", "list_values", "select_lanes"]

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
"""Types whose values become constants of a graph."""


@dataclass(frozen=True)
class Form:
    """The structure of a tree, and every plain value in it; equal forms can share a graph."""

    kind: type
    """The type of a container or of a plain value; Tensor for the place of one."""
    detail: Any = None
    """Keys of a dict, names of fields, a deque's limit; of a plain value its repr, which tells NaN and -0.0."""
    parts: tuple[Form, ...] = ()
    is_plain: bool = False
    value: Any = field(default=None, compare=False)
    """The plain value."""


TENSOR = Form(Tensor)


def describe_form(tree: Any) -> Form:
    """The form of a state; Unavailable where it holds what a graph can neither take nor have written into it."""
    if isinstance(tree, Tensor):
        return TENSOR
    if isinstance(tree, PLAIN):
        return Form(type(tree), repr(tree), is_plain=True, value=tree)
    if type(tree) in (dict, OrderedDict):
        return Form(type(tree), tuple(tree), _describe_all(tree.values()))
    if type(tree) in (tuple, list):
        return Form(type(tree), None, _describe_all(tree))
    if type(tree) is deque:
        return Form(deque, tree.maxlen, _describe_all(tree))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return Form(type(tree), tree._fields, _describe_all(tree))
    if _is_plain_dataclass(tree):
        names = tuple(entry.name for entry in dataclasses.fields(tree))
        return Form(type(tree), names, _describe_all(getattr(tree, name) for name in names))
    raise Unavailable(
        f"the method's state holds a {type(tree).__name__}, and only tensors and plain values in tuples, lists, dicts,"
        " deques and dataclasses without __post_init__ can be compiled, or run as lanes. Try impl=manual"
    )


def _describe_all(parts: Any) -> tuple[Form, ...]:
    return tuple(describe_form(part) for part in parts)


def _is_plain_dataclass(tree: Any) -> bool:
    """Whether a dataclass is all that its fields say, so that these make it again."""
    if not dataclasses.is_dataclass(tree) or isinstance(tree, type) or hasattr(tree, "__post_init__"):
        return False
    return all(entry.init for entry in dataclasses.fields(tree))


def list_tensors(tree: Any) -> list[Tensor]:
    """The tensors of a state, in the order of its form."""
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in _list_parts(tree) for tensor in list_tensors(part)]


def list_values(tree: Any) -> list[Tensor]:
    """The tensors of a state, and its plain numbers as tensors: 0.1 and a tensor that holds it have one value."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, bool | int | float):
        return [torch.tensor(float(tree), dtype=torch.float64)]
    return [value for part in _list_parts(tree) for value in list_values(part)]


def _list_parts(tree: Any) -> Sequence[Any]:
    """The elements of a container; none of anything else."""
    if isinstance(tree, dict):
        return list(tree.values())
    if isinstance(tree, tuple | list | deque):
        return list(tree)
    if dataclasses.is_dataclass(tree):
        return [getattr(tree, entry.name) for entry in dataclasses.fields(tree)]
    return []


def assemble(form: Form, tensors: Sequence[Tensor]) -> Any:
    """The state of that form which holds these tensors."""
    return _assemble(form, iter(tensors))


def _assemble(form: Form, tensors: Iterator[Tensor]) -> Any:
    kind: Any = form.kind
    if kind is Tensor:
        return next(tensors)
    if form.is_plain:
        return form.value
    parts = [_assemble(part, tensors) for part in form.parts]
    if kind is tuple:
        return tuple(parts)
    if kind is list:
        return parts
    if kind is deque:
        return deque(parts, maxlen=form.detail)
    if kind is dict or kind is OrderedDict:
        return kind(zip(form.detail, parts, strict=True))
    if issubclass(kind, tuple):
        return kind(*parts)
    return kind(**dict(zip(form.detail, parts, strict=True)))


def select_lanes(tree: Any, count: int, lanes: Tensor) -> Any:
    """An x, or a method's state, of some of ``count`` lanes, which lie in memory as they did.

    A tensor without an axis of lanes stays as it is.
    """

    def pick(leaf: Tensor) -> Tensor:
        if leaf.shape[:1] != (count,):
            return leaf
        chosen = leaf.detach()[lanes]
        return put_lanes_last(chosen) if leaf.stride(0) == min(leaf.stride()) else chosen.contiguous()

    return assemble(describe_form(tree), [pick(tensor) for tensor in list_tensors(tree)])
