"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, effective_gradient
from gdbench.tree import Params, per_run


class ASGDState(NamedTuple):
    """The average of the iterates, and the size of the next step (a number where lr is a number)."""

    point: Tensor
    size: Hyper


def asgd(
    lr: Hyper,
    lambd: Hyper = 1e-4,
    alpha: Hyper = 0.75,
    t0: Hyper = 1e6,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
) -> Method:
    """ASGD, ``x = (1 - lambd s) x - s g`` with ``s = lr / (1 + lambd lr k)^alpha`` (Polyak and Juditsky 1992).

    Output is the average of x over the steps from ``t0`` on, and x itself before (as in torch, ``t0`` is 1e6 steps).
    ``lambd`` is a decay, on by default as in torch, which moves the minimum slightly.
    """
    grad_of = effective_gradient(weight_decay, maximize)

    def init(x: Tensor) -> ASGDState:
        return ASGDState(
            x.detach().clone(), lr + 0 * (lambd * alpha)
        )  # of the type of the later sizes: a number or [L]

    def update(k: Step, grad: Tensor, state: ASGDState, x: Tensor) -> tuple[Tensor, ASGDState]:
        size = state.size
        x = add(per_run(1 - lambd * size, x) * x, -size, grad_of(grad, x))
        point = state.point + per_run(averaging_weight(k, t0), x) * (x - state.point)
        return x, ASGDState(point, lr / (1 + lambd * lr * (k + 1)) ** alpha)

    def output(x: Params, state: Any) -> Params:
        return {name: own.point for name, own in state.items()} if isinstance(x, dict) else state.point

    method = first_order(init, update)
    return Method(method.init, method.step, output=output)


def averaging_weight(k: Step, t0: Hyper) -> Hyper:
    """Compute the weight of step k in the average: 1 up to t0, then 1 / 2, 1 / 3, ..."""
    late = k - t0
    return 1 / late.clamp(min=1.0) if isinstance(late, Tensor) else 1 / max(late, 1)
