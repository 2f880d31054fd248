"""torch.compile: a function as one graph, whose first call imports and runs the compiler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch._dynamo import config, eval_frame
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.codecache import torch_key
from torch._inductor.cpu_vec_isa import pick_vec_isa
from torch.utils._pytree import tree_map_only

from gdbench.engine.compile.unstack_pass import UnstackPass
from gdbench.errors import Unavailable

__all__ = ["Graph", "compile_and_run", "compile_module_loss", "mark_lanes_dynamic"]

Graph = Callable[..., Any]

INDUCTOR = {
    "cpp_cache_precompile_headers": False,  # it asks in every process whether they hold, longer than they save
    "fallback_random": True,  # draws are those of the eager step, not of a generator of inductor's own
}


def compile_and_run(code: FunctionType, backend: str | Callable[..., Any], at: Any, few: Any = None) -> Graph:
    """The compiled graph of ``code(*at)``; for any number of lanes where it is first compiled on ``few``.

    Raises Unavailable where torch.compile cannot work: no C++ compiler, or code that it cannot follow.
    """
    with config.patch(fake_tensor_cache_enabled=False):  # of one graph hardly anything comes again
        if backend == "inductor":
            start_compiler_queries()
        graph = compile_graph(code, backend, laned=few is not None)
        called = raise_unavailable(graph)
        if few is not None:
            called(*mark_lanes_dynamic(few))
        called(*at)  # vmap makes of some functions a graph of one number of lanes: it is compiled again
    require_compiled(graph)
    return called


def compile_module_loss(code: Any, backend: str, at: Any) -> Graph:
    """The compiled graph of the loss ``code(*at)`` of a module, whose backward pass is compiled with it.

    All conditions are checked before each call, as a module may hold numbers that change. Raises Unavailable where
    torch.compile cannot work.
    """
    graph = make_graph(code, backend, dict(INDUCTOR) if backend == "inductor" else {})
    called = raise_unavailable(graph)
    called(*at)
    require_compiled(graph)
    return called


def require_compiled(graph: Graph) -> None:
    """Raise Unavailable where a graph that has been called was not compiled."""
    if not eval_frame._debug_get_cache_entry_list(eval_frame.innermost_fn(graph).__code__):
        raise Unavailable("torch.compile: it has compiled nothing; is it switched off, as by TORCH_COMPILE_DISABLE?")


def raise_unavailable(graph: Graph) -> Graph:
    """The same graph, raising Unavailable where the compiler fails."""

    def call(*at: Any) -> Any:
        try:
            return graph(*at)
        except TorchDynamoException as error:
            raise to_unavailable(error) from error

    return call


def mark_lanes_dynamic(few: Any) -> Any:
    """The inputs with the lanes, the last axis of every tensor, marked as a dynamic size."""

    def mark(leaf: Tensor) -> Tensor:
        if leaf.dim():
            torch._dynamo.maybe_mark_dynamic(leaf, leaf.dim() - 1)
        return leaf

    return tree_map_only(Tensor, mark, few)


def start_compiler_queries() -> None:
    """Start two slow queries of inductor in threads while the code is traced: CPU features, and torch's source hash."""
    for ask in (pick_vec_isa, torch_key):
        threading.Thread(target=ask, daemon=True).start()


def compile_graph(code: Any, backend: str | Callable[..., Any], laned: bool) -> Graph:
    """A function as one graph, which its first call compiles."""
    options: dict[str, Any] = {"guard_filter_fn": keep_tensor_and_shape_guards if laned else keep_tensor_guards}
    if backend == "inductor":
        options |= INDUCTOR
        if laned:
            options["post_grad_custom_pre_pass"] = UnstackPass()
    return make_graph(code, backend, options)


def make_graph(code: FunctionType, backend: str | Callable[..., Any], options: dict[str, Any]) -> Graph:
    """A function as one graph, compiled with these options."""
    # torch keeps graphs with the code, which all programs share, and caps their number: take code of our own.
    own = FunctionType(code.__code__.replace(), code.__globals__, closure=code.__closure__)
    stop_frame_counting()
    try:
        return torch.compile(own, fullgraph=True, dynamic=False, backend=backend, options=options)
    except RuntimeError as error:  # no torch.compile on this platform, or one too old for the options
        raise to_unavailable(error) from error


def stop_frame_counting() -> None:
    """Keep torch 2.13 from counting, in one number for all threads, the compiled frames that a call has run.

    A call that ends may find the 0 that another thread has just begun with, and raises, as if it were not compiled.
    Nothing is lost: whether a graph was compiled at all its first call asks its code.
    """
    if count := getattr(eval_frame, "set_fullgraph_compiled_frame_count", None):
        count(0)  # calls count only where they find it below 0, and only those set it back


def keep_tensor_guards(guards: Sequence[Any]) -> list[bool]:
    """Which conditions to check before each step: what tensors are, and where a graph took two of them for one."""
    return [guard.guard_type in ("TENSOR_MATCH", "DUPLICATE_INPUT") for guard in guards]


def keep_tensor_and_shape_guards(guards: Sequence[Any]) -> list[bool]:
    """The same where a graph is of any number of lanes, which must be one number."""
    return [guard.guard_type in ("TENSOR_MATCH", "DUPLICATE_INPUT", "SHAPE_ENV") for guard in guards]


def to_unavailable(error: Exception) -> Unavailable:
    """The compiler's own reason, on one line."""
    cause = getattr(error, "inner_exception", error)
    return Unavailable(f"torch.compile: {type(cause).__name__}: {str(cause).strip().splitlines()[0]}")
