"""Methods that find their step length by how far they have come from the start; lr scales it, and is 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import At, Hyper, Method, Number, Step, first_order, whole
from gdbench.optimizers.update_ops import add_quotient, along, difference, mean, ratio, zeros
from gdbench.tree import Params, per_lane, tree_map


class Travelled(NamedTuple):
    """The start, the longest distance from it so far, and the sum of squared gradients, weighed or not."""

    start: Params
    distance: Tensor
    total: Tensor


class Adapted(NamedTuple):
    """D-Adaptation's point before momentum, the sum s of its steps, ``sum(<steps, s>)``, the estimate d, and |g_0|."""

    z: Params
    steps: Params
    gain: Tensor
    estimate: Tensor
    first: Tensor


class AdaptedAdam(NamedTuple):
    """Moving averages of steps, of squared gradients, and of steps over a longer time; their gain, and the estimate."""

    mean: Params
    square: Params
    steps: Params
    gain: Tensor
    estimate: Tensor


class Prodigal(NamedTuple):
    """The start, and what ``AdaptedAdam`` holds."""

    start: Params
    mean: Params
    square: Params
    steps: Params
    gain: Tensor
    estimate: Tensor


class Bets(NamedTuple):
    """COCOB's start, largest gradient, the sums of |g| and of -g, and reward, all coordinate by coordinate."""

    start: Tensor
    largest: Tensor
    lengths: Tensor
    total: Tensor
    reward: Tensor


def size_of(tree: Params, at: At) -> Tensor:
    """The sum of absolute values over all coordinates."""
    return at.inner(tree_map(torch.abs, tree), tree_map(torch.ones_like, tree))


def dog(lr: Hyper, initial: Hyper = 1e-6, eps: Hyper = 1e-8) -> Method:
    """Distance over gradients, ``x - lr r / sqrt(sum |g|^2 + eps) g`` (Ivgi, Hinder, Carmon 2023).

    r is the longest ``|x_i - x_0|`` so far, at least ``initial (1 + |x_0|)``.
    """

    def init(x: Params, number: Number) -> Travelled:
        return Travelled(tree_map(torch.clone, x), number(0.0), number(0.0))

    def update(k: Step, at: At, state: Travelled, x: Params) -> tuple[Params, Travelled]:
        away = difference(x, state.start)
        least = per_lane(initial, at.loss) * (1 + at.inner(state.start, state.start).sqrt())
        distance = torch.maximum(torch.maximum(state.distance, least), at.inner(away, away).sqrt())
        total = state.total + at.inner(at.grad, at.grad)
        size = distance / (total + per_lane(eps, total)).sqrt()
        return along(x, -lr * size, at.grad), Travelled(state.start, distance, total)

    return whole(init, update)


def dowg(lr: Hyper, initial: Hyper = 1e-4) -> Method:
    """Distance over weighted gradients, ``x - lr r^2 / sqrt(sum r^2 |g|^2) g`` (Khaled, Mishchenko, Jin 2023).

    r is the longest ``|x_i - x_0|`` so far, at least ``initial``.
    """

    def init(x: Params, number: Number) -> Travelled:
        return Travelled(tree_map(torch.clone, x), number(initial), number(0.0))

    def update(k: Step, at: At, state: Travelled, x: Params) -> tuple[Params, Travelled]:
        away = difference(x, state.start)
        distance = torch.maximum(state.distance, at.inner(away, away).sqrt())
        total = state.total + distance**2 * at.inner(at.grad, at.grad)
        return along(x, -lr * ratio(distance**2, total.sqrt(), 0.0), at.grad), Travelled(state.start, distance, total)

    return whole(init, update)


def dadapt_sgd(lr: Hyper, momentum: Hyper = 0.9, d0: Hyper = 1e-6) -> Method:
    """SGD by D-Adaptation (Defazio and Mishchenko 2023, algorithm 4).

    ``a = lr d / |g_0|; z - a g; x = momentum x + (1 - momentum) z``; d, from d0 on, never falls and rises to
    ``2 sum(a_i <g_i, s_i>) / |s_{k+1}|`` with ``s_{k+1} = s_k + a g``.
    """

    def init(x: Params, number: Number) -> Adapted:
        return Adapted(tree_map(torch.clone, x), zeros(x), number(0.0), number(d0), number(0.0))

    def update(k: Step, at: At, state: Adapted, x: Params) -> tuple[Params, Adapted]:
        first = torch.where(state.first > 0, state.first, at.inner(at.grad, at.grad).sqrt())
        size = per_lane(lr, first) * ratio(state.estimate, first, 0.0)
        gain = state.gain + size * at.inner(at.grad, state.steps)
        steps, z = along(state.steps, size, at.grad), along(state.z, -size, at.grad)
        estimate = torch.maximum(state.estimate, ratio(2 * gain, at.inner(steps, steps).sqrt(), 0.0))
        x = tree_map(lambda new, old: mean(old, new, momentum), z, x)
        return x, Adapted(z, steps, gain, estimate, first)

    return whole(init, update)


def dadapt_adam(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    d0: Hyper = 1e-6,
    old_denominator: bool = False,
    bias_correction: bool = False,
) -> Method:
    """Adam by D-Adaptation, ``x - m / (sqrt(v) + eps)`` (Defazio and Mishchenko 2023, algorithm 5).

    m averages ``d lr g``, v averages ``g^2``; s and r average ``d lr g`` and ``d lr <g, s / (sqrt(v) + eps)>`` with the
    decay ``b = sqrt(beta2)``; d, from d0 on, never falls and rises to ``r / ((1 - b) |s|_1)``. The authors' package and
    pytorch_optimizer divide s by the v of the step before (``old_denominator``), and have a ``bias_correction``, which
    multiplies lr by ``sqrt(1 - beta2^t) / (1 - beta1^t)``, off by default.
    """
    long = beta2**0.5

    def denominator(square: Params) -> Params:
        return tree_map(lambda leaf: leaf.sqrt() + per_lane(eps, leaf), square)

    def init(x: Params, number: Number) -> AdaptedAdam:
        return AdaptedAdam(zeros(x), zeros(x), zeros(x), number(0.0), number(d0))

    def update(k: Step, at: At, state: AdaptedAdam, x: Params) -> tuple[Params, AdaptedAdam]:
        correction = (1 - beta2 ** (k + 1)) ** 0.5 / (1 - beta1 ** (k + 1)) if bias_correction else 1.0
        size = per_lane(lr * correction, at.loss) * state.estimate
        step = tree_map(lambda grad: per_lane(size, grad) * grad, at.grad)
        average = tree_map(lambda old, new: mean(old, new, beta1), state.mean, step)
        square = tree_map(lambda old, grad: mean(old, grad * grad, beta2), state.square, at.grad)
        scale = denominator(square)
        weights = denominator(state.square) if old_denominator else scale
        gain = mean(state.gain, at.inner(step, tree_map(torch.div, state.steps, weights)), long)
        steps = tree_map(lambda old, new: mean(old, new, long), state.steps, step)
        room = per_lane(1 - long, at.loss) * size_of(steps, at)
        estimate = torch.maximum(state.estimate, ratio(gain, room, 0.0))
        x = tree_map(lambda leaf, m, v: leaf - m / v, x, average, scale)
        return x, AdaptedAdam(average, square, steps, gain, estimate)

    return whole(init, update)


def prodigy(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-8, d0: Hyper = 1e-6) -> Method:
    """Prodigy, ``x - lr d m / (sqrt(v) + d eps)`` (Mishchenko and Defazio 2024, algorithm 4).

    m averages ``d g``, v averages ``d^2 g^2``; r and s average ``lr d^2 <g, x_0 - x>`` and ``lr d^2 g`` with the decay
    ``sqrt(beta2)``; d, from d0 on, never falls and rises to ``r / |s|_1``, from the next step on.
    """
    long = beta2**0.5

    def init(x: Params, number: Number) -> Prodigal:
        return Prodigal(tree_map(torch.clone, x), zeros(x), zeros(x), zeros(x), number(0.0), number(d0))

    def update(k: Step, at: At, state: Prodigal, x: Params) -> tuple[Params, Prodigal]:
        d = state.estimate
        step = tree_map(lambda grad: per_lane(d, grad) * grad, at.grad)
        average = tree_map(lambda old, new: mean(old, new, beta1), state.mean, step)
        square = tree_map(lambda old, new: mean(old, new * new, beta2), state.square, step)
        weight = per_lane(lr, d) * d
        gain = mean(state.gain, weight * at.inner(step, difference(state.start, x)), long)
        steps = tree_map(lambda old, new: mean(old, per_lane(weight, new) * new, long), state.steps, step)

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            return add_quotient(leaf, -weight, m, v.sqrt() + per_lane(per_lane(eps, d) * d, leaf))

        estimate = torch.maximum(d, ratio(gain, size_of(steps, at), 0.0))
        return tree_map(move, x, average, square), Prodigal(state.start, average, square, steps, gain, estimate)

    return whole(init, update)


def cocob(lr: Hyper, damping: Hyper = 100.0, eps: Hyper = 1e-8) -> Method:
    """Coin betting, ``x_0 + lr t / (L max(G + L, damping L)) (L + R)`` in every coordinate (Orabona, Tommasi 2017).

    L is the largest ``|g|`` (from eps on), G the sum of ``|g|``, t that of -g, and the reward R, never below 0, loses
    ``g (x - x_0)`` in each step: algorithm 2, COCOB-Backprop.
    """

    def init(x: Tensor) -> Bets:
        empty = torch.zeros_like(x)
        return Bets(x.detach().clone(), empty + per_lane(eps, x), empty.clone(), empty.clone(), empty.clone())

    def update(k: Step, grad: Tensor, state: Bets, x: Tensor) -> tuple[Tensor, Bets]:
        largest = torch.maximum(state.largest, grad.abs())
        lengths, total = state.lengths + grad.abs(), state.total - grad
        reward = (state.reward - grad * (x - state.start)).clamp(min=0)
        share = total / (largest * torch.maximum(lengths + largest, per_lane(damping, x) * largest))
        return state.start + per_lane(lr, x) * share * (largest + reward), Bets(
            state.start, largest, lengths, total, reward
        )

    return first_order(init, update)
