"""AdaGrad, RMSprop and Adadelta: each coordinate's step is scaled by the size of its past gradients."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, add_quotient, effective_gradient, ema, ema_square, is_zero
from gdbench.tree import per_run


class RMSpropState(NamedTuple):
    """Moving averages of g^2 and, if ``centered``, of g; the momentum buffer, if there is momentum."""

    square: Tensor
    mean: Tensor | None
    buffer: Tensor | None


class AdadeltaState(NamedTuple):
    """Moving averages of g^2 and of the squared steps."""

    square: Tensor
    delta: Tensor


def adagrad(
    lr: Hyper,
    lr_decay: Hyper = 0.0,
    initial_accumulator_value: Hyper = 0.0,
    eps: Hyper = 1e-10,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
) -> Method:
    """Adagrad, ``s = s + g^2; x - lr / (1 + k lr_decay) g / (sqrt(s) + eps)`` (Duchi, Hazan, Singer 2011)."""
    grad_of = effective_gradient(weight_decay, maximize)

    def update(k: Step, grad: Tensor, squares: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        grad = grad_of(grad, x)
        squares = torch.addcmul(squares, grad, grad)
        return add_quotient(x, -lr / (1 + k * lr_decay), grad, squares.sqrt() + per_run(eps, x)), squares

    return first_order(lambda x: torch.zeros_like(x) + per_run(initial_accumulator_value, x), update)


def rmsprop(
    lr: Hyper,
    alpha: Hyper = 0.99,
    eps: Hyper = 1e-8,
    momentum: Hyper = 0.0,
    centered: bool = False,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
) -> Method:
    """RMSprop, ``v = alpha v + (1 - alpha) g^2; x - lr g / (sqrt(v) + eps)`` (Hinton 2012, lecture 6e).

    ``centered`` subtracts the squared moving average of g from v (Graves 2013); with ``momentum``,
    ``b = momentum b + g / (sqrt(v) + eps); x - lr b``.
    """
    grad_of, down = effective_gradient(weight_decay, maximize), -lr

    def init(x: Tensor) -> RMSpropState:
        zeros = partial(torch.zeros_like, x)  # one tensor in two fields would be an alias, which a compiler sees
        return RMSpropState(zeros(), zeros() if centered else None, None if is_zero(momentum) else zeros())

    def update(k: Step, grad: Tensor, state: RMSpropState, x: Tensor) -> tuple[Tensor, RMSpropState]:
        grad = grad_of(grad, x)
        square = spread = ema_square(state.square, grad, alpha)
        average, buffer = state.mean, state.buffer
        if average is not None:
            average = ema(average, grad, alpha)
            spread = torch.addcmul(square, average, average, value=-1)
        scale = spread.sqrt() + per_run(eps, x)
        if buffer is None:
            return add_quotient(x, down, grad, scale), RMSpropState(square, average, None)
        buffer = torch.addcdiv(per_run(momentum, x) * buffer, grad, scale)
        return add(x, down, buffer), RMSpropState(square, average, buffer)

    return first_order(init, update)


def adadelta(
    lr: Hyper, rho: Hyper = 0.9, eps: Hyper = 1e-6, weight_decay: Hyper = 0.0, maximize: bool = False
) -> Method:
    """Adadelta, ``d = g sqrt(u + eps) / sqrt(v + eps); x - lr d``; v and u average g^2 and d^2 (Zeiler 2012)."""
    grad_of, down = effective_gradient(weight_decay, maximize), -lr

    def update(k: Step, grad: Tensor, state: AdadeltaState, x: Tensor) -> tuple[Tensor, AdadeltaState]:
        grad = grad_of(grad, x)
        square = ema_square(state.square, grad, rho)
        delta = (state.delta + per_run(eps, x)).sqrt() / (square + per_run(eps, x)).sqrt() * grad
        return add(x, down, delta), AdadeltaState(square, ema_square(state.delta, delta, rho))

    return first_order(lambda x: AdadeltaState(torch.zeros_like(x), torch.zeros_like(x)), update)
