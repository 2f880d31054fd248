"""The observers of compiled lanes: of judged steps, and of the steps between two judgements.

A graph has no branch on k, so that each of the two has a graph of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from gdbench.engine.observer_state import ObserverSpec, ObserverState, count_work, observe_point
from gdbench.optimizers.base import StepInfo
from gdbench.tree import Params

__all__ = ["make_lane_observer", "make_work_counter"]

ObservePoint = Callable[[ObserverSpec, Any, Params, StepInfo, ObserverState], ObserverState]


@cache
def make_lane_observer(interval: int) -> ObservePoint:
    """The observer of compiled lanes that are judged every ``interval`` steps, which counts judged points.

    One object for each interval, as compiled steps are cached by it.
    """
    if interval == 1:
        return observe_point

    def observe(spec: ObserverSpec, k: int | Tensor, x: Params, seen: StepInfo, state: ObserverState) -> ObserverState:
        return observe_point(spec, k // interval, x, seen, state)

    return observe


@cache
def make_work_counter(interval: int) -> ObservePoint:
    """What observes the steps of compiled lanes that are not judged: where work is counted, it adds theirs."""

    def count(spec: ObserverSpec, k: int | Tensor, x: Params, seen: StepInfo, state: ObserverState) -> ObserverState:
        alive = state.finite_points == k // interval + 1
        return count_work(seen, alive, alive & (state.best > spec.run_target), state) if spec.counts else state

    return count
