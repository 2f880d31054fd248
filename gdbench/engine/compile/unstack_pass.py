"""Inductor pass that unstacks ``[L, n]`` tensors into n ``[L]`` tensors, so that all work of a lane fuses.

Left alone, inductor fuses what it does a lane with what it does a number of each lane no further than from one to the
other and back, and writes all of it to memory in between: four times the run time. A graph in which anything but simple
arithmetic meets such a tensor (a matrix product, say) is left as it is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import SymInt
from torch._guards import detect_fake_mode
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch.fx import Graph, Node

__all__ = ["UnstackPass"]

aten, prims = torch.ops.aten, torch.ops.prims

MAX_COLUMNS = 16
"""Points of more numbers are not taken apart: that many columns would take the compiler too long."""


class UnstackPass(CustomGraphPass):
    """The pass, for inductor's ``post_grad_custom_pre_pass``."""

    def __call__(self, graph: Graph) -> None:
        """Take a graph apart where that can be done."""
        taken = _UnstackedGraph(graph)
        try:
            for node in list(graph.nodes):
                taken.take(node)
        except _NotUnstackable:
            pass  # what has been added dies, as nothing asks for it
        graph.eliminate_dead_code()

    def uuid(self) -> Any:
        """What a cached graph depends on: this file."""
        return get_hash_for_files((__file__,))


class _NotUnstackable(Exception):
    """A graph must stay as it is."""


class _Unstacked(NamedTuple):
    """A tensor of two axes as its slices along one; the other one is the lanes."""

    axis: int
    columns: tuple[Node, ...]


class _Stacked(NamedTuple):
    """``[n L]``: columns one after the other, on their way to ``[n, L]``."""

    columns: tuple[Node, ...]


class _UnstackedGraph:
    """A graph while it is taken apart: new nodes stand before the old ones, which die when nothing asks for them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.fake = detect_fake_mode([node.meta.get("val") for node in graph.nodes])
        self.parts: dict[Node, Any] = {}
        self.rules: dict[Any, Callable[..., Any]] = {
            aten.permute.default: self.permute,
            aten.unbind.int: self.unbind,
            operator.getitem: self.getitem,
            aten.select.int: self.select,
            aten.slice.Tensor: self.slice,
            aten.slice_scatter.default: self.slice_scatter,
            aten.select_scatter.default: self.select_scatter,
            aten.cat.default: self.cat,
            aten.unsqueeze.default: self.unsqueeze,
            aten.reshape.default: self.reshape,
            aten.view.default: self.reshape,
            aten.expand.default: self.expand,
            aten.full.default: self.full,
            aten.sum.dim_IntList: self.sum,
        }

    def take(self, node: Node) -> None:
        """Take one node apart, or have a copy of it look at what became of its arguments."""
        if node.op == "placeholder":
            if (axis := _find_axis(node)) is not None:
                self.parts[node] = self.cut(node, axis)
        elif node.op == "output":
            with self.graph.inserting_before(node):
                node.args = torch.fx.map_arg(node.args, self.whole)
        elif node.op == "call_function":
            with self.graph.inserting_before(node):
                self.call(node)

    def call(self, node: Node) -> None:
        """Take a call apart by its rule; number by number is one, which most have."""
        args: Any = torch.fx.map_arg(node.args, lambda old: self.parts.get(old, old))
        kwargs: Any = torch.fx.map_arg(node.kwargs, lambda old: self.parts.get(old, old))
        rule = self.rules.get(node.target)
        if rule and (part := rule(node, *args, **kwargs)) is not None:
            self.parts[node] = part
        elif any(not isinstance(self.parts.get(source, source), Node) for source in node.all_input_nodes):
            if rule or not _is_elementwise(node.target):
                raise _NotUnstackable
            self.parts[node] = self.map_columns(node, args, kwargs)
        elif any(source in self.parts for source in node.all_input_nodes):
            self.parts[node] = self.emit(node.target, args, kwargs)

    def map_columns(self, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> _Unstacked:
        """A function of numbers, column by column."""
        splits = [arg for arg in args if isinstance(arg, _Unstacked)]
        axes, count = {split.axis for split in splits}, max((len(split.columns) for split in splits), default=0)
        if len(axes) != 1 or any(isinstance(arg, _Stacked | tuple) and not isinstance(arg, _Unstacked) for arg in args):
            raise _NotUnstackable
        axis = axes.pop()

        def select(arg: Any, index: int) -> Any:
            if isinstance(arg, _Unstacked):
                return arg.columns[index if len(arg.columns) > 1 else 0]
            return self.other(arg, axis, index) if isinstance(arg, Node) and _get_shape(arg) else arg

        kwargs = {name: value for name, value in kwargs.items() if name != "memory_format"}
        columns = [self.emit(node.target, [select(arg, i) for arg in args], kwargs) for i in range(count)]
        return _Unstacked(axis, tuple(columns))

    def other(self, node: Node, axis: int, index: int) -> Node:
        """The part of a tensor that is not taken apart which meets a column: lanes ``[L]`` or numbers ``[n]``."""
        shape = _get_shape(node)
        if len(shape) != 1:
            raise _NotUnstackable
        if axis == 0 or shape[0] == 1:  # it is [L], or one number, and meets each column alike
            return node
        return self.emit(aten.slice.Tensor, [node, 0, index, index + 1])

    def permute(self, node: Node, tensor: Any, axes: Sequence[int]) -> Any:
        if isinstance(tensor, _Unstacked):
            return _Unstacked(list(axes).index(tensor.axis), tensor.columns)
        return None

    def unbind(self, node: Node, tensor: Any, axis: int = 0) -> Any:
        return tensor.columns if isinstance(tensor, _Unstacked) and axis % 2 == tensor.axis else None

    def getitem(self, node: Node, parts: Any, index: int) -> Any:
        return parts[index] if isinstance(parts, tuple) else None

    def select(self, node: Node, tensor: Any, axis: int, index: int) -> Any:
        return tensor.columns[index] if isinstance(tensor, _Unstacked) and axis % 2 == tensor.axis else None

    def slice(self, node: Node, tensor: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
        if isinstance(tensor, _Unstacked) and axis % 2 == tensor.axis:
            return _Unstacked(tensor.axis, tensor.columns[start:end:step])
        return None

    def slice_scatter(
        self, node: Node, into: Any, part: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
    ) -> Any:
        if not (isinstance(into, _Unstacked) and isinstance(part, _Unstacked) and axis % 2 == into.axis == part.axis):
            return None
        columns = list(into.columns)
        columns[start:end:step] = part.columns
        return _Unstacked(into.axis, tuple(columns))

    def select_scatter(self, node: Node, into: Any, part: Any, axis: int, index: int) -> Any:
        if not (isinstance(into, _Unstacked) and isinstance(part, Node) and axis % 2 == into.axis):
            return None
        columns = list(into.columns)
        columns[index] = part
        return _Unstacked(into.axis, tuple(columns))

    def cat(self, node: Node, tensors: Sequence[Any], axis: int = 0) -> Any:
        if all(isinstance(part, _Unstacked) and axis % 2 == part.axis for part in tensors):
            return _Unstacked(axis % 2, tuple(column for part in tensors for column in part.columns))
        return _Stacked(tuple(tensors)) if all(_is_column(part) for part in tensors) else None

    def unsqueeze(self, node: Node, tensor: Any, axis: int) -> Any:
        return _Unstacked(axis % 2, (tensor,)) if _is_column(tensor) else None

    def reshape(self, node: Node, tensor: Any, shape: Sequence[Any]) -> Any:
        to = _get_shape(node)
        if isinstance(tensor, _Stacked):
            return _Unstacked(0, tensor.columns) if len(to) == 2 and _find_axis(node) == 0 else None
        if isinstance(tensor, _Unstacked):
            return tensor.columns[0] if len(to) == len(tensor.columns) == 1 else None
        return _Unstacked(1, (tensor,)) if _is_column(tensor) and _find_axis(node) == 1 else None

    def expand(self, node: Node, tensor: Any, shape: Sequence[Any], **more: Any) -> Any:
        axis = _find_axis(node)
        if axis is None:
            return None
        if isinstance(tensor, _Unstacked):
            known = tensor.axis == axis and len(tensor.columns) in (1, _get_shape(node)[axis])
            return _Unstacked(axis, tensor.columns * (_get_shape(node)[axis] // len(tensor.columns))) if known else None
        if _get_shape(tensor):
            return None
        column = self.emit(aten.expand.default, [tensor, [shape[1 - axis]]])
        return _Unstacked(axis, (column,) * _get_shape(node)[axis])

    def full(self, node: Node, shape: Sequence[Any], value: Any, **more: Any) -> Any:
        if (axis := _find_axis(node)) is None:
            return None
        column = self.emit(aten.full.default, [[shape[1 - axis]], value], more)
        return _Unstacked(axis, (column,) * _get_shape(node)[axis])

    def sum(self, node: Node, tensor: Any, axes: Sequence[int], keepdim: bool = False) -> Any:
        if not isinstance(tensor, _Unstacked) or [axis % 2 for axis in axes] != [tensor.axis]:
            return None
        total = tensor.columns[0]
        for column in tensor.columns[1:]:
            total = self.emit(aten.add.Tensor, [total, column])
        return _Unstacked(tensor.axis, (total,)) if keepdim else total

    def cut(self, node: Node, axis: int) -> _Unstacked:
        """A tensor that is given, taken apart."""
        with self.graph.inserting_before(next(node for node in self.graph.nodes if node.op != "placeholder")):
            columns = [self.emit(aten.select.int, [node, axis, i]) for i in range(_get_shape(node)[axis])]
        return _Unstacked(axis, tuple(columns))

    def whole(self, node: Node) -> Node:
        """A tensor that is asked for, put together with the lanes last in memory."""
        part = self.parts.get(node, node)
        if isinstance(part, Node):
            return part
        if not isinstance(part, _Unstacked):
            raise _NotUnstackable
        whole = self.emit(
            aten.cat.default, [[self.emit(aten.unsqueeze.default, [column, 0]) for column in part.columns]]
        )
        return self.emit(aten.permute.default, [whole, [1, 0]]) if part.axis else whole

    def emit(self, target: Any, args: Sequence[Any], kwargs: Any = None) -> Node:
        """A new node, which knows what it would compute as the old ones do."""
        node = self.graph.call_function(target, tuple(args), dict(kwargs or {}))
        values: Any = torch.fx.map_arg((node.args, node.kwargs), lambda source: source.meta["val"])
        with self.fake or nullcontext():
            node.meta["val"] = target(*values[0], **values[1])
        return node


def _get_shape(node: Node) -> Sequence[Any]:
    shape: Sequence[Any] = node.meta["val"].shape
    return shape


def _is_column(part: Any) -> bool:
    """Whether this is one number a lane."""
    return isinstance(part, Node) and len(_get_shape(part)) == 1 and isinstance(_get_shape(part)[0], SymInt)


def _find_axis(node: Node) -> int | None:
    """The axis along which a node is to be taken apart: the short one of two, if the other one is the lanes."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.dim() != 2:
        return None
    lanes = [isinstance(length, SymInt) for length in value.shape]
    return (
        lanes.index(False) if any(lanes) and not all(lanes) and value.shape[lanes.index(False)] <= MAX_COLUMNS else None
    )


def _is_elementwise(target: Any) -> bool:
    """Whether a function works on each number by itself."""
    return target is prims.convert_element_type.default or torch.Tag.pointwise in getattr(target, "tags", ())
