"""Accelerated gradient methods for convex functions: Nesterov's, the optimized gradient method, triple momentum.

x of the Method is the extrapolated point y, where the gradient is evaluated; its output is the sequence that theory
bounds. lr stands for 1 / L.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import GradientInfo, Hyper, Method, RunNumber, Step, first_order, tree_method
from gdbench.optimizers.update_ops import add, add_scaled, subtract
from gdbench.tree import Params, tree_map


class FistaState(NamedTuple):
    """x_k and the weight t_k, which is a number where lr is a number."""

    point: Tensor
    t: Hyper


class RestartState(NamedTuple):
    """x_k as a tree and t_k, one number per run."""

    point: Params
    t: Tensor


class TripleMomentumState(NamedTuple):
    """The last two points of the sequence z."""

    z: Tensor
    previous: Tensor


def copy_point(x: Tensor) -> Tensor:
    """Copy the start, as the first point of a sequence: the state of a method whose output is that sequence."""
    return x.detach().clone()


def init_fista(lr: Hyper, x: Tensor) -> FistaState:
    """Start a sequence at x with the weight 1."""
    return FistaState(copy_point(x), 1 + 0 * lr)


def next_weight(t: Any) -> Any:
    """Compute the weight that follows t: ``(1 + sqrt(1 + 4 t^2)) / 2``."""
    return (1 + (1 + 4 * t * t) ** 0.5) / 2


def output_from(pick: Callable[[Any], Tensor]) -> Callable[[Params, Any], Params]:
    """Build a Method's ``output``, which applies ``pick`` to the state of each leaf."""
    return lambda x, state: {name: pick(leaf) for name, leaf in state.items()} if isinstance(x, dict) else pick(state)


def nesterov_convex(lr: Hyper) -> Method:
    """Nesterov's method, ``x' = y - lr g(y); y = x' + k / (k + 3) (x' - x)`` (Su, Boyd, Candes 2016, equation 1).

    Output x: f(x_k) - f* <= 2 |x_0 - x*|^2 / (lr (k + 1)^2) for convex f and lr <= 1 / L.
    """

    def update(k: Step, grad: Tensor, previous: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        point = add(y, -lr, grad)
        return add(point, k / (k + 3), point - previous), point

    return replace(first_order(copy_point, update), output=output_from(lambda own: own))


def nesterov_fista(lr: Hyper) -> Method:
    """Nesterov's method of 1983, ``x' = y - lr g(y); y = x' + (t - 1) / t' (x' - x)``.

    ``t' = (1 + sqrt(1 + 4 t^2)) / 2``, t_0 = 1 (Nesterov 1983; Beck and Teboulle 2009). Output x, with the bound of
    ``nesterov_convex``.
    """

    def update(k: Step, grad: Tensor, state: FistaState, y: Tensor) -> tuple[Tensor, FistaState]:
        point, t = add(y, -lr, grad), next_weight(state.t)
        return add(point, (state.t - 1) / t, point - state.point), FistaState(point, t)

    return replace(first_order(partial(init_fista, lr), update), output=output_from(lambda own: own.point))


def nesterov_restart(lr: Hyper) -> Method:
    """Nesterov's method with adaptive restart: ``nesterov_fista``, restarted where ``g(y) (x' - x) > 0``.

    A restart sets t to 1 and y to x' (O'Donoghue and Candes 2015, section 3.2, gradient scheme). Output x.
    """

    def init(x: Params, number: RunNumber) -> RestartState:
        return RestartState(tree_map(torch.clone, x), number(1.0))

    def update(k: Step, info: GradientInfo, state: RestartState, y: Params) -> tuple[Params, RestartState]:
        point = add_scaled(y, -lr, info.grad)
        change, t = subtract(point, state.point), next_weight(state.t)
        restart = info.inner(info.grad, change) > 0
        size = torch.where(restart, 0.0, (state.t - 1) / t)
        return add_scaled(point, size, change), RestartState(point, torch.where(restart, 1.0, t))

    return replace(tree_method(init, update), output=lambda x, state: state.point)


def nag_sc(lr: Hyper, strong_convexity: Hyper) -> Method:
    """Nesterov's method for strongly convex f, ``x' = y - lr g(y); y = x' + (1 - q) / (1 + q) (x' - x)``.

    ``q = sqrt(lr mu)`` (Nesterov 2004, method 2.2.11). Output x: f(x_k) - f* decreases at least as (1 - q)^k.
    """
    root = (lr * strong_convexity) ** 0.5
    momentum = (1 - root) / (1 + root)

    def update(k: Step, grad: Tensor, previous: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        point = add(y, -lr, grad)
        return add(point, momentum, point - previous), point

    return replace(first_order(copy_point, update), output=output_from(lambda own: own))


def ogm(lr: Hyper) -> Method:
    """Optimized gradient method, ``x' = y - lr g(y); y' = x' + (t - 1) / t' (x' - x) + t / t' (x' - y)``.

    t as in ``nesterov_fista`` (Kim and Fessler 2016, algorithm OGM2, without its last step). Output x, whose bound is
    half of Nesterov's: f(x_{k+1}) - f* <= |x_0 - x*|^2 / (4 lr t_k^2) (Kim and Fessler 2017).
    """

    def update(k: Step, grad: Tensor, state: FistaState, y: Tensor) -> tuple[Tensor, FistaState]:
        point, t = add(y, -lr, grad), next_weight(state.t)
        extrapolated = add(point, (state.t - 1) / t, point - state.point)
        return add(extrapolated, state.t / t, point - y), FistaState(point, t)

    return replace(first_order(partial(init_fista, lr), update), output=output_from(lambda own: own.point))


def triple_momentum(lr: Hyper, strong_convexity: Hyper) -> Method:
    """Triple momentum, ``z' = z + b (z - z_old) - (1 + r) lr g(y); y' = z' + c (z' - z)`` (Van Scoy et al. 2018).

    ``r = 1 - sqrt(lr mu)``, ``b = r^2 / (2 - r)``, ``c = b / (1 + r)``. Output ``z + d (z - z_old)``,
    ``d = r^2 / (1 - r^2)``, whose distance to the minimiser decreases as r^k.
    """
    r = 1 - (lr * strong_convexity) ** 0.5
    b = r**2 / (2 - r)
    c, d = b / (1 + r), r**2 / (1 - r**2)

    def update(k: Step, grad: Tensor, state: TripleMomentumState, y: Tensor) -> tuple[Tensor, TripleMomentumState]:
        z = add(add(state.z, b, state.z - state.previous), -(1 + r) * lr, grad)
        return add(z, c, z - state.z), TripleMomentumState(z, state.z)

    method = first_order(lambda x: TripleMomentumState(copy_point(x), copy_point(x)), update)
    return replace(method, output=output_from(lambda own: add(own.z, d, own.z - own.previous)))
