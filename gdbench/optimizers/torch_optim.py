"""Adapter that makes a Method of a class of ``torch.optim``: same oracle, same loop, only the update is torch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer, SparseAdam

from gdbench.optimizers.base import Method, Oracle, Step, StepInfo
from gdbench.optimizers.create_graph import step_with_graph
from gdbench.optimizers.optimizer_copy import copy_optimizer
from gdbench.optimizers.torch_construction import Factory, OptimizerSpec, clone_parameter
from gdbench.optimizers.torch_steps import TorchState, make_torch_method
from gdbench.tree import Params, leaves, tree_map

__all__ = ["function_method", "torch_optim"]


def torch_optim(
    factory: Factory,
    hyper: Mapping[str, Any],
    impl: str = "torch",
    kind: type[Optimizer] | None = None,
    needs: frozenset[str] = frozenset(),
) -> Method:
    """Build the Method of a torch.optim class with the arguments ``hyper``; all arguments are of ``OptimizerSpec``."""
    return function_method(OptimizerSpec(factory, hyper, impl, kind, needs))


def function_method(spec: OptimizerSpec) -> Method:
    """Build the Method of a torch optimizer for an objective that is a function.

    The state holds the point that torch updates in place, at first a copy of the x given to ``init``.
    """
    set_grad = assign_sparse if issubclass(spec.kind, SparseAdam) else assign

    def init(x: Params) -> TorchState:
        # A differentiable step writes to its leaves under autograd, which must not require a gradient of them.
        point = tree_map(lambda leaf: clone_parameter(leaf).requires_grad_(spec.impl != "differentiable"), x)
        return TorchState(point, spec.build(point))

    def evaluate(oracle: Oracle, k: Step, state: TorchState) -> tuple[Any, Params]:
        loss, grad = oracle.grad(state.point, k)
        set_grad(state.point, grad)
        return loss, grad

    def graph_step(oracle: Oracle, k: Step, x: Params, state: TorchState) -> tuple[Params, TorchState, StepInfo]:
        point, info = step_with_graph(oracle, k, state.point, state.optimizer)
        return point, state, info

    def copy(x: Params, state: TorchState) -> tuple[Params, TorchState]:
        optimizer, point, x = copy_optimizer(state.optimizer, state.point, x)
        return x, TorchState(point, optimizer)

    return make_torch_method(spec, init, evaluate, graph_step, copy)


def assign(point: Params, grad: Params) -> None:
    """Set ``.grad`` with the memory layout of the parameter: fused kernels read both by position."""
    if isinstance(point, Tensor):
        point.grad = grad.contiguous()  # type: ignore[union-attr]
    else:
        for name, leaf in point.items():
            leaf.grad = grad[name].contiguous()  # type: ignore[index]


def assign_sparse(point: Params, grad: Params) -> None:
    """Set ``.grad`` to a sparse tensor without the zeros, the only kind that SparseAdam accepts."""
    for leaf, slope in zip(leaves(point), leaves(grad), strict=True):
        leaf.grad = slope.to_sparse()
