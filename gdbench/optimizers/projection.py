"""A method that is kept within the domain of its objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gdbench.optimizers.base import Method, Oracle, Step, StepFields
from gdbench.tree import Params, tree_map

__all__ = ["with_projection"]


def with_projection(method: Method, project: Callable[[Params], Params] | None) -> Method:
    """The method whose every step is followed by ``project``; the method itself where there is none.

    What the method keeps in its state, such as an average, is left as it is.
    """
    if project is None:
        return method

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        x, state, seen = method.step(oracle, k, x, state)
        inside = project(x)
        if not method.mutates:
            return inside, state, seen
        with torch.no_grad():  # torch.optim goes on from the very tensor that it moved
            return tree_map(lambda leaf, new: leaf.copy_(new), x, inside), state, seen

    return method.with_step(step)
