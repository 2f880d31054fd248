"""Compiled steps of methods: hyper-parameters and step number are tensors, so one graph serves a cell.

One run takes one step per call. Lanes take several per call, and are observed within the graph, which holds for any
number of lanes: the observations then stay in registers from one step to the next.

A graph holds for states of one kind: other containers, plain numbers or shapes in a state have a graph of their own,
and the first steps of each are compared with eager ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.utils.cpp_extension  # inductor's, and it takes a finder from sys.meta_path: never beside other imports
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gdbench.engine.compile.graph_builder import GraphBuilder, RunOrigin, Stage, StateKind, describe_inputs
from gdbench.engine.compile.state_structure import assemble, describe_form, list_tensors
from gdbench.engine.compile.step_code import (
    ObservePoint,
    StepInputs,
    make_step,
    make_steps,
    put_lanes_first,
    put_lanes_last,
)
from gdbench.engine.gc_pause import pause_gc
from gdbench.optimizers.base import Method, Step, StepInfo
from gdbench.optimizers.update_ops import is_zero
from gdbench.tree import Params, leaves

__all__ = ["CompiledLanes", "ObservePoint", "Program", "compile_method"]


class CompiledState(NamedTuple):
    """State of a compiled run: k and the hyper-parameters in float64, and the method's own state."""

    k: Tensor
    hyper: dict[str, Tensor]
    inner: tuple[Tensor, ...]
    """The tensors of the method's state."""
    kind: StateKind
    """What x and state are beside the numbers in them; there is one object of each kind in a program."""
    origin: RunOrigin | None = None
    """At the start: x as it was given, and the method's own state there."""


class CompiledLanes(NamedTuple):
    """A method in compiled lanes, whose steps are taken and observed within one graph."""

    init: Callable[[Params], tuple[Params, CompiledState]]
    """``init(x) -> (x, state)``, both with the lanes as the last axis of every tensor."""
    steps: Callable[..., tuple[Params, CompiledState, Any, StepInfo | None]]
    """``steps(count, oracle, x, state, watch, so_far) -> (x, state, so_far, seen)``; of several, none is ``seen``."""
    output_at: Callable[[Params, CompiledState], Params]
    """``output_at(x, state)``: the point that is judged, lanes first."""
    constant_cost: bool

    @staticmethod
    def put_lanes_first(tree: Any) -> Any:
        """An x or a state that ``steps`` returned, with the lanes first, as the rest of gdbench has it."""
        return put_lanes_first(tree)


def compile_method(
    make: Callable[..., Method], hyper: Mapping[str, Any], backend: str | Callable[..., Any] = "inductor"
) -> Method:
    """The Method ``make(**hyper)`` with its step compiled into one graph."""
    return Program(make, backend).method(hyper)


class Program:
    """The compiled steps of all the methods that ``make`` builds: other numbers run through the same graph.

    Another objective, another shape or another structure has a graph of its own; structure is whatever is no float, and
    every plain 0.0, as a method leaves out what it multiplies. The graph counts k itself, from 0 at ``init``.
    A step raises Unavailable where torch.compile cannot work: no C++ compiler, code that it cannot follow, or a state
    that is of another kind in every step; and CompiledStepError where a graph computes another method.
    """

    def __init__(self, make: Callable[..., Method], backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile nothing yet: that happens in the first step."""
        self.make = make
        self.backend = backend
        self.stages: dict[Any, Stage] = {}
        self.kinds: dict[StateKind, StateKind] = {}
        self.compile_s = 0.0
        """Seconds that first steps have taken, nearly all of it the compiler's."""
        self.compiling = threading.Lock()

    def method(self, hyper: Mapping[str, Any]) -> Method:
        """The Method with these hyper-parameters, for a single run: floats, 0-d float64 tensors and switches."""
        make, numbers, structure = self._parts(hyper)
        ready: dict[tuple[int, int], Stage] = {}

        def step(oracle: Any, k: Step, x: Params, state: CompiledState) -> tuple[Params, CompiledState, StepInfo]:
            count, hyper, inner, kind, origin = state
            if origin is not None:  # leaves of the start may share memory, which those of a graph do not
                x = tree_map_only(Tensor, copy_contiguous, x)
            stage = ready.get((id(oracle.fn), id(kind)))  # the graph keeps fn alive, so that no other can have this id
            if stage is None:
                builder = GraphBuilder(make, numbers, oracle, partial(make_step, make, oracle), self.backend)
                at = StepInputs(x, count, hyper, inner, None, None, oracle.seeds)
                stage = self._enter(builder, (id(oracle.fn), structure), kind, at, origin)
                ready[id(oracle.fn), id(kind)] = stage
            x, count, inner, _, seen = stage.graph(x, count, hyper, inner, None, None, oracle.seeds)
            return x, CompiledState(count, hyper, inner, stage.after), seen

        made = make(**numbers)
        return Method(
            lambda x: self._begin(make, numbers, x, laned=False)[1],
            step,
            constant_cost=made.constant_cost,
            output=(lambda x, state: made.output_at(x, assemble(state.kind.form, state.inner)))
            if made.output
            else None,
        )

    def in_lanes(self, hyper: Mapping[str, Any], look: ObservePoint) -> CompiledLanes:
        """The same for lanes, of which each number may have its own: float64 tensors ``[L]``, L at least 2."""
        make, numbers, structure = self._parts(hyper)
        ready: dict[tuple[int, int, int], Stage] = {}

        def steps(count: int, oracle: Any, x: Params, state: CompiledState, watch: Any, so_far: Any) -> Any:
            k, hyper, inner, kind, origin = state
            at = StepInputs(x, k, hyper, inner, so_far, watch, oracle.seeds)
            stage = ready.get((id(oracle.fn), count, id(kind)))
            if stage is None:
                code = partial(make_steps, make, oracle, look=look, count=count)
                builder = GraphBuilder(make, numbers, oracle, code, self.backend, laned=True, count=count)
                stage = self._enter(
                    builder, (id(oracle.fn), structure, count, id(look), *describe_inputs(at)), kind, at, origin
                )
                ready[id(oracle.fn), count, id(kind)] = stage
            x, k, inner, so_far, seen = stage.graph(*at)
            return x, CompiledState(k, hyper, inner, stage.after), so_far, seen

        def output_at(x: Params, state: CompiledState) -> Params:
            x, inner = put_lanes_first((x, state.inner))
            return made.output_at(x, assemble(state.kind.form, inner))

        made = make(**numbers)
        return CompiledLanes(lambda x: self._begin(make, numbers, x, laned=True), steps, output_at, made.constant_cost)

    def _parts(self, hyper: Mapping[str, Any]) -> tuple[Callable[..., Method], dict[str, Any], tuple[Any, ...]]:
        """The method factory without its numbers, the numbers, and the other arguments, which key the graph."""
        numbers = {
            name: value for name, value in hyper.items() if isinstance(value, float | Tensor) and not is_zero(value)
        }
        fixed = {name: value for name, value in hyper.items() if name not in numbers}
        return partial(self.make, **fixed), numbers, tuple(sorted(fixed.items()))

    def _begin(
        self, make: Callable[..., Method], numbers: Mapping[str, Any], x: Params, laned: bool
    ) -> tuple[Params, CompiledState]:
        """The x and state that a compiled run starts with; no two tensors are one object."""
        float64 = partial(torch.as_tensor, dtype=torch.float64, device=choose_scalar_device(x))
        hyper = {name: float64(number).clone() for name, number in numbers.items()}
        state = make(**hyper).begin(x, laned)
        form, given = describe_form(state), (x, tuple(list_tensors(state)))
        own, inner = tree_map_only(Tensor, copy_contiguous, put_lanes_last(given) if laned else given)
        kind = StateKind.of(form, own, inner, laned)
        with self.compiling:
            kind = self.kinds.setdefault(kind, kind)
        return own, CompiledState(float64(0.0).clone(), hyper, inner, kind, RunOrigin(x, make, numbers, laned))

    def _enter(
        self, builder: GraphBuilder, key: tuple[Any, ...], kind: StateKind, at: StepInputs, origin: RunOrigin | None
    ) -> Stage:
        """The graph for a state of this kind; other threads that need one wait for the same."""
        with self.compiling:
            if (key, kind) not in self.stages:
                started = time.perf_counter()
                with pause_gc():
                    stages = builder.explore(kind, at, origin, self.kinds)
                self.stages |= {(key, kind): stage for kind, stage in stages.items()}
                self.compile_s += time.perf_counter() - started
            return self.stages[key, kind]


def copy_contiguous(leaf: Tensor) -> Tensor:
    """A contiguous, detached copy of a tensor."""
    return leaf.detach().clone(memory_format=torch.contiguous_format)


def choose_scalar_device(x: Params) -> torch.device:
    """Where the float64 scalars live: beside x, but MPS has no float64."""
    device = leaves(x)[0].device
    return torch.device("cpu") if device.type == "mps" else device
