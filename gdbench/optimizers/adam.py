"""Adam and the variants of it in torch.optim: moving averages m of the gradient and v of its square.

With ``t = k + 1`` the bias of the averages towards 0 is corrected by m / (1 - beta1^t) and v / (1 - beta2^t).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, add_quotient, effective_gradient, ema, ema_square, is_zero
from gdbench.tree import per_run


class Moments(NamedTuple):
    """Moving averages of g and g^2; with AMSGrad also the largest of the latter so far."""

    mean: Tensor
    square: Tensor
    peak: Tensor | None = None


class NAdamState(NamedTuple):
    """Moving averages of g and g^2, and the product of all momenta so far (a number where the momenta are numbers)."""

    mean: Tensor
    square: Tensor
    product: Hyper


def zero_moments(x: Tensor) -> Moments:
    """Initialise both moving averages with 0."""
    return Moments(torch.zeros_like(x), torch.zeros_like(x))


def step_by_moments(k: Step, x: Tensor, moments: Moments, lr: Hyper, beta1: Hyper, beta2: Hyper, eps: Hyper) -> Tensor:
    """``x - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``, with the largest v so far where that is kept."""
    # Numerator and denominator are both multiplied by the root: this saves one pass over the coordinates.
    root = (1 - beta2 ** (k + 1)) ** 0.5
    square = moments.square if moments.peak is None else moments.peak
    return add_quotient(x, -lr * root / (1 - beta1 ** (k + 1)), moments.mean, square.sqrt() + per_run(eps * root, x))


def adam(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    weight_decay: Hyper = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Method:
    """Adam, ``x - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)`` (Kingma and Ba 2015).

    ``amsgrad`` divides by the largest v so far (Reddi, Kale, Kumar 2018).
    """
    grad_of, decay = split_weight_decay(lr, weight_decay, maximize, decoupled_weight_decay)

    def init(x: Tensor) -> Moments:
        return Moments(torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x) if amsgrad else None)

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        grad, x = grad_of(grad, x), decay(x)
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        peak = None if state.peak is None else torch.maximum(state.peak, square)
        moments = Moments(average, square, peak)
        return step_by_moments(k, x, moments, lr, beta1, beta2, eps), moments

    return first_order(init, update)


def adamw(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    weight_decay: Hyper = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
) -> Method:
    """AdamW: Adam after ``x = (1 - lr weight_decay) x`` (Loshchilov and Hutter 2019)."""
    return adam(lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay=True)


def nadam(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    momentum_decay: Hyper = 4e-3,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Method:
    """NAdam, ``x - lr (a g + b m) / (sqrt(v / (1 - beta2^t)) + eps)`` (Dozat 2016).

    With momenta ``mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)`` and their products ``p_t``,
    ``a = (1 - mu_t) / (1 - p_t)`` and ``b = mu_{t+1} / (1 - p_{t+1})``.
    """
    grad_of, decay = split_weight_decay(lr, weight_decay, maximize, decoupled_weight_decay)

    def momentum_at(t: Step) -> Hyper:
        return beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    def init(x: Tensor) -> NAdamState:
        one = 1 + 0 * (beta1 * momentum_decay)  # of the same type as the momenta: a number, [] or [L]
        return NAdamState(torch.zeros_like(x), torch.zeros_like(x), one)

    def update(k: Step, grad: Tensor, state: NAdamState, x: Tensor) -> tuple[Tensor, NAdamState]:
        grad, x = grad_of(grad, x), decay(x)
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        mu, next_mu = momentum_at(k + 1), momentum_at(k + 2)
        product = state.product * mu
        root = (1 - beta2 ** (k + 1)) ** 0.5
        scale = square.sqrt() + per_run(eps * root, x)
        x = add_quotient(x, -lr * root * (1 - mu) / (1 - product), grad, scale)
        x = add_quotient(x, -lr * root * next_mu / (1 - product * next_mu), average, scale)
        return x, NAdamState(average, square, product)

    return first_order(init, update)


def radam(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> Method:
    """RAdam, ``x - lr r m / (1 - beta1^t) / (sqrt(v) + eps) sqrt(1 - beta2^t)`` (Liu et al. 2020).

    The first steps, in which v averages too few gradients for r to exist, are ``x - lr m / (1 - beta1^t)``.
    """
    grad_of, decay = split_weight_decay(lr, weight_decay, maximize, decoupled_weight_decay)

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        grad, x = grad_of(grad, x), decay(x)
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        size, factor = -lr / (1 - beta1 ** (k + 1)), rectification(k + 1, beta2)
        if is_zero(factor):
            return add(x, size, average), Moments(average, square)
        scale, factor = square.sqrt() + per_run(eps, x), per_run(factor, x)
        scale = torch.where(factor > 0, scale / factor, 1.0) if isinstance(factor, Tensor) else scale / factor
        return add_quotient(x, size, average, scale), Moments(average, square)

    return first_order(zero_moments, update)


def rectification(t: Step, beta2: Hyper) -> Hyper:
    """Compute RAdam's ``r sqrt(1 - beta2^t)``; 0 where r does not exist, because v averages fewer than 5 squares."""
    longest, weight = 2 / (1 - beta2) - 1, 1 - beta2**t
    length = longest - 2 * t * (1 - weight) / weight
    square = weight * (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    if isinstance(square, Tensor):
        return torch.where(length > 5, square.sqrt(), 0.0)  # type: ignore[arg-type]
    return square**0.5 if length > 5 else 0.0


def adamax(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
) -> Method:
    """Adamax, ``u = max(beta2 u, |g| + eps); x - lr m / (1 - beta1^t) / u`` (Kingma and Ba 2015, section 7.1)."""
    grad_of = effective_gradient(weight_decay, maximize)

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        grad = grad_of(grad, x)
        average = ema(state.mean, grad, beta1)
        largest = torch.maximum(per_run(beta2, x) * state.square, grad.abs() + per_run(eps, x))
        return add_quotient(x, -lr / (1 - beta1 ** (k + 1)), average, largest), Moments(average, largest)

    return first_order(zero_moments, update)


def split_weight_decay(
    lr: Hyper, weight_decay: Hyper, maximize: bool, decoupled: bool
) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Build two functions that apply weight decay: to the gradient, ``(g, x) -> g + weight_decay x``, and to x.

    One of them does nothing: with ``decoupled`` the first, otherwise the second.
    """
    if not decoupled or is_zero(weight_decay):
        return effective_gradient(weight_decay, maximize), lambda x: x
    return effective_gradient(0.0, maximize), lambda x: per_run(1 - lr * weight_decay, x) * x


def sparse_adam(
    lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-8, maximize: bool = False
) -> Method:
    """SparseAdam: Adam in the coordinates whose gradient is not 0; the others and their averages do not change.

    ``x - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)``: eps is added before the bias is corrected.
    """

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        grad, active = -grad if maximize else grad, grad != 0
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        size = -lr * (1 - beta2 ** (k + 1)) ** 0.5 / (1 - beta1 ** (k + 1))
        new = add_quotient(x, size, average, square.sqrt() + per_run(eps, x))
        moments = Moments(torch.where(active, average, state.mean), torch.where(active, square, state.square))
        return torch.where(active, new, x), moments

    return first_order(zero_moments, update)
