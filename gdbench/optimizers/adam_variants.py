"""Variants of Adam that are not in torch.optim, all of them coordinate-wise.

As in ``adam.py``, ``t = k + 1``, and a hat marks an average whose bias is corrected.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.adam import Moments, step_by_moments, zero_moments
from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, add_quotient, ema, ema_square
from gdbench.tree import per_run


class AdEMAMixState(NamedTuple):
    """Fast and slow moving averages of g, and the moving average of g^2."""

    fast: Tensor
    slow: Tensor
    square: Tensor


class AdanState(NamedTuple):
    """Moving averages of g, of its changes and of the squares of their sum; and the last g."""

    mean: Tensor
    change: Tensor
    square: Tensor
    last: Tensor


class MadgradState(NamedTuple):
    """The start, and the weighted sums of g and g^2."""

    start: Tensor
    total: Tensor
    squares: Tensor


def adabelief(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-16) -> Method:
    """AdaBelief: Adam with ``v = beta2 v + (1 - beta2) (g - m)^2 + eps`` (Zhuang et al. 2020)."""

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        average = ema(state.mean, grad, beta1)
        moments = Moments(average, ema_square(state.square, grad - average, beta2) + per_run(eps, x))
        return step_by_moments(k, x, moments, lr, beta1, beta2, eps), moments

    return first_order(zero_moments, update)


def yogi(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-3,
    initial_accumulator_value: Hyper = 1e-6,
    bias_correction: bool = False,
) -> Method:
    """Yogi, ``v = v - (1 - beta2) sign(v - g^2) g^2; x - lr m / (sqrt(v) + eps)`` (Zaheer et al. 2018, algorithm 2).

    With ``bias_correction``, both averages start at ``initial_accumulator_value`` and are divided by ``1 - beta^t``, as
    in torch-optimizer and pytorch_optimizer. In the paper's algorithm neither applies to m.
    """

    def init(x: Tensor) -> Moments:
        initial = torch.zeros_like(x) + per_run(initial_accumulator_value, x)
        return Moments(initial if bias_correction else torch.zeros_like(x), initial.clone())

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        average, squared = ema(state.mean, grad, beta1), grad * grad
        square = state.square - per_run(1 - beta2, x) * torch.sign(state.square - squared) * squared
        moments = Moments(average, square)
        if bias_correction:
            return step_by_moments(k, x, moments, lr, beta1, beta2, eps), moments
        return add_quotient(x, -lr, average, square.sqrt() + per_run(eps, x)), moments

    return first_order(init, update)


def adabound(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    final_lr: Hyper = 0.1,
    gamma: Hyper = 1e-3,
) -> Method:
    """AdaBound: Adam whose step sizes all converge to ``final_lr`` (Luo et al. 2019, algorithm 2, bias corrected).

    ``x - clip(lr / (sqrt(v^) + eps), final_lr (1 - 1 / (gamma t + 1)), final_lr (1 + 1 / (gamma t))) m^``.
    """

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        t = k + 1
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        root = (1 - beta2**t) ** 0.5
        size = per_run(lr * root, x) / (square.sqrt() + per_run(eps * root, x))
        low, high = final_lr * (1 - 1 / (gamma * t + 1)), final_lr * (1 + 1 / (gamma * t))
        size = size.clamp(per_run(low, x), per_run(high, x))
        return add(x, -1 / (1 - beta1**t), size * average), Moments(average, square)

    return first_order(zero_moments, update)


def ademamix(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    beta3: Hyper = 0.9999,
    slow_weight: Hyper = 5.0,
    eps: Hyper = 1e-8,
) -> Method:
    """AdEMAMix: ``x - lr (m^ + slow_weight s) / (sqrt(v^) + eps)``, s averages g by beta3 (Pagliardini et al. 2024)."""

    def update(k: Step, grad: Tensor, state: AdEMAMixState, x: Tensor) -> tuple[Tensor, AdEMAMixState]:
        fast, slow = ema(state.fast, grad, beta1), ema(state.slow, grad, beta3)
        square, root = ema_square(state.square, grad, beta2), (1 - beta2 ** (k + 1)) ** 0.5
        way = add(per_run(1 / (1 - beta1 ** (k + 1)), x) * fast, slow_weight, slow)
        x = add_quotient(x, -lr * root, way, square.sqrt() + per_run(eps * root, x))
        return x, AdEMAMixState(fast, slow, square)

    return first_order(lambda x: AdEMAMixState(*(torch.zeros_like(x) for _ in range(3))), update)


def adopt(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.9999, eps: Hyper = 1e-6) -> Method:
    """ADOPT, ``m = beta1 m + (1 - beta1) g / max(sqrt(v), eps); x - lr m``, after which v averages g^2.

    Taniguchi et al. 2024, algorithm 2, without clipping. The first step only sets ``v = g^2``.
    """

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        later = k > 0
        scaled = grad / state.square.sqrt().clamp(min=per_run(eps, x))
        average = ema(state.mean, per_run(later + 0 * lr, x) * scaled, beta1)
        return add(x, -lr, average), Moments(average, ema_square(state.square, grad, beta2 * later))

    return first_order(zero_moments, update)


def qhm(lr: Hyper, momentum: Hyper = 0.999, nu: Hyper = 0.7) -> Method:
    """Quasi-hyperbolic momentum, ``x - lr ((1 - nu) g + nu m)``, where m averages g (Ma and Yarats 2019)."""

    def update(k: Step, grad: Tensor, average: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        average = ema(average, grad, momentum)
        return add(x, -lr, ema(average, grad, nu)), average

    return first_order(torch.zeros_like, update)


def qhadam(
    lr: Hyper,
    beta1: Hyper = 0.995,
    beta2: Hyper = 0.999,
    nu1: Hyper = 0.7,
    nu2: Hyper = 1.0,
    eps: Hyper = 1e-8,
) -> Method:
    """Quasi-hyperbolic Adam (Ma and Yarats 2019).

    ``x - lr ((1 - nu1) g + nu1 m^) / (sqrt((1 - nu2) g^2 + nu2 v^) + eps)``.
    """

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        average, square = ema(state.mean, grad, beta1), ema_square(state.square, grad, beta2)
        m = per_run(1 / (1 - beta1 ** (k + 1)), x) * average
        v = per_run(1 / (1 - beta2 ** (k + 1)), x) * square
        scale = ema(v, grad * grad, nu2).sqrt() + per_run(eps, x)
        return add_quotient(x, -lr, ema(m, grad, nu1), scale), Moments(average, square)

    return first_order(zero_moments, update)


def adan(
    lr: Hyper,
    beta1: Hyper = 0.98,
    beta2: Hyper = 0.92,
    beta3: Hyper = 0.99,
    eps: Hyper = 1e-8,
    bias_correction: bool = False,
) -> Method:
    """Adan, ``x - lr (m + beta2 v) / (sqrt(n) + eps)`` (Xie et al. 2022, algorithm 1, with 1 - beta for its betas).

    m averages g, v its changes ``g - g_old``, n the squares of ``g + beta2 (g - g_old)``; in the first step ``m = g``,
    ``v = 0`` and ``n = g^2``. With ``bias_correction``, as in the authors' code and pytorch_optimizer, all three start
    at 0 and are divided by ``1 - beta^t``.
    """

    def init(x: Tensor) -> AdanState:
        return AdanState(torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x))

    def update(k: Step, grad: Tensor, state: AdanState, x: Tensor) -> tuple[Tensor, AdanState]:
        later = k > 0
        keep = True if bias_correction else later  # without correction, the first step sets m = g and n = g^2
        difference = per_run(later + 0 * lr, x) * (grad - state.last)
        average, change = ema(state.mean, grad, beta1 * keep), ema(state.change, difference, beta2)
        square = ema_square(state.square, add(grad, beta2, difference), beta3 * keep)
        new = AdanState(average, change, square, grad)
        if not bias_correction:
            return add_quotient(x, -lr, add(average, beta2, change), square.sqrt() + per_run(eps, x)), new
        root = (1 - beta3 ** (k + 1)) ** 0.5
        scaled_average = per_run(1 / (1 - beta1 ** (k + 1)), x) * average
        direction = add(scaled_average, beta2 / (1 - beta2 ** (k + 1)), change)
        return add_quotient(x, -lr * root, direction, square.sqrt() + per_run(eps * root, x)), new

    return first_order(init, update)


def laprop(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-15) -> Method:
    """LaProp, ``m = beta1 m + (1 - beta1) g / (sqrt(v^) + eps); x - lr m^`` (Ziyin et al. 2020)."""

    def update(k: Step, grad: Tensor, state: Moments, x: Tensor) -> tuple[Tensor, Moments]:
        square, root = ema_square(state.square, grad, beta2), (1 - beta2 ** (k + 1)) ** 0.5
        scaled = per_run(root, x) * grad / (square.sqrt() + per_run(eps * root, x))
        average = ema(state.mean, scaled, beta1)
        return add(x, -lr / (1 - beta1 ** (k + 1)), average), Moments(average, square)

    return first_order(zero_moments, update)


def madgrad(lr: Hyper, momentum: Hyper = 0.9, eps: Hyper = 1e-6) -> Method:
    """MADGRAD, ``x = momentum x + (1 - momentum) z``, ``z = x_0 - s / (cbrt(n) + eps)`` (Defazio and Jelassi 2022).

    s and n are the sums of ``a g`` and ``a g^2`` with ``a = lr sqrt(t)``.
    """

    def init(x: Tensor) -> MadgradState:
        return MadgradState(x.detach().clone(), torch.zeros_like(x), torch.zeros_like(x))

    def update(k: Step, grad: Tensor, state: MadgradState, x: Tensor) -> tuple[Tensor, MadgradState]:
        weight = lr * (k + 1) ** 0.5
        total, squares = add(state.total, weight, grad), add(state.squares, weight, grad * grad)
        z = state.start - total / (squares ** (1 / 3) + per_run(eps, x))
        return ema(x, z, momentum), MadgradState(state.start, total, squares)

    return first_order(init, update)
