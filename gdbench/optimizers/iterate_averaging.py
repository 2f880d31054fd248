"""Iterate averaging (schedule-free, Lookahead) and look-ahead gradients (extragradient, SAM)."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.accelerated import copy_point, output_from
from gdbench.optimizers.base import Hyper, InnerProduct, Method, Oracle, Step, StepInfo, first_order, line_search_method
from gdbench.optimizers.update_ops import add, add_quotient, add_scaled, ema_square, safe_ratio
from gdbench.tree import Params, per_run


class ScheduleFreeState(NamedTuple):
    """The base point z and the average of all z."""

    z: Tensor
    average: Tensor


class ScheduleFreeAdamState(NamedTuple):
    """The base point z, the average of all z, and the moving average of squared gradients."""

    z: Tensor
    average: Tensor
    square: Tensor


class LookaheadState(NamedTuple):
    """The slow weights, and the momentum buffer of the fast weights."""

    slow: Tensor
    buffer: Tensor


def lerp(a: Tensor, b: Tensor, share: Hyper) -> Tensor:
    """Linear interpolation ``a + share (b - a)``."""
    return torch.lerp(a, b, per_run(share, a))


def schedule_free_sgd(lr: Hyper, momentum: Hyper = 0.9) -> Method:
    """Schedule-free SGD, ``z - lr g(y)``; a is the mean of all z, and ``y = (1 - momentum) z + momentum a``.

    Defazio et al. 2024, equations 6 to 8. x of the Method is y; its output is a.
    """

    def update(k: Step, grad: Tensor, state: ScheduleFreeState, y: Tensor) -> tuple[Tensor, ScheduleFreeState]:
        z = add(state.z, -lr, grad)
        average = lerp(state.average, z, 1 / (k + 1))
        return lerp(z, average, momentum), ScheduleFreeState(z, average)

    method = first_order(lambda x: ScheduleFreeState(copy_point(x), copy_point(x)), update)
    return replace(method, output=output_from(lambda own: own.average))


def schedule_free_adamw(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-8) -> Method:
    """Schedule-free AdamW, ``z - lr g(y) / (sqrt(v / (1 - beta2^t)) + eps)``, a and y as in ``schedule_free_sgd``.

    v averages g(y)^2, and beta1 replaces momentum (Defazio et al. 2024, algorithm 1, without warm-up and decay).
    """

    def init(x: Tensor) -> ScheduleFreeAdamState:
        return ScheduleFreeAdamState(copy_point(x), copy_point(x), torch.zeros_like(x))

    def update(k: Step, grad: Tensor, state: ScheduleFreeAdamState, y: Tensor) -> tuple[Tensor, ScheduleFreeAdamState]:
        square = ema_square(state.square, grad, beta2)
        root = (1 - beta2 ** (k + 1)) ** 0.5
        z = add_quotient(state.z, -lr * root, grad, square.sqrt() + per_run(eps * root, y))
        average = lerp(state.average, z, 1 / (k + 1))
        return lerp(z, average, beta1), ScheduleFreeAdamState(z, average, square)

    return replace(first_order(init, update), output=output_from(lambda own: own.average))


def lookahead(lr: Hyper, momentum: Hyper = 0.9, alpha: Hyper = 0.5, period: int = 5) -> Method:
    """Lookahead with heavy-ball steps: every ``period`` steps, slow and x become ``slow + alpha (x - slow)``.

    Zhang, Lucas, Hinton, Ba 2019; the momentum buffer is not reset. Output is slow, the slow weights.
    """

    def update(k: Step, grad: Tensor, state: LookaheadState, x: Tensor) -> tuple[Tensor, LookaheadState]:
        buffer = per_run(momentum, x) * state.buffer + grad
        fast, due = add(x, -lr, buffer), (k + 1) % period == 0
        if isinstance(due, Tensor):
            slow = torch.where(due, lerp(state.slow, fast, alpha), state.slow)
            return torch.where(due, slow, fast), LookaheadState(slow, buffer)
        slow = lerp(state.slow, fast, alpha) if due else state.slow
        return slow if due else fast, LookaheadState(slow, buffer)

    method = first_order(lambda x: LookaheadState(copy_point(x), torch.zeros_like(x)), update)
    return replace(method, output=output_from(lambda own: own.slow))


def extragradient(lr: Hyper) -> Method:
    """Extragradient method, ``x - lr g(x - lr g(x))`` (Korpelevich 1976); two gradients per step."""

    def step(
        oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: InnerProduct
    ) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        _, ahead = oracle.grad(add_scaled(x, -lr, grad), k)
        return add_scaled(x, -lr, ahead), state, StepInfo(loss, grad, 2, 0)

    return line_search_method(lambda x, number: (), step)


def sam(lr: Hyper, radius: Hyper = 0.05) -> Method:
    """Sharpness-aware minimisation, ``x - lr g(x + radius g(x) / |g(x)|)`` (Foret et al. 2021); two gradients."""

    def step(
        oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: InnerProduct
    ) -> tuple[Params, tuple[()], StepInfo]:
        loss, grad = oracle.grad(x, k)
        _, above = oracle.grad(add_scaled(x, safe_ratio(radius, inner(grad, grad).sqrt(), 0.0), grad), k)
        return add_scaled(x, -lr, above), state, StepInfo(loss, grad, 2, 0)

    return line_search_method(lambda x, number: (), step)
