"""Parameter-free methods, which estimate the step size from the distance to the start; lr scales it, and is 1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import GradientInfo, Hyper, Method, RunNumber, Step, first_order, tree_method
from gdbench.optimizers.update_ops import add_quotient, add_scaled, ema, safe_ratio, subtract, zeros_like
from gdbench.tree import Params, per_run, tree_map


class DistanceState(NamedTuple):
    """The start, the largest distance from it so far, and the sum of squared gradients, weighted or not."""

    start: Params
    distance: Tensor
    total: Tensor


class DAdaptState(NamedTuple):
    """D-Adaptation's point before momentum, the sum s of its steps, ``sum(<steps, s>)``, the estimate d and |g_0|."""

    z: Params
    steps: Params
    gain: Tensor
    estimate: Tensor
    first: Tensor


class DAdaptAdamState(NamedTuple):
    """Moving averages of steps, of squared gradients, and of steps over a longer time; r, and the estimate d."""

    mean: Params
    square: Params
    steps: Params
    gain: Tensor
    estimate: Tensor


class ProdigyState(NamedTuple):
    """The start, and the fields of ``DAdaptAdamState``."""

    start: Params
    mean: Params
    square: Params
    steps: Params
    gain: Tensor
    estimate: Tensor


class CocobState(NamedTuple):
    """COCOB's start, largest |g|, sums of |g| and of -g, and reward, all per coordinate."""

    start: Tensor
    largest: Tensor
    lengths: Tensor
    total: Tensor
    reward: Tensor


def norm_1(tree: Params, info: GradientInfo) -> Tensor:
    """Sum of absolute values over all coordinates."""
    return info.inner(tree_map(torch.abs, tree), tree_map(torch.ones_like, tree))


def dog(lr: Hyper, initial: Hyper = 1e-6, eps: Hyper = 1e-8) -> Method:
    """Distance over gradients, ``x - lr r / sqrt(sum |g|^2 + eps) g`` (Ivgi, Hinder, Carmon 2023).

    r is the largest ``|x_i - x_0|`` so far, at least ``initial (1 + |x_0|)``.
    """

    def init(x: Params, number: RunNumber) -> DistanceState:
        return DistanceState(tree_map(torch.clone, x), number(0.0), number(0.0))

    def update(k: Step, info: GradientInfo, state: DistanceState, x: Params) -> tuple[Params, DistanceState]:
        offset = subtract(x, state.start)
        least = per_run(initial, info.loss) * (1 + info.inner(state.start, state.start).sqrt())
        distance = torch.maximum(torch.maximum(state.distance, least), info.inner(offset, offset).sqrt())
        total = state.total + info.inner(info.grad, info.grad)
        size = distance / (total + per_run(eps, total)).sqrt()
        return add_scaled(x, -lr * size, info.grad), DistanceState(state.start, distance, total)

    return tree_method(init, update)


def dowg(lr: Hyper, initial: Hyper = 1e-4) -> Method:
    """Distance over weighted gradients, ``x - lr r^2 / sqrt(sum r^2 |g|^2) g`` (Khaled, Mishchenko, Jin 2023).

    r is the largest ``|x_i - x_0|`` so far, at least ``initial``.
    """

    def init(x: Params, number: RunNumber) -> DistanceState:
        return DistanceState(tree_map(torch.clone, x), number(initial), number(0.0))

    def update(k: Step, info: GradientInfo, state: DistanceState, x: Params) -> tuple[Params, DistanceState]:
        offset = subtract(x, state.start)
        distance = torch.maximum(state.distance, info.inner(offset, offset).sqrt())
        total = state.total + distance**2 * info.inner(info.grad, info.grad)
        return add_scaled(x, -lr * safe_ratio(distance**2, total.sqrt(), 0.0), info.grad), DistanceState(
            state.start, distance, total
        )

    return tree_method(init, update)


def dadapt_sgd(lr: Hyper, momentum: Hyper = 0.9, d0: Hyper = 1e-6) -> Method:
    """SGD by D-Adaptation (Defazio and Mishchenko 2023, algorithm 4).

    ``a = lr d / |g_0|; z - a g; x = momentum x + (1 - momentum) z``. d starts at d0 and is the largest value so far of
    ``2 sum(a_i <g_i, s_i>) / |s_{k+1}|`` with ``s_{k+1} = s_k + a g``.
    """

    def init(x: Params, number: RunNumber) -> DAdaptState:
        return DAdaptState(tree_map(torch.clone, x), zeros_like(x), number(0.0), number(d0), number(0.0))

    def update(k: Step, info: GradientInfo, state: DAdaptState, x: Params) -> tuple[Params, DAdaptState]:
        first = torch.where(state.first > 0, state.first, info.inner(info.grad, info.grad).sqrt())
        size = per_run(lr, first) * safe_ratio(state.estimate, first, 0.0)
        gain = state.gain + size * info.inner(info.grad, state.steps)
        steps, z = add_scaled(state.steps, size, info.grad), add_scaled(state.z, -size, info.grad)
        estimate = torch.maximum(state.estimate, safe_ratio(2 * gain, info.inner(steps, steps).sqrt(), 0.0))
        x = tree_map(lambda new, old: ema(old, new, momentum), z, x)
        return x, DAdaptState(z, steps, gain, estimate, first)

    return tree_method(init, update)


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
    decay ``b = sqrt(beta2)``. d starts at d0 and is the largest value so far of ``r / ((1 - b) |s|_1)``. The authors'
    package and pytorch_optimizer divide s by the v of the step before (``old_denominator``), and have a
    ``bias_correction``, off by default, which multiplies lr by ``sqrt(1 - beta2^t) / (1 - beta1^t)``.
    """
    long = beta2**0.5

    def denominator(square: Params) -> Params:
        return tree_map(lambda leaf: leaf.sqrt() + per_run(eps, leaf), square)

    def init(x: Params, number: RunNumber) -> DAdaptAdamState:
        return DAdaptAdamState(zeros_like(x), zeros_like(x), zeros_like(x), number(0.0), number(d0))

    def update(k: Step, info: GradientInfo, state: DAdaptAdamState, x: Params) -> tuple[Params, DAdaptAdamState]:
        correction = (1 - beta2 ** (k + 1)) ** 0.5 / (1 - beta1 ** (k + 1)) if bias_correction else 1.0
        size = per_run(lr * correction, info.loss) * state.estimate
        step = tree_map(lambda grad: per_run(size, grad) * grad, info.grad)
        average = tree_map(lambda old, new: ema(old, new, beta1), state.mean, step)
        square = tree_map(lambda old, grad: ema(old, grad * grad, beta2), state.square, info.grad)
        scale = denominator(square)
        weights = denominator(state.square) if old_denominator else scale
        gain = ema(state.gain, info.inner(step, tree_map(torch.div, state.steps, weights)), long)
        steps = tree_map(lambda old, new: ema(old, new, long), state.steps, step)
        bound = per_run(1 - long, info.loss) * norm_1(steps, info)
        estimate = torch.maximum(state.estimate, safe_ratio(gain, bound, 0.0))
        x = tree_map(lambda leaf, m, v: leaf - m / v, x, average, scale)
        return x, DAdaptAdamState(average, square, steps, gain, estimate)

    return tree_method(init, update)


def prodigy(lr: Hyper, beta1: Hyper = 0.9, beta2: Hyper = 0.999, eps: Hyper = 1e-8, d0: Hyper = 1e-6) -> Method:
    """Prodigy, ``x - lr d m / (sqrt(v) + d eps)`` (Mishchenko and Defazio 2024, algorithm 4).

    m averages ``d g``, v averages ``d^2 g^2``; r and s average ``lr d^2 <g, x_0 - x>`` and ``lr d^2 g`` with the decay
    ``sqrt(beta2)``. d starts at d0 and is the largest value of ``r / |s|_1`` in the steps before this one.
    """
    long = beta2**0.5

    def init(x: Params, number: RunNumber) -> ProdigyState:
        return ProdigyState(
            tree_map(torch.clone, x), zeros_like(x), zeros_like(x), zeros_like(x), number(0.0), number(d0)
        )

    def update(k: Step, info: GradientInfo, state: ProdigyState, x: Params) -> tuple[Params, ProdigyState]:
        d = state.estimate
        step = tree_map(lambda grad: per_run(d, grad) * grad, info.grad)
        average = tree_map(lambda old, new: ema(old, new, beta1), state.mean, step)
        square = tree_map(lambda old, new: ema(old, new * new, beta2), state.square, step)
        weight = per_run(lr, d) * d
        gain = ema(state.gain, weight * info.inner(step, subtract(state.start, x)), long)
        steps = tree_map(lambda old, new: ema(old, per_run(weight, new) * new, long), state.steps, step)

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            return add_quotient(leaf, -weight, m, v.sqrt() + per_run(per_run(eps, d) * d, leaf))

        estimate = torch.maximum(d, safe_ratio(gain, norm_1(steps, info), 0.0))
        return tree_map(move, x, average, square), ProdigyState(state.start, average, square, steps, gain, estimate)

    return tree_method(init, update)


def cocob(lr: Hyper, damping: Hyper = 100.0, eps: Hyper = 1e-8) -> Method:
    """COCOB, ``x_0 + lr t / (L max(G + L, damping L)) (L + R)`` in every coordinate (Orabona, Tommasi 2017).

    L is the largest ``|g|`` (at least eps), G the sum of ``|g|``, t that of -g; the reward R changes by
    ``-g (x - x_0)`` in each step, but is at least 0. Algorithm 2, COCOB-Backprop.
    """

    def init(x: Tensor) -> CocobState:
        empty = torch.zeros_like(x)
        return CocobState(x.detach().clone(), empty + per_run(eps, x), empty.clone(), empty.clone(), empty.clone())

    def update(k: Step, grad: Tensor, state: CocobState, x: Tensor) -> tuple[Tensor, CocobState]:
        largest = torch.maximum(state.largest, grad.abs())
        lengths, total = state.lengths + grad.abs(), state.total - grad
        reward = (state.reward - grad * (x - state.start)).clamp(min=0)
        share = total / (largest * torch.maximum(lengths + largest, per_run(damping, x) * largest))
        return state.start + per_run(lr, x) * share * (largest + reward), CocobState(
            state.start, largest, lengths, total, reward
        )

    return first_order(init, update)
