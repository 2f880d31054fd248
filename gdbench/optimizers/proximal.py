"""Proximal gradient methods ISTA and FISTA, for an objective ``s + g``: a gradient step on s, then the prox of g.

lr stands for 1 / L, with L of the smooth part s. The output of both is the result of the last proximal map.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from gdbench.optimizers.accelerated import next_weight
from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepFields
from gdbench.optimizers.update_ops import add_scaled, subtract
from gdbench.tree import Params, tree_map

__all__ = ["fista", "ista"]


class ProximalFistaState(NamedTuple):
    """x_k, and the weight t_k, which is a number where lr is a number."""

    point: Params
    t: Hyper


def ista(lr: Hyper) -> Method:
    """Proximal gradient descent (ISTA), ``x' = prox(x - lr grad s(x), lr)``.

    For convex s and lr <= 1 / L, f(x_k) - f* <= |x_0 - x*|^2 / (2 lr k) (Beck and Teboulle 2009, theorem 3.1).
    """

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, StepFields]:
        point, loss, grad = proximal_step(oracle, k, x, lr)
        return point, state, (loss, grad, 1, 0)

    return Method(lambda x: (), step, output=lambda x, state: x, proximal=True)


def fista(lr: Hyper) -> Method:
    """FISTA, ``x' = prox(y - lr grad s(y), lr); y = x' + (t - 1) / t' (x' - x)``, t as in ``nesterov_fista``.

    For convex s and lr <= 1 / L, f(x_k) - f* <= 2 |x_0 - x*|^2 / (lr (k + 1)^2) (Beck and Teboulle 2009, theorem 4.4).
    """

    def init(x: Params) -> ProximalFistaState:
        return ProximalFistaState(tree_map(lambda leaf: leaf.detach().clone(), x), 1 + 0 * lr)

    def step(
        oracle: Oracle, k: Step, y: Params, state: ProximalFistaState
    ) -> tuple[Params, ProximalFistaState, StepFields]:
        point, loss, grad = proximal_step(oracle, k, y, lr)
        t = next_weight(state.t)
        extrapolated = add_scaled(point, (state.t - 1) / t, subtract(point, state.point))
        return extrapolated, ProximalFistaState(point, t), (loss, grad, 1, 0)

    return Method(init, step, output=lambda x, state: state.point, proximal=True)


def proximal_step(oracle: Oracle, k: Step, x: Params, lr: Hyper) -> tuple[Params, Tensor, Params]:
    """Make a proximal gradient step; returns the new point, and value and gradient of the smooth part at x."""
    assert oracle.split is not None, "the objective states no prox"
    loss, grad = oracle.split.smooth.grad(x, k)
    return oracle.split.prox(add_scaled(x, -lr, grad), lr), loss, grad
