"""Our own step under torch.compile: one graph a cell, as hyper-parameters and step number come as tensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from torch.utils._pytree import tree_map_only

from gdbench.optimizers import Method, Oracle, Seen, Step
from gdbench.optimizers.arithmetic import is_zero
from gdbench.params import Params, lanes_last, leaves
from gdbench.schema import Unavailable

__all__ = ["Program", "compiled"]

Graph = Callable[[Params, "Running"], tuple[Params, "Running", Seen]]


class Running(NamedTuple):
    """All that a compiled step needs beside x: k and the hyper-parameters in float64, and the method's own state."""

    k: Tensor
    hyper: dict[str, Tensor]
    inner: Any


def compiled(make: Callable[..., Method], hyper: Mapping[str, Any], backend: str = "inductor") -> Method:
    """The Method ``make(**hyper)`` with its step compiled into one graph."""
    return Program(make, backend).method(hyper)


class Program:
    """The compiled steps of all the methods that ``make`` builds: other numbers run through the same graph.

    Another oracle, another shape or another structure has a graph of its own; structure is whatever is no float, and
    every plain 0.0, as a method leaves out what it multiplies. The graph counts k itself, from 0 at ``init``.
    A step raises Unavailable where torch.compile cannot work: no C++ compiler, or code that it cannot follow.
    """

    def __init__(self, make: Callable[..., Method], backend: str = "inductor") -> None:
        """Compile nothing yet: that happens in the first step."""
        self.make = make
        self.backend = backend
        self.graphs: dict[Any, Graph] = {}
        self.compile_s = 0.0
        """Seconds that first steps have taken, nearly all of it the compiler's."""

    def method(self, hyper: Mapping[str, Any]) -> Method:
        """The Method with these hyper-parameters: floats, float64 tensors ``[L]`` and switches."""
        numbers = {name: each for name, each in hyper.items() if isinstance(each, float | Tensor) and not is_zero(each)}
        fixed = {name: each for name, each in hyper.items() if name not in numbers}
        make = partial(self.make, **fixed)
        structure = tuple(sorted(fixed.items()))

        def init(x: Params) -> Running:
            float64 = partial(torch.as_tensor, dtype=torch.float64, device=home(x))
            tensors = {name: float64(each) for name, each in numbers.items()}
            return Running(float64(0.0), tensors, make(**tensors).init(x))

        def step(oracle: Oracle, k: Step, x: Params, state: Running) -> tuple[Params, Running, Seen]:
            key = id(oracle), structure  # the graph keeps its oracle alive, so that no other can have this id
            graph = self.graphs.get(key)
            try:
                return graph(x, state) if graph else self._first(key, make, oracle, x, state)
            except TorchDynamoException as error:
                raise refusal(error) from error

        return Method(init, step, constant_cost=make(**numbers).constant_cost)

    def _first(
        self, key: Any, make: Callable[..., Method], oracle: Oracle, x: Params, state: Running
    ) -> tuple[Params, Running, Seen]:
        """A graph's first step, which compiles it."""
        started = time.perf_counter()
        graph = self.graphs[key] = compile_step(make, oracle, self.backend)
        stepped = graph(x, state)
        self.compile_s += time.perf_counter() - started
        return stepped


def compile_step(make: Callable[..., Method], oracle: Oracle, backend: str) -> Graph:
    """One step, and the counting of it, as one graph."""

    def settle(leaf: Tensor) -> Tensor:
        # A compiler lays results out as it likes, and a step that finds its state laid out anew is compiled anew.
        return lanes_last(leaf) if oracle.laned and leaf.dim() > 1 else leaf.contiguous()

    def step(x: Params, state: Running) -> tuple[Params, Running, Seen]:
        k, hyper, inner = state
        x, inner, seen = make(**hyper).step(oracle, k, x, inner)
        x, inner = tree_map_only(Tensor, settle, (x, inner))
        return x, Running(k + 1, hyper, inner), Seen(*seen)

    # torch keeps graphs with the code, which all programs share, and caps their number: take code of our own.
    own = FunctionType(step.__code__.replace(), step.__globals__, closure=step.__closure__)
    options: dict[str, Any] = {"guard_filter_fn": tensors_only}
    try:
        return torch.compile(own, fullgraph=True, dynamic=False, backend=backend, options=options)
    except RuntimeError as error:  # no torch.compile on this platform, or one too old for the options
        raise refusal(error) from error


def tensors_only(guards: Sequence[Any]) -> list[bool]:
    """Which conditions to check before each step: of what reaches a graph only tensors can change."""
    return [guard.guard_type == "TENSOR_MATCH" for guard in guards]


def home(x: Params) -> torch.device:
    """Where the float64 scalars live: beside x, but MPS has no float64."""
    device = leaves(x)[0].device
    return torch.device("cpu") if device.type == "mps" else device


def refusal(error: Exception) -> Unavailable:
    """The compiler's own reason, on one line."""
    cause = getattr(error, "inner_exception", error)
    return Unavailable(f"torch.compile: {type(cause).__name__}: {str(cause).strip().splitlines()[0]}")
