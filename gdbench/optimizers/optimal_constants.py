"""Methods with the optimal constants for quadratics with curvature between mu and L; lr scales the step, and is 1.

The rate given for each is the factor by which a step reduces the distance to the minimiser, in the worst case and
asymptotically. kappa = L / mu.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, first_order
from gdbench.optimizers.sgd import gd, momentum, nesterov
from gdbench.optimizers.update_ops import add
from gdbench.tree import per_run


class ChebyshevState(NamedTuple):
    """The last step d and the weight a of its gradient."""

    step: Tensor
    weight: Hyper


def gd_optimal(lr: Hyper, smoothness: Hyper, strong_convexity: Hyper) -> Method:
    """Gradient descent with the step ``2 / (L + mu)``: rate (kappa - 1) / (kappa + 1) (Polyak 1987, section 1.4)."""
    return gd(lr * 2 / (smoothness + strong_convexity))


def heavy_ball_optimal(lr: Hyper, smoothness: Hyper, strong_convexity: Hyper) -> Method:
    """Heavy ball with step ``4 / (sqrt(L) + sqrt(mu))^2``, momentum ``rate^2`` (Polyak 1964).

    Rate (sqrt(kappa) - 1) / (sqrt(kappa) + 1), the best of any first-order method.
    """
    top, low = smoothness**0.5, strong_convexity**0.5
    return momentum(lr * 4 / (top + low) ** 2, ((top - low) / (top + low)) ** 2)


def nesterov_optimal(lr: Hyper, smoothness: Hyper, strong_convexity: Hyper) -> Method:
    """Nesterov's momentum with step ``4 / (3 L + mu)``, momentum ``(r - 2) / (r + 2)``, ``r = sqrt(3 kappa + 1)``.

    Rate 1 - 2 / r (Lessard, Recht, Packard 2016, proposition 1).
    """
    root = (3 * smoothness / strong_convexity + 1) ** 0.5
    return nesterov(lr * 4 / (3 * smoothness + strong_convexity), (root - 2) / (root + 2))


def chebyshev(lr: Hyper, smoothness: Hyper, strong_convexity: Hyper) -> Method:
    """Chebyshev semi-iteration, whose k-th iterate is the best of any first-order method (Golub, Varga 1961).

    ``d = (a c - 1) d - a g; x + d`` with the centre c and the radius r of [mu, L], ``a_0 = 1 / c``,
    ``a_1 = 1 / (c - r^2 a_0 / 2)`` and ``a_k = 1 / (c - r^2 a_{k-1} / 4)`` (Saad 2003, algorithm 12.1, rewritten so
    that r may be 0). k steps reduce the distance by 2 q^k / (1 + q^(2 k)), where q is the heavy ball's rate.
    """
    centre, radius = (smoothness + strong_convexity) / 2, (smoothness - strong_convexity) / 2

    def update(k: Step, grad: Tensor, state: ChebyshevState, x: Tensor) -> tuple[Tensor, ChebyshevState]:
        weight = 1 / (centre - radius**2 / 4 * state.weight * (1 + (k == 1)))
        step = per_run(weight * centre - 1, x) * state.step
        step = add(step, -lr * weight, grad)
        return x + step, ChebyshevState(step, weight)

    return first_order(lambda x: ChebyshevState(torch.zeros_like(x), 0.0 * (centre + radius)), update)
