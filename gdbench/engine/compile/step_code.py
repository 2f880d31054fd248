"""The code of steps that is compiled: tensors in, tensors out, the structure of the state as a constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gdbench.engine.compile.state_structure import Form, assemble, list_tensors
from gdbench.optimizers.base import Method, StepInfo, compute_output_info
from gdbench.tree import Params

__all__ = [
    "TRACED_LANES",
    "ObservePoint",
    "StepInputs",
    "make_step",
    "make_steps",
    "put_lanes_first",
    "put_lanes_last",
    "repeat_lane",
]

TRACED_LANES = 1009
"""Were there as many lanes as a point has numbers, a compiler would take both for one size."""

ObservePoint = Callable[[Any, Tensor, Params, StepInfo, Any], Any]
"""``look(watch, k, x, seen, so_far) -> so_far``: pure, with k a 0-d int32 tensor."""
ListTensors = Callable[[Any], Sequence[Tensor]]
"""The tensors of a state."""


class StepInputs(NamedTuple):
    """Inputs of compiled steps, which return the new x, k, state tensors and ``so_far``, and the step's information."""

    x: Params
    k: Tensor
    hyper: dict[str, Tensor]
    inner: Sequence[Tensor]
    so_far: Any
    watch: Any
    seeds: Tensor | None


def make_step(
    make: Callable[..., Method], oracle: Any, form: Form, isolated: bool = False, pack: ListTensors = list_tensors
) -> Any:
    """One step; ``isolated`` where the method writes to its x or state, which then is a copy."""

    def step(x: Params, k: Tensor, hyper: Any, inner: Any, so_far: Any, watch: Any, seeds: Tensor | None) -> Any:
        if isolated:
            x, inner = copy_tensors((x, inner))
        x, state, seen = make(**hyper).step(oracle.of(seeds), k, x, assemble(form, inner))
        # A compiler lays results out as it likes, and a step that finds its state laid out anew is compiled anew.
        x, inner = tree_map_only(Tensor, torch.Tensor.contiguous, (x, tuple(pack(state))))
        return x, k + 1, inner, so_far, StepInfo(*seen)

    return step


def make_steps(
    make: Callable[..., Method],
    oracle: Any,
    form: Form,
    isolated: bool = False,
    pack: ListTensors = list_tensors,
    *,
    look: ObservePoint,
    count: int,
) -> Any:
    """``count`` steps in lanes, each observed at its start; only of a single step the information is returned."""

    def steps(x: Params, k: Tensor, hyper: Any, inner: Any, so_far: Any, watch: Any, seeds: Tensor | None) -> Any:
        x, inner = put_lanes_first((x, inner))
        if isolated:
            x, inner = copy_tensors((x, inner))
        method, ask, state = make(**hyper), oracle.of(seeds), assemble(form, inner)
        for _ in range(count):
            at = copy_tensors(method.output_at(x, state)) if isolated else method.output_at(x, state)
            x, state, saw = method.step(ask, k, x, state)
            seen = compute_output_info(method, ask, k, at, StepInfo(*saw))
            so_far = look(watch, k.to(torch.int32), at, seen, so_far)
            k = k + 1
        x, inner = put_lanes_last((x, tuple(pack(state))))
        return x, k, inner, so_far, seen if count == 1 else None

    return steps


copy_tensors = partial(tree_map_only, Tensor, torch.clone)
"""A tree whose tensors have memory of their own."""


def put_lanes_last(tree: Any) -> Any:
    """A tree of lanes with the lanes as the last axis of every tensor, as they lie in memory."""
    return tree_map_only(Tensor, lambda leaf: (leaf.movedim(0, -1) if leaf.dim() > 1 else leaf).contiguous(), tree)


def put_lanes_first(tree: Any) -> Any:
    """A tree that went through ``put_lanes_last`` with the lanes first again, as methods know them."""
    return tree_map_only(Tensor, lambda leaf: leaf.movedim(-1, 0) if leaf.dim() > 1 else leaf, tree)


def repeat_lane(at: Any) -> Any:
    """The first lane repeated ``TRACED_LANES`` times: inputs on which a graph for any number of lanes is compiled."""

    def wide(leaf: Tensor) -> Tensor:
        if not leaf.dim():
            return leaf
        return leaf[..., :1].expand(*leaf.shape[:-1], TRACED_LANES).contiguous()

    return tree_map_only(Tensor, wide, at)
