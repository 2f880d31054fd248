"""Gradient descent, plain and with heavy-ball or Nesterov momentum, whose state b decays and adds each gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, effective_gradient, is_zero
from gdbench.tree import per_run


def gd(lr: Hyper, weight_decay: Hyper = 0.0, maximize: bool = False) -> Method:
    """Gradient descent with a fixed step, ``x - lr g`` (Cauchy 1847)."""
    grad_of = effective_gradient(weight_decay, maximize)

    def update(k: Step, grad: Tensor, state: tuple[()], x: Tensor) -> tuple[Tensor, tuple[()]]:
        return x - per_run(lr, x) * grad_of(grad, x), state

    def update_plain(k: Step, grad: Tensor, state: tuple[()], x: Tensor) -> tuple[Tensor, tuple[()]]:
        return x - lr * grad, state

    # The simplest step is the reference for all others, so it makes no call that it does not need.
    return first_order(
        lambda x: (), update if isinstance(lr, Tensor) or maximize or not is_zero(weight_decay) else update_plain
    )


def momentum(
    lr: Hyper, momentum: Hyper = 0.9, dampening: Hyper = 0.0, weight_decay: Hyper = 0.0, maximize: bool = False
) -> Method:
    """Heavy ball, ``b = momentum b + (1 - dampening) g; x - lr b``; no dampening in the first step (Polyak 1964)."""
    grad_of, down = effective_gradient(weight_decay, maximize), -lr

    def update(k: Step, grad: Tensor, buffer: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        grad = grad_of(grad, x)
        if not is_zero(dampening):
            # In the first step and without momentum torch has no buffer, and so applies no dampening.
            grad = per_run(1 - dampening * (k > 0) * (momentum != 0), x) * grad
        buffer = per_run(momentum, x) * buffer + grad
        return add(x, down, buffer), buffer

    return first_order(torch.zeros_like, update)


def nesterov(lr: Hyper, momentum: Hyper = 0.9, weight_decay: Hyper = 0.0, maximize: bool = False) -> Method:
    """Nesterov, ``b = momentum b + g; x - lr (g + momentum b)`` (Nesterov 1983; Sutskever et al. 2013)."""
    grad_of, down = effective_gradient(weight_decay, maximize), -lr

    def update(k: Step, grad: Tensor, buffer: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        grad = grad_of(grad, x)
        buffer = per_run(momentum, x) * buffer + grad
        return add(x, down, add(grad, momentum, buffer)), buffer

    return first_order(torch.zeros_like, update)
