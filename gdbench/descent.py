"""THE loop: it drives every method on every objective, solo or in lanes, watched, timed or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gdbench.optimizers import Method, Oracle, Seen
from gdbench.params import Params, tree_map

__all__ = ["Look", "descent"]

Look = Callable[[int, Params, Seen], None]
"""Looks on at x_k and what the step that starts there saw; k is the index of the step."""

_NEW = object()


def descent(
    method: Method, oracle: Oracle, x: Params, steps: range, state: Any = _NEW, look: Look | None = None
) -> tuple[Params, Any]:
    """Carry ``method`` through ``steps`` from x; with a state it goes on, without one it starts anew.

    Without ``look`` nothing but the steps is done: that is the pass that is timed.
    """
    if state is _NEW:
        state = method.init(x)
    step = method.step
    if look is None:
        for k in steps:
            x, state, _ = step(oracle, k, x, state)
        return x, state
    for k in steps:
        at = tree_map(lambda leaf: leaf.detach().clone(), x) if method.mutates else x
        x, state, seen = step(oracle, k, x, state)
        look(k, at, Seen(*seen))
    return x, state
