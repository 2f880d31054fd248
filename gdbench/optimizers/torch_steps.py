"""Steps of torch optimizers, whatever evaluates their gradients: with one gradient, or through a closure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.optim import ASGD, Optimizer

from gdbench.optimizers.base import Method, Oracle, Step, StepInfo
from gdbench.optimizers.torch_construction import (
    OptimizerSpec,
    has_eval_mode,
    is_from_torch,
    is_refusal,
    public_name,
    unavailable_error,
)
from gdbench.optimizers.torch_needs import find_hint
from gdbench.tree import Params, tree_map

__all__ = ["Copy", "Evaluate", "State", "TorchState", "TorchStep", "make_torch_method"]


class State(Protocol):
    """The state of a torch method: at least an optimizer and the point that it updates in place."""

    @property
    def point(self) -> Params:
        """The tensors that the optimizer updates."""
        ...

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer."""
        ...


class TorchState(NamedTuple):
    """A torch optimizer and the point that it updates in place."""

    point: Params
    optimizer: Optimizer


TorchStep = Callable[[Oracle, Step, Params, Any], tuple[Params, Any, StepInfo]]
Evaluate = Callable[[Oracle, Step, Any], tuple[Tensor, Params]]
"""``evaluate(oracle, k, state)``: loss and true gradient at the point; sets ``.grad``, which the optimizer reads."""
Copy = Callable[[Params, Any], tuple[Params, Any]]
Update = Callable[[Any], object]
"""``update(state)`` lets the optimizer make its step."""


def make_torch_method(
    spec: OptimizerSpec,
    init: Callable[[Params], Any],
    evaluate: Evaluate,
    graph_step: TorchStep,
    copy: Copy,
    update: Update = lambda state: state.optimizer.step(),
) -> Method:
    """Build the Method of a torch optimizer from the ways to its state and its gradients.

    ``graph_step`` is the step of a class that differentiates its gradient. The x that a step receives is the point of
    the state, except in the first step, where it is equal. Raises Unavailable, in the first step, where torch has no
    such implementation.
    """

    def eval_point(x: Params, state: Any) -> Params:
        _, copied = copy(x, state)  # train() after eval() is not exact to the bit, so a copy is switched
        copied.optimizer.eval()
        point: Params = copied.point
        return point

    searches, differentiates = spec.uses_closure, spec.uses_graph
    step = graph_step if differentiates else gradient_step(spec, evaluate, update)
    if searches:
        step = closure_step(spec, evaluate)
    output = asgd_average if issubclass(spec.kind, ASGD) else eval_point if has_eval_mode(spec.kind) else None
    constant = not (searches or differentiates)
    return Method(init, step, copy, mutates=True, constant_cost=constant, lanes=False, output=output)


def asgd_average(x: Params, state: State) -> Params:
    """Return the average that ASGD keeps; x itself before its first step."""
    memory = state.optimizer.state
    return tree_map(lambda leaf: memory[leaf]["ax"] if leaf in memory else leaf, state.point)


def gradient_step(spec: OptimizerSpec, evaluate: Evaluate, update: Update) -> TorchStep:
    """Build the step of a class that uses one gradient."""
    kind = spec.kind

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepInfo]:
        loss, grad = evaluate(oracle, k, state)
        try:
            update(state)
        except Exception as error:
            if k:
                raise
            if isinstance(error, RuntimeError | AssertionError) and is_refusal(kind, spec.impl, error):
                raise unavailable_error(spec.factory, spec.impl, error) from error
            if not is_from_torch(kind) and (hint := find_hint(error)):
                error.add_note(hint)
            raise
        return state.point, state, StepInfo(loss, grad, 1, 0)

    return step


def closure_step(spec: OptimizerSpec, evaluate: Evaluate) -> TorchStep:
    """Build the step of a class that evaluates gradients through a closure: all are counted, the first is reported."""
    kind = spec.kind

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepInfo]:
        first: list[Params] = []
        losses: list[Tensor] = []

        @torch.enable_grad()
        def closure() -> Tensor:
            loss, grad = evaluate(oracle, k, state)
            losses.append(loss.detach())
            first[:] = first or [grad]
            return losses[-1]

        try:
            state.optimizer.step(closure=closure)
        except (IndexError, TypeError):
            # Torch's line search fails where a loss is not finite: the run has become non-finite.
            if not is_from_torch(kind) or not losses or bool(torch.stack(losses).isfinite().all()):
                raise
            with torch.no_grad():
                tree_map(lambda leaf: leaf.fill_(torch.nan), state.point)
        if not losses:
            raise RuntimeError(f"{public_name(kind)}.step took a closure and did not call it: no loss was seen")
        return state.point, state, StepInfo(losses[0], first[0], len(losses), 0)

    return step
