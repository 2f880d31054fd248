"""Our own steps under torch.compile: hyper-parameters and step number come as tensors, so one graph serves a cell.

A run alone takes a step a call. Lanes take several, and are looked at, within one graph of any number of lanes: what is
seen then stays in registers from one step to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import torch
import torch.utils.cpp_extension  # inductor's, and it takes a finder from sys.meta_path: never beside other imports
from torch import Tensor
from torch._dynamo import config, eval_frame
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.codecache import CppPythonBindingsCodeCache, torch_key
from torch._inductor.cpu_vec_isa import pick_vec_isa
from torch.utils._pytree import tree_map_only

from gdbench.optimizers import Method, Seen, Step, judging
from gdbench.optimizers.arithmetic import is_zero
from gdbench.optimizers.columns import Columns
from gdbench.params import Params, leaves
from gdbench.schema import Unavailable
from gdbench.uncollected import uncollected

__all__ = ["Lanes", "Look", "Program", "compiled"]

HELD = "kernel({}); Py_RETURN_NONE;"
LET_GO = """[](auto... given) {{
    Py_BEGIN_ALLOW_THREADS
    kernel(given...);
    Py_END_ALLOW_THREADS
}}({}); Py_RETURN_NONE;"""
"""How a kernel is called by torch, and by us: its arguments are read before Python is let go."""

WIDTH = 1009
"""Had the first call as many lanes as a point has numbers, a compiler would hold them for one and the same."""

HEADERS = {"cpp_cache_precompile_headers": False}
"""inductor asks the C++ compiler in every process whether they still hold, for longer than they save of a kernel."""

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
            stepped: tuple[Params, Running, Seen]
            try:
                stepped = graph(*at) if graph else self._first(key, step_of(make, oracle), False, *at)
                return stepped
            except TorchDynamoException as error:
                raise refusal(error) from error

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

        def init(x: Params) -> tuple[Params, Running]:
            # Copies, as a compiler takes a tensor that it meets twice for one.
            x, state = tree_map_only(Tensor, torch.clone, outward((x, running(make, numbers, x, laned=True))))
            return x, state

        def steps(count: int, oracle: Any, *at: Any) -> Any:
            key = id(oracle.fn), structure, count
            graph, at = self.graphs.get(key), (*at, oracle.seeds)
            try:
                return graph(*at) if graph else self._first(key, steps_of(make, oracle, look, count), True, *at)
            except TorchDynamoException as error:
                raise refusal(error) from error

        made = make(**numbers)
        return Lanes(init, steps, lambda x, state: made.judged_at(*inward((x, state.inner))), made.constant_cost)

    def _parts(self, hyper: Mapping[str, Any]) -> tuple[Callable[..., Method], dict[str, Any], tuple[Any, ...]]:
        """The method still to be given its numbers, these, and what else makes its graph."""
        numbers = {name: each for name, each in hyper.items() if isinstance(each, float | Tensor) and not is_zero(each)}
        fixed = {name: each for name, each in hyper.items() if name not in numbers}
        return partial(self.make, **fixed), numbers, tuple(sorted(fixed.items()))

    def _first(self, key: Any, code: FunctionType, laned: bool, *at: Any) -> Any:
        """A graph's first call, which compiles it; other threads that need one wait, as they may need the same."""
        with self.compiling:
            if key in self.graphs:
                return self.graphs[key](*at)
            started = time.perf_counter()
            with uncollected(), config.patch(fake_tensor_cache_enabled=False):  # of one graph hardly anything comes again
                if self.backend == "inductor":
                    prepare()
                graph = compile_graph(code, self.backend, laned)
                if laned:
                    with kernels_run_beside_python():
                        graph(*widened(at))
                answer = graph(*at)  # vmap makes of some functions a graph of one number of lanes: it is compiled again
            if not eval_frame._debug_get_cache_entry_list(eval_frame.innermost_fn(graph).__code__):
                raise Unavailable(
                    "torch.compile: it has compiled nothing; is it switched off, as by TORCH_COMPILE_DISABLE?"
                )
            self.graphs[key] = graph
            self.compile_s += time.perf_counter() - started
            return answer


def prepare() -> None:
    """Find out beside the tracing what inductor asks at its end: this processor's abilities, and torch's own source."""
    for ask in (pick_vec_isa, torch_key):
        threading.Thread(target=ask, daemon=True).start()


@contextmanager
def kernels_run_beside_python() -> Iterator[None]:
    """Kernels that are loaded inside let other threads use Python while they run; inductor's own do not."""
    held = getattr(CppPythonBindingsCodeCache, "call_entry_function", "")
    if held != HELD:  # another version of torch, whose kernels are left as they are
        yield
        return
    CppPythonBindingsCodeCache.call_entry_function = LET_GO
    try:
        yield
    finally:
        CppPythonBindingsCodeCache.call_entry_function = held


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
        leaf = leaf[..., :1].expand(*leaf.shape[:-1], WIDTH).contiguous()
        torch._dynamo.maybe_mark_dynamic(leaf, leaf.dim() - 1)
        return leaf

    return tree_map_only(Tensor, wide, at)


def compile_graph(code: Any, backend: str | Callable[..., Any], laned: bool) -> Graph:
    """A function as one graph, which its first call compiles."""
    # torch keeps graphs with the code, which all programs share, and caps their number: take code of our own.
    own = FunctionType(code.__code__.replace(), code.__globals__, closure=code.__closure__)
    options: dict[str, Any] = {"guard_filter_fn": tensors_and_shapes if laned else tensors_only}
    if backend == "inductor":
        options |= HEADERS
        if laned:
            options["post_grad_custom_pre_pass"] = Columns()
    leave_frames_uncounted()
    try:
        return torch.compile(own, fullgraph=True, dynamic=False, backend=backend, options=options)
    except RuntimeError as error:  # no torch.compile on this platform, or one too old for the options
        raise refusal(error) from error


def leave_frames_uncounted() -> None:
    """Keep torch 2.13 from counting, in one number for all threads, the compiled frames that a call has run.

    A call that ends may find the 0 that another thread has just begun with, and raises, as if it were not compiled.
    Nothing is lost: whether a graph was compiled at all its first call asks its code.
    """
    if count := getattr(eval_frame, "set_fullgraph_compiled_frame_count", None):
        count(0)  # calls count only where they find it below 0, and only those set it back


def tensors_only(guards: Sequence[Any]) -> list[bool]:
    """Which conditions to check before each step: of what reaches a graph only tensors can change."""
    return [guard.guard_type == "TENSOR_MATCH" for guard in guards]


def tensors_and_shapes(guards: Sequence[Any]) -> list[bool]:
    """The same where a graph is of any number of lanes, which must be one number."""
    return [guard.guard_type in ("TENSOR_MATCH", "SHAPE_ENV") for guard in guards]


def home(x: Params) -> torch.device:
    """Where the float64 scalars live: beside x, but MPS has no float64."""
    device = leaves(x)[0].device
    return torch.device("cpu") if device.type == "mps" else device


def refusal(error: Exception) -> Unavailable:
    """The compiler's own reason, on one line."""
    cause = getattr(error, "inner_exception", error)
    return Unavailable(f"torch.compile: {type(cause).__name__}: {str(cause).strip().splitlines()[0]}")
