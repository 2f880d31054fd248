"""Averaged stochastic gradient descent."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from gdbench.optimizers.accelerated import copy_point, output_from
from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.update_ops import add, effective_gradient
from gdbench.tree import per_run


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
        return ASGDState(copy_point(x), lr + 0 * (lambd * alpha))  # of the type of the later sizes: a number or [L]

    def update(k: Step, grad: Tensor, state: ASGDState, x: Tensor) -> tuple[Tensor, ASGDState]:
        size = state.size
        x = add(per_run(1 - lambd * size, x) * x, -size, grad_of(grad, x))
        point = state.point + per_run(averaging_weight(k, t0), x) * (x - state.point)
        return x, ASGDState(point, lr / (1 + lambd * lr * (k + 1)) ** alpha)

    return replace(first_order(init, update), output=output_from(lambda own: own.point))


def averaging_weight(k: Step, t0: Hyper) -> Hyper:
    """Compute the weight of step k in the average: 1 up to t0, then 1 / 2, 1 / 3, ..."""
    late = k - t0
    return 1 / late.clamp(min=1.0) if isinstance(late, Tensor) else 1 / max(late, 1)
