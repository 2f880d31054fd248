"""Steps of torch optimizers that differentiate the gradient, by the Hessian product of the run's oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gdbench.optimizers.base import HESSIAN_PRODUCT, Oracle, Step, StepInfo
from gdbench.tree import Params, leaves, rebuild

__all__ = ["count_differentiations", "step_with_graph"]

Product = Callable[[Sequence[Tensor]], list[Tensor]]
"""The product of the Hessian at the point with a direction, leaf by leaf."""


class DifferentiableGradient(torch.autograd.Function):
    """The gradient as a function of the point; its derivative is the Hessian product."""

    @staticmethod
    def forward(ctx: Any, product: Product, slopes: Sequence[Tensor], *point: Tensor) -> tuple[Tensor, ...]:
        """Return copies of the gradients that were computed already."""
        ctx.product = product
        return tuple(slope.clone() for slope in slopes)

    @staticmethod
    def backward(ctx: Any, *along: Tensor) -> tuple[Any, ...]:
        """Return the product of the Hessian with a direction."""
        return (None, None, *ctx.product(along))


class CountedGradient(torch.autograd.Function):
    """Copies of gradients that count how often they are differentiated."""

    @staticmethod
    def forward(ctx: Any, count: Callable[[], object], *slopes: Tensor) -> tuple[Tensor, ...]:
        """Return copies."""
        ctx.count = count
        return tuple(slope.clone() for slope in slopes)

    @staticmethod
    def backward(ctx: Any, *along: Tensor) -> tuple[Any, ...]:
        """Count, and pass on the direction."""
        ctx.count()
        return (None, *along)


def count_differentiations(slopes: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Callable[[], int]]:
    """Copies of gradients made by ``backward(create_graph=True)``, and how often they have been differentiated."""
    calls: list[None] = []
    copies = CountedGradient.apply(lambda: calls.append(None), *slopes)  # type: ignore[no-untyped-call]
    return copies, lambda: len(calls)


def step_with_graph(
    oracle: Oracle, k: Step, point: Params, optimizer: torch.optim.Optimizer
) -> tuple[Params, StepInfo]:
    """Make one step of an optimizer that differentiates ``.grad``, as after ``backward(create_graph=True)``.

    Each differentiation is a Hessian product, and is counted as one of the oracle's.
    """
    products = 0

    def product(along: Sequence[Tensor]) -> list[Tensor]:
        nonlocal products
        products += 1
        with torch.enable_grad():
            return leaves(oracle.hvp(point, rebuild(point, along), k))

    loss, grad = oracle.grad(point, k)
    with torch.enable_grad():
        slopes = DifferentiableGradient.apply(product, leaves(grad), *leaves(point))  # type: ignore[no-untyped-call]
    for leaf, slope in zip(leaves(point), slopes, strict=True):
        leaf.grad = slope
    optimizer.step()
    for leaf in leaves(point):  # a copy of the run must not reach the graph
        leaf.grad = None
    return point, StepInfo(loss, grad, 1 + HESSIAN_PRODUCT * products, 0)
