"""The descent loop, for every method and objective, one run or lanes, observed or timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gdbench.optimizers.base import Method, Oracle, StepInfo
from gdbench.tree import Params, tree_map

__all__ = ["Look", "descent"]

Look = Callable[[int, Params, StepInfo], None]
"""``look(k, x, info)``: called with x_k, or the point judged in its place, and what the step from there reports."""

_NEW = object()


def descent(
    method: Method, oracle: Oracle, x: Params, steps: range, state: Any = _NEW, look: Look | None = None
) -> tuple[Params, Any]:
    """Carry ``method`` through ``steps`` from x; with a state it goes on, without one it starts anew.

    Without ``look`` nothing but the steps is done: that is the pass that is timed. With it the point that is looked at
    is the one that the method is judged at.
    """
    if state is _NEW:
        state = method.begin(x, oracle.laned)
    step = method.step
    if look is None:
        for k in steps:
            x, state, _ = step(oracle, k, x, state)
        return x, state
    for k in steps:
        at = method.output_at(x, state)
        if method.mutates:
            at = tree_map(lambda leaf: leaf.detach().clone(), at)
        x, state, seen = step(oracle, k, x, state)
        look(k, at, StepInfo(*seen))
    return x, state
