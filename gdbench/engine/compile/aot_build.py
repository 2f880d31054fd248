"""Compile steps in lanes ahead of time to a shared library of inductor's, which loads without a compiler."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sympy import Eq, Symbol  # type: ignore[import-untyped]
from torch import Tensor
from torch._inductor import aot_compile
from torch.export import Dim, export
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from gdbench.engine.compile.unstack_pass import UnstackPass

__all__ = ["compile_library", "trace_graph"]

OPTIONS: dict[str, Any] = {
    "aot_inductor.compile_wrapper_opt_level": "O0",  # it calls a few kernels, which are compiled apart
    "aot_inductor.precompile_headers": False,
}


def trace_graph(code: Callable[..., Sequence[Tensor]], given: Sequence[Tensor]) -> GraphModule | None:
    """The graph of ``code(*given)`` for any number of lanes, the last axis of every tensor; None if it has none."""
    given = tuple(given)
    try:
        graph = make_fx(code, tracing_mode="symbolic")(*given)
        if _depends_on_lane_count(graph):
            return None
        lanes = Dim("lanes", min=2)
        axes = tuple({tensor.dim() - 1: lanes} if tensor.dim() else {} for tensor in given)
        module: GraphModule = export(graph, given, dynamic_shapes=axes, strict=False).module()
    except Exception:  # of many kinds: it looks at numbers, or at the number of lanes, or does what none can follow
        return None
    return module


def _depends_on_lane_count(graph: GraphModule) -> bool:
    """Whether the trace holds for some numbers of lanes only."""
    values = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    lanes = {value.shape[-1].node.expr for value in values if value.dim()}
    guards = [guard.expr for guard in values[0].fake_mode.shape_env.guards]
    decided = [guard for guard in guards if not (isinstance(guard, Eq) and all(map(_is_name, guard.args)))]
    return not all(map(_is_name, lanes)) or any(guard.free_symbols & lanes for guard in decided)


def _is_name(expression: Any) -> bool:
    return isinstance(expression, Symbol)


def compile_library(module: GraphModule, given: Sequence[Tensor], folder: Path) -> Path | None:
    """The library of a graph, built in an empty folder; None if it needs further files."""
    options = {
        **OPTIONS,
        "post_grad_custom_pre_pass": UnstackPass(),
        "aot_inductor.output_path": str(folder / "steps.so"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, of torch's own code
        made = Path(aot_compile(module, tuple(given), options=options))  # type: ignore[arg-type]
    # What has no C interface is called through a list that lies beside.
    return None if [file for file in folder.rglob("*.json") if not file.stem.endswith("_metadata")] else made
