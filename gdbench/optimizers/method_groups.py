"""Methods that share one gradient, each for its own part of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from gdbench.errors import Unavailable
from gdbench.optimizers.base import Method, Oracle, Step, StepFields
from gdbench.tree import Params

__all__ = ["combine_methods", "group_methods"]

Point = dict[str, Tensor]
Split = Callable[[Point, bool], Sequence[Point]]
"""``split(x, laned)``: the parts of a point, one for each method."""
SINGLE = "x"
"""The name given to the tensor of a point that is a single tensor."""


class PrecomputedOracle:
    """An oracle with a gradient that was computed already, so that several methods share one."""

    def __init__(self, laned: bool, result: tuple[Tensor, Params]) -> None:
        self.laned, self.result = laned, result

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """Return the loss and gradient that were computed."""
        return self.result


def combine_methods(methods: Sequence[Method], split: Split) -> Method:
    """Combine methods, each for one part of the parameters; a step costs one gradient, which all use."""

    def init(laned: bool, x: Params) -> tuple[Any, ...]:
        parts = split(as_dict(x), laned)
        return tuple(method.begin(part, laned) for method, part in zip(methods, parts, strict=True))

    def step(oracle: Oracle, k: Step, x: Params, states: tuple[Any, ...]) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        computed: Any = PrecomputedOracle(oracle.laned, (loss, as_dict(grad)))
        moved: Point = {}
        new_states = []
        for method, part, state in zip(methods, split(as_dict(x), oracle.laned), states, strict=True):
            new, new_state, _ = method.step(computed, k, part, state)
            moved.update(new)
            new_states.append(new_state)
        point: Params = {name: moved[name] for name in x} if isinstance(x, dict) else moved[SINGLE]
        return point, tuple(new_states), (loss, grad, 1, 0)

    return Method(partial(init, False), step, init_lanes=partial(init, True), leafwise=True)


def group_methods(methods: Sequence[Method], names: Sequence[Sequence[str]]) -> Method:
    """Combine methods for the parameters of these names, one list of names for each method.

    Raises Unavailable for methods whose update of a tensor depends on others: groups would change what they are.
    """
    if not all(method.leafwise for method in methods):
        raise Unavailable(
            "optimizer.groups needs a method that updates every tensor by itself, from one gradient a step: this one"
            " computes numbers over all parameters, or several gradients; use groups=null or impl=torch"
        )

    def split(x: Point, laned: bool) -> list[Point]:
        return [{name: x[name] for name in part} for part in names]

    return combine_methods(methods, split)


def as_dict(x: Params) -> Point:
    """Return a point as a dict of tensors."""
    return x if isinstance(x, dict) else {SINGLE: x}
