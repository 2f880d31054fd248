"""Projection of every step onto the domain of the objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gdbench.optimizers.base import Method, Oracle, Step, StepFields
from gdbench.tree import Params, tree_map

__all__ = ["with_projection"]


def with_projection(method: Method, project: Callable[[Params], Params] | None) -> Method:
    """Wrap a method so that ``project`` is applied after every step; return the method itself where it is None.

    The method's state, such as an average, is not projected.
    """
    if project is None:
        return method

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        x, state, info = method.step(oracle, k, x, state)
        inside = project(x)
        if not method.mutates:
            return inside, state, info
        with torch.no_grad():  # torch.optim continues from the same tensor object
            return tree_map(lambda leaf, new: leaf.copy_(new), x, inside), state, info

    return method.with_step(step)
