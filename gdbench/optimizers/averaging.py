"""Two sequences in one method: a fast one descends, another follows it and is judged; and steps that look ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.accelerated import each
from gdbench.optimizers.base import Hyper, Inner, Method, Oracle, Seen, Step, first_order, searching
from gdbench.optimizers.update_ops import add, add_quotient, along, mean_square, ratio
from gdbench.tree import Params, per_lane


class Free(NamedTuple):
    """The point z that steps are taken from, and the average of all of them."""

    z: Tensor
    average: Tensor


class FreeAdam(NamedTuple):
    """The same, and the moving average of squared gradients."""

    z: Tensor
    average: Tensor
    square: Tensor


class Slow(NamedTuple):
    """The slow weights, and the fast ones' momentum buffer."""

    slow: Tensor
    buffer: Tensor


def toward(a: Tensor, b: Tensor, share: Hyper) -> Tensor:
    """``a + share (b - a)``."""
    return torch.lerp(a, b, per_lane(share, a))


def schedule_free_sgd(lr: Hyper, momentum: Hyper = 0.9) -> Method:
    """Schedule-free SGD, ``z - lr g(y)``, with ``a`` the mean of all z and ``y = (1 - momentum) z + momentum a``.

    Defazio et al. 2024, equations 6 to 8. x of the Method is y; judged is a.
    """

    def update(k: Step, grad: Tensor, state: Free, y: Tensor) -> tuple[Tensor, Free]:
        z = add(state.z, -lr, grad)
        average = toward(state.average, z, 1 / (k + 1))
        return toward(z, average, momentum), Free(z, average)

    method = first_order(lambda x: Free(x.detach().clone(), x.detach().clone()), update)
    return replace(method, judged=each(lambda own: own.average))


def schedule_free_adamw(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-8) -> Method:
    """Schedule-free AdamW, ``z - lr g(y) / (sqrt(v / (1 - beta2^t)) + eps)``, a and y as in ``schedule_free_sgd``.

    v averages g(y)^2, beta1 takes the place of momentum (Defazio et al. 2024, algorithm 1, without warm-up and decay).
    """

    def init(x: Tensor) -> FreeAdam:
        return FreeAdam(x.detach().clone(), x.detach().clone(), torch.zeros_like(x))

    def update(k: Step, grad: Tensor, state: FreeAdam, y: Tensor) -> tuple[Tensor, FreeAdam]:
        square = mean_square(state.square, grad, beta2)
        root = (1 - beta2 ** (k + 1)) ** 0.5
        z = add_quotient(state.z, -lr * root, grad, square.sqrt() + per_lane(eps * root, y))
        average = toward(state.average, z, 1 / (k + 1))
        return toward(z, average, beta1), FreeAdam(z, average, square)

    return replace(first_order(init, update), judged=each(lambda own: own.average))


def lookahead(lr: Hyper, momentum: Hyper = 0.9, alpha: Hyper = 0.5, period: int = 5) -> Method:
    """Lookahead around the heavy ball: after every ``period`` steps ``slow + alpha (x - slow)`` is slow and x.

    Zhang, Lucas, Hinton, Ba 2019; the momentum buffer is kept. Judged are the slow weights.
    """

    def update(k: Step, grad: Tensor, state: Slow, x: Tensor) -> tuple[Tensor, Slow]:
        buffer = per_lane(momentum, x) * state.buffer + grad
        fast, due = add(x, -lr, buffer), (k + 1) % period == 0
        if isinstance(due, Tensor):
            slow = torch.where(due, toward(state.slow, fast, alpha), state.slow)
            return torch.where(due, slow, fast), Slow(slow, buffer)
        slow = toward(state.slow, fast, alpha) if due else state.slow
        return slow if due else fast, Slow(slow, buffer)

    method = first_order(lambda x: Slow(x.detach().clone(), torch.zeros_like(x)), update)
    return replace(method, judged=each(lambda own: own.slow))


def extragradient(lr: Hyper) -> Method:
    """The gradient of where the gradient leads, ``x - lr g(x - lr g(x))`` (Korpelevich 1976): two gradients a step."""

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: Inner) -> tuple[Params, tuple[()], Seen]:
        loss, grad = oracle.grad(x, k)
        _, ahead = oracle.grad(along(x, -lr, grad), k)
        return along(x, -lr, ahead), state, Seen(loss, grad, 2, 0)

    return searching(lambda x, number: (), step)


def sam(lr: Hyper, radius: Hyper = 0.05) -> Method:
    """Sharpness-aware minimisation, ``x - lr g(x + radius g(x) / |g(x)|)`` (Foret et al. 2021): two gradients."""

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()], inner: Inner) -> tuple[Params, tuple[()], Seen]:
        loss, grad = oracle.grad(x, k)
        _, above = oracle.grad(along(x, ratio(radius, inner(grad, grad).sqrt(), 0.0), grad), k)
        return along(x, -lr, above), state, Seen(loss, grad, 2, 0)

    return searching(lambda x, number: (), step)
