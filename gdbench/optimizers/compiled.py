"""Our own steps, compiled: hyper-parameters and step number come as tensors, so one graph serves a cell.

A run alone takes a step a call. Lanes take several, and are looked at, within one graph of any number of lanes: what is
seen then stays in registers from one step to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import torch
import torch.utils.cpp_extension  # inductor's, and it takes a finder from sys.meta_path: never beside other imports
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_map_only

from gdbench.optimizers import Method, Seen, Step, judging
from gdbench.optimizers.arithmetic import is_zero
from gdbench.optimizers.library import kept
from gdbench.params import Params, leaves
from gdbench.uncollected import uncollected

__all__ = ["Lanes", "Look", "Program", "compiled"]

WIDTH = 1009
"""Had the first call as many lanes as a point has numbers, a compiler would hold them for one and the same."""

Graph = Callable[..., Any]
Look = Callable[[Any, Tensor, Params, Seen, Any], Any]
"""``look(watch, k, x, seen, so_far) -> so_far``: pure, with k a 0-d int32 tensor."""


class Running(NamedTuple):
    """All that a compiled step needs beside x: k and the hyper-parameters in float64, and the method's own state."""

    k: Tensor
    hyper: dict[str, Tensor]
    inner: Any


class Lanes(NamedTuple):
    """A method in lanes, whose steps are taken and looked at within one graph."""

    init: Callable[[Params], tuple[Params, Running]]
    """``init(x) -> (x, state)``, both with the lanes as the last axis of every tensor."""
    steps: Callable[..., tuple[Params, Running, Any, Seen | None]]
    """``steps(count, oracle, x, state, watch, so_far) -> (x, state, so_far, seen)``; of several, none is ``seen``."""
    judged_at: Callable[[Params, Running], Params]
    """``judged_at(x, state)``: the point that is judged, lanes first."""
    constant_cost: bool

    @staticmethod
    def shown(tree: Any) -> Any:
        """An x or a state that ``steps`` gave, with the lanes first, as the rest of the world knows it."""
        return inward(tree)


def compiled(
    make: Callable[..., Method], hyper: Mapping[str, Any], backend: str | Callable[..., Any] = "inductor"
) -> Method:
    """The Method ``make(**hyper)`` with its step compiled into one graph."""
    return Program(make, backend).method(hyper)


class Program:
    """The compiled steps of all the methods that ``make`` builds: other numbers run through the same graph.

    Another objective, another shape or another structure has a graph of its own; structure is whatever is no float, and
    every plain 0.0, as a method leaves out what it multiplies. The graph counts k itself, from 0 at ``init``.
    A step raises Unavailable where torch.compile cannot work: no C++ compiler, or code that it cannot follow.
    """

    def __init__(self, make: Callable[..., Method], backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile nothing yet: that happens in the first step."""
        self.make = make
        self.backend = backend
        self.graphs: dict[Any, Graph] = {}
        self.compile_s = 0.0
        """Seconds that first steps have taken, nearly all of it the compiler's."""
        self.compiling = threading.Lock()

    def method(self, hyper: Mapping[str, Any]) -> Method:
        """The Method with these hyper-parameters, for a run alone: floats, 0-d float64 tensors and switches."""
        make, numbers, structure = self._parts(hyper)

        def step(oracle: Any, k: Step, x: Params, state: Running) -> tuple[Params, Running, Seen]:
            key = id(oracle.fn), structure  # the graph keeps it alive, so that no other can have this id
            graph, at = self.graphs.get(key), (x, state, oracle.seeds)
            stepped: tuple[Params, Running, Seen] = (graph or self._first(key, step_of(make, oracle), False, at))(*at)
            return stepped

        made = make(**numbers)
        return Method(
            lambda x: running(make, numbers, x, laned=False),
            step,
            constant_cost=made.constant_cost,
            judged=(lambda x, state: made.judged_at(x, state.inner)) if made.judged else None,
        )

    def in_lanes(self, hyper: Mapping[str, Any], look: Look) -> Lanes:
        """The same for lanes, of which each number may have its own: float64 tensors ``[L]``, L at least 2."""
        make, numbers, structure = self._parts(hyper)
        ready: dict[tuple[int, int], Graph] = {}

        def init(x: Params) -> tuple[Params, Running]:
            # Copies, as a compiler takes a tensor that it meets twice for one.
            x, state = tree_map_only(Tensor, torch.clone, outward((x, running(make, numbers, x, laned=True))))
            return x, state

        def steps(count: int, oracle: Any, *at: Any) -> Any:
            at = *at, oracle.seeds
            graph = ready.get((id(oracle.fn), count))
            if graph is None:  # the kind stays from one step to the next, and takes as long to tell as a small step
                key = id(oracle.fn), structure, count, Kind.of(at)
                graph = self.graphs.get(key) or self._first(key, steps_of(make, oracle, look, count), True, at)
                ready[id(oracle.fn), count] = graph
            return graph(*at)

        made = make(**numbers)
        return Lanes(init, steps, lambda x, state: made.judged_at(*inward((x, state.inner))), made.constant_cost)

    def _parts(self, hyper: Mapping[str, Any]) -> tuple[Callable[..., Method], dict[str, Any], tuple[Any, ...]]:
        """The method still to be given its numbers, these, and what else makes its graph."""
        numbers = {name: each for name, each in hyper.items() if isinstance(each, float | Tensor) and not is_zero(each)}
        fixed = {name: each for name, each in hyper.items() if name not in numbers}
        return partial(self.make, **fixed), numbers, tuple(sorted(fixed.items()))

    def _first(self, key: Any, code: FunctionType, laned: bool, at: Any) -> Graph:
        """A graph before its first call, which compiles it; other threads that need one wait for the same."""
        with self.compiling:
            if key in self.graphs:
                return self.graphs[key]
            started = time.perf_counter()
            with uncollected():
                graph = (self._library(code, key[-1], at) if laned else None) or self._graph(code, laned, at)
            self.graphs[key] = graph
            self.compile_s += time.perf_counter() - started
            return graph

    def _library(self, code: FunctionType, kind: Kind, at: Any) -> Graph | None:
        """What needs no compiler once it has been made, where that can be had."""
        return kept(code, widened(at)) if self.backend == "inductor" and kind.lengths == 1 else None

    def _graph(self, code: FunctionType, laned: bool, at: Any) -> Graph:
        from gdbench.optimizers.graphs import compiled_graph  # which imports the compiler

        return compiled_graph(code, self.backend, at, widened(at) if laned else None)


class Kind(NamedTuple):
    """What a graph of lanes is made for; how many lanes there are is left open."""

    spec: TreeSpec
    lengths: int
    """How many different last axes its tensors have: 1, that of the lanes, for all methods that are ours."""
    leaves: tuple[Any, ...]

    @classmethod
    def of(cls, at: Any) -> Kind:
        """The kind of what steps are given."""
        leaves, spec = tree_flatten(at)
        shapes = [leaf.shape if isinstance(leaf, Tensor) else None for leaf in leaves]
        each = tuple(
            (type(leaf), leaf) if shape is None else (leaf.dtype, len(shape), shape[:-1])
            for leaf, shape in zip(leaves, shapes, strict=True)
        )
        return cls(spec, len({shape[-1] for shape in shapes if shape}), each)


def running(make: Callable[..., Method], numbers: Mapping[str, Any], x: Params, laned: bool) -> Running:
    """What a compiled run starts with at x."""
    float64 = partial(torch.as_tensor, dtype=torch.float64, device=home(x))
    tensors = {name: float64(each) for name, each in numbers.items()}
    return Running(float64(0.0), tensors, make(**tensors).begin(x, laned))


def step_of(make: Callable[..., Method], oracle: Any) -> Any:
    """One step, and the counting of it."""

    def step(x: Params, state: Running, seeds: Tensor | None) -> tuple[Params, Running, Seen]:
        k, hyper, inner = state
        x, inner, seen = make(**hyper).step(oracle.of(seeds), k, x, inner)
        # A compiler lays results out as it likes, and a step that finds its state laid out anew is compiled anew.
        x, inner = tree_map_only(Tensor, torch.Tensor.contiguous, (x, inner))
        return x, Running(k + 1, hyper, inner), Seen(*seen)

    return step


def steps_of(make: Callable[..., Method], oracle: Any, look: Look, count: int) -> Any:
    """So many steps in lanes, each looked at where it starts."""

    def steps(x: Params, state: Running, watch: Any, so_far: Any, seeds: Tensor | None) -> Any:
        x, (k, hyper, inner) = inward((x, state))
        method, ask = make(**hyper), oracle.of(seeds)
        for _ in range(count):
            at = method.judged_at(x, inner)
            x, inner, saw = method.step(ask, k, x, inner)
            seen = judging(method, ask, k, at, Seen(*saw))
            so_far = look(watch, k.to(torch.int32), at, seen, so_far)
            k = k + 1
        x, state = outward((x, Running(k, hyper, inner)))
        return x, state, so_far, seen if count == 1 else None

    return steps


def outward(tree: Any) -> Any:
    """A tree of lanes with the lanes as the last axis of every tensor, as they lie in memory."""
    return tree_map_only(Tensor, lambda leaf: leaf.movedim(0, -1).contiguous() if leaf.dim() > 1 else leaf, tree)


def inward(tree: Any) -> Any:
    """A tree that went through ``outward`` with the lanes first again, as methods know them."""
    return tree_map_only(Tensor, lambda leaf: leaf.movedim(-1, 0) if leaf.dim() > 1 else leaf, tree)


def widened(at: Any) -> Any:
    """As many lanes of the first one as no point has numbers: what a graph of any number of lanes is compiled on."""

    def wide(leaf: Tensor) -> Tensor:
        if not leaf.dim():
            return leaf
        return leaf[..., :1].expand(*leaf.shape[:-1], WIDTH).contiguous()

    return tree_map_only(Tensor, wide, at)


def home(x: Params) -> torch.device:
    """Where the float64 scalars live: beside x, but MPS has no float64."""
    device = leaves(x)[0].device
    return torch.device("cpu") if device.type == "mps" else device
