"""Gradient descent with adaptive step sizes: Barzilai-Borwein, Polyak, AdGD, hypergradient, steepest descent."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import (
    HESSIAN_PRODUCT,
    GradientInfo,
    Hyper,
    Method,
    Oracle,
    RunNumber,
    Step,
    StepFields,
    tree_method,
)
from gdbench.optimizers.update_ops import add_scaled, safe_ratio, subtract, zeros_like
from gdbench.tree import Params, dot, per_run, tree_map


class BarzilaiBorweinState(NamedTuple):
    """The last point and its gradient."""

    x: Params
    grad: Params


class AdGDState(NamedTuple):
    """The last point, its gradient, its step size, and the factor by which that had grown."""

    x: Params
    grad: Params
    size: Tensor
    growth: Tensor


class HypergradientState(NamedTuple):
    """The last gradient and the current step size."""

    grad: Params
    size: Tensor


def init_previous(x: Params, number: RunNumber) -> BarzilaiBorweinState:
    """Initialise the last point with x, and its gradient with 0."""
    return BarzilaiBorweinState(tree_map(torch.clone, x), zeros_like(x))


def bb1(lr: Hyper) -> Method:
    """Barzilai-Borwein, long step: ``x - (s s / s y) g`` with the last changes s of x and y of g (1988).

    The step is lr at first and wherever ``s y`` is not above 0.
    """

    def update(
        k: Step, info: GradientInfo, state: BarzilaiBorweinState, x: Params
    ) -> tuple[Params, BarzilaiBorweinState]:
        s, y = subtract(x, state.x), subtract(info.grad, state.grad)
        return add_scaled(
            x, -safe_ratio(info.inner(s, s), info.inner(s, y), per_run(lr, info.loss)), info.grad
        ), BarzilaiBorweinState(x, info.grad)

    return tree_method(init_previous, update)


def bb2(lr: Hyper) -> Method:
    """Barzilai-Borwein, short step: ``x - (s y / y y) g`` with the last changes s of x and y of g (1988).

    The step is lr at first and wherever ``s y`` is not above 0.
    """

    def update(
        k: Step, info: GradientInfo, state: BarzilaiBorweinState, x: Params
    ) -> tuple[Params, BarzilaiBorweinState]:
        s, y = subtract(x, state.x), subtract(info.grad, state.grad)
        curvature = info.inner(s, y)
        size = torch.where(curvature > 0, safe_ratio(curvature, info.inner(y, y), 0.0), per_run(lr, info.loss))
        return add_scaled(x, -size, info.grad), BarzilaiBorweinState(x, info.grad)

    return tree_method(init_previous, update)


def polyak(lr: Hyper, minimum: Hyper) -> Method:
    """Polyak's step, ``x - lr (f - f*) / |g|^2 g``, where f* is the minimum (Polyak 1969).

    With lr = 1 no step increases the distance to a minimiser of a convex function. Where f < f*, x does not move.
    """

    def update(k: Step, info: GradientInfo, state: tuple[()], x: Params) -> tuple[Params, tuple[()]]:
        excess = (info.loss - per_run(minimum, info.loss)).clamp(min=0)
        return add_scaled(x, -lr * safe_ratio(excess, info.inner(info.grad, info.grad), 0.0), info.grad), state

    return tree_method(lambda x, number: (), update)


def adgd(lr: Hyper) -> Method:
    """AdGD, whose next step is ``min(sqrt(1 + a / a_old) a, |s| / (2 |y|))``, the first lr (Malitsky, Mishchenko 2020).

    s and y are the last changes of x and of the gradient. The step is at most half the inverse of the local curvature,
    and the first term limits its growth.
    """

    def init(x: Params, number: RunNumber) -> AdGDState:
        return AdGDState(*init_previous(x, number), number(lr), number(0.0))

    def update(k: Step, info: GradientInfo, state: AdGDState, x: Params) -> tuple[Params, AdGDState]:
        s, y = subtract(x, state.x), subtract(info.grad, state.grad)
        s_norm, y_norm = info.inner(s, s).sqrt(), info.inner(y, y).sqrt()
        local = torch.where(s_norm > 0, safe_ratio(s_norm, 2 * y_norm, torch.inf), torch.inf)
        size = torch.minimum((1 + state.growth).sqrt() * state.size, local)
        size = torch.where(torch.isfinite(size), size, state.size)  # without curvature nothing bounds it
        growth = torch.where(s_norm > 0, size / state.size, torch.inf)
        return add_scaled(x, -size, info.grad), AdGDState(x, info.grad, size, growth)

    return tree_method(init, update)


def hypergradient(lr: Hyper, hyper_lr: Hyper = 0.02) -> Method:
    """Hypergradient descent, ``a = a (1 + hyper_lr c); x - a g``, the first a is lr (Baydin et al. 2018).

    c is the cosine of the angle between g and g_old, 0 at first: the multiplicative rule, which is free of units.
    """

    def init(x: Params, number: RunNumber) -> HypergradientState:
        return HypergradientState(zeros_like(x), number(lr))

    def update(k: Step, info: GradientInfo, state: HypergradientState, x: Params) -> tuple[Params, HypergradientState]:
        lengths = info.inner(info.grad, info.grad).sqrt() * info.inner(state.grad, state.grad).sqrt()
        cosine = safe_ratio(info.inner(info.grad, state.grad), lengths, 0.0)
        size = state.size * (1 + per_run(hyper_lr, cosine) * cosine)
        return add_scaled(x, -size, info.grad), HypergradientState(info.grad, size)

    return tree_method(init, update)


def steepest(lr: Hyper) -> Method:
    """Steepest descent, ``x - (g g / g H g) g``: an exact line search on a quadratic (Cauchy 1847).

    One Hessian product per step; where the curvature ``g H g`` is not above 0 the step is lr.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()]) -> tuple[Params, tuple[()], StepFields]:
        loss, grad = oracle.grad(x, k)
        squared, curvature = (dot(grad, other, oracle.laned) for other in (grad, oracle.hvp(x, grad, k)))
        size = safe_ratio(squared, curvature, per_run(lr, squared))
        return add_scaled(x, -size, grad), state, (loss, grad, 1 + HESSIAN_PRODUCT, 0)

    return Method(lambda x: (), step, constant_cost=False)
