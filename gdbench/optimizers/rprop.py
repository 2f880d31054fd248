"""Rprop: step sizes per coordinate that adapt to the sign of the gradient alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.tree import per_run


class RpropState(NamedTuple):
    """The last gradient, 0 where its sign changed, and the step size of each coordinate."""

    grad: Tensor
    length: Tensor


def rprop(
    lr: Hyper,
    etaminus: Hyper = 0.5,
    etaplus: Hyper = 1.2,
    step_size_min: Hyper = 1e-6,
    step_size_max: Hyper = 50.0,
    maximize: bool = False,
) -> Method:
    """Rprop without backtracking, ``x - s sign(g)``; s grows while g keeps its sign (Riedmiller and Braun 1993).

    Where g changes its sign, s is multiplied by ``etaminus`` and x makes no step; ``lr`` is only the first s.
    """

    def init(x: Tensor) -> RpropState:
        return RpropState(torch.zeros_like(x), torch.zeros_like(x) + per_run(lr, x))

    def update(k: Step, grad: Tensor, state: RpropState, x: Tensor) -> tuple[Tensor, RpropState]:
        grad = -grad if maximize else grad
        turn = (grad * state.grad).sign()
        grown = torch.where(turn > 0, per_run(etaplus, x) * state.length, state.length)
        length = torch.where(turn < 0, per_run(etaminus, x) * state.length, grown)
        length = clamp_between(length, step_size_min, step_size_max)
        grad = torch.where(turn < 0, 0.0, grad)
        return torch.addcmul(x, grad.sign(), length, value=-1), RpropState(grad, length)

    return first_order(init, update)


def clamp_between(leaf: Tensor, low: Hyper, high: Hyper) -> Tensor:
    """Clamp every number of a tensor between two bounds."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return leaf.clamp(*(torch.zeros_like(leaf) + per_run(bound, leaf) for bound in (low, high)))
    return leaf.clamp(low, high)
