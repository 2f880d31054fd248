"""Normalised and sign-based methods, whose step length is set by lr alone and not by the size of the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.optimizers.base import GradientInfo, Hyper, Method, Step, first_order, tree_method
from gdbench.optimizers.update_ops import add, add_scaled, ema, is_zero, safe_ratio, zeros_like
from gdbench.tree import Params, per_run, tree_map


def normalised(lr: Hyper) -> Method:
    """Normalised gradient descent, ``x - lr g / |g|`` (Shor 1964; Nesterov 2004, section 3.2.3)."""

    def update(k: Step, info: GradientInfo, state: tuple[()], x: Params) -> tuple[Params, tuple[()]]:
        return add_scaled(x, -safe_ratio(lr, info.inner(info.grad, info.grad).sqrt(), 0.0), info.grad), state

    return tree_method(lambda x, number: (), update)


def normalised_momentum(lr: Hyper, momentum: Hyper = 0.9) -> Method:
    """Normalised momentum, ``m = momentum m + (1 - momentum) g; x - lr m / |m|`` (Cutkosky, Mehta 2020)."""

    def update(k: Step, info: GradientInfo, average: Params, x: Params) -> tuple[Params, Params]:
        average = tree_map(lambda old, grad: ema(old, grad, momentum), average, info.grad)
        return add_scaled(x, -safe_ratio(lr, info.inner(average, average).sqrt(), 0.0), average), average

    return tree_method(lambda x, number: zeros_like(x), update)


def signsgd(lr: Hyper) -> Method:
    """Sign descent, ``x - lr sign(g)`` (Bernstein et al. 2018)."""
    return first_order(lambda x: (), lambda k, grad, state, x: (add(x, -lr, torch.sign(grad)), state))


def signum(lr: Hyper, momentum: Hyper = 0.9) -> Method:
    """Signum, ``m = momentum m + (1 - momentum) g; x - lr sign(m)`` (Bernstein et al. 2018)."""

    def update(k: Step, grad: Tensor, average: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        average = ema(average, grad, momentum)
        return add(x, -lr, torch.sign(average)), average

    return first_order(torch.zeros_like, update)


def lion(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.99, weight_decay: Hyper = 0.0) -> Method:
    """Lion, ``x - lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g`` (Chen et al. 2023, algorithm 2).

    ``weight_decay`` is decoupled, as in the paper: x is first multiplied by ``1 - lr weight_decay``.
    """

    def update(k: Step, grad: Tensor, average: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x if is_zero(weight_decay) else per_run(1 - lr * weight_decay, x) * x
        return add(x, -lr, torch.sign(ema(average, grad, beta1))), ema(average, grad, beta2)

    return first_order(torch.zeros_like, update)
