"""Worst-case functions, on which a theoretical bound for a class of methods or functions is attained, or nearly."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bowl_shaped import origin_minimiser
from gdbench.objectives.validation import check_float, check_int
from gdbench.objectives.vectors import ramp

__all__ = ["gd_worst", "nesterov_worst"]


def nesterov_worst(n: int = 21, smoothness: float = 1.0) -> Objective:
    """Nesterov's worst function for first-order methods: a chain along which gradients spread one coordinate a step.

    f(x) = L/8 (x_1^2 + sum_{i < n} (x_i - x_{i+1})^2 + x_n^2) - L/4 x_1, x of shape [n], L = smoothness. Start
    (0, ..., 0), where f = 0. Minimum -L/8 (1 - 1 / (n + 1)) at x_i = 1 - i / (n + 1). From this start every method
    whose steps lie in the span of the gradients seen has, after N = (n - 1) / 2 of them, still
    f - f* >= 3 L |x_0 - x*|^2 / (32 (N + 1)^2). The eigenvalues are L sin^2(k pi / (2n + 2)); L itself is their bound.
    Further coordinates, which the theory leaves at 0, are left out. Raises UsageError for n < 1 or smoothness <= 0.
    Nesterov 2004, Introductory Lectures on Convex Optimization, section 2.1.2.
    """
    check_int("n", n, least=1)
    top = check_float("smoothness", smoothness, least=0, example=1, above=True)

    def fn(x: Tensor) -> Tensor:
        ends = x[..., 0] ** 2 + x[..., -1] ** 2
        links = ((x[..., 1:] - x[..., :-1]) ** 2).sum(-1)
        return top / 8 * (ends + links - 2 * x[..., 0])

    return Objective(
        fn=fn,
        start=torch.zeros(n, dtype=torch.float64),
        minimum=-top / 8 * n / (n + 1),
        minimisers=(1 - ramp(n) / (n + 1),),
        smoothness=top,
        strong_convexity=top * math.sin(math.pi / (2 * n + 2)) ** 2,
        laned=True,
        source="Nesterov 2004, section 2.1.2",
    )


def gd_worst(n: int = 2, iterations: int = 50, smoothness: float = 1.0, radius: float = 1.0) -> Objective:
    """The convex function on which gradient descent with the step 1/L is slowest.

    With the knee t = R / (2N + 1), N = iterations, L = smoothness, R = radius: f(x) = L/2 |x|^2 within |x| <= t and L t
    |x| - L/2 t^2 beyond, x of shape [n]. Start R / sqrt(n) (1, ..., 1), at the distance R. Minimum 0 at (0, ..., 0).
    After N steps of gradient descent with lr = 1/L, f = L R^2 / (4N + 2), the most that any convex L-smooth function
    leaves. Convex, not strongly. Raises UsageError for n < 1, iterations < 1, smoothness <= 0 or radius <= 0. Drori and
    Teboulle 2014, Mathematical Programming 145:451, theorem 3.2.
    """
    check_int("n", n, least=1)
    steps = check_int("iterations", iterations, least=1)
    top = check_float("smoothness", smoothness, least=0, example=1, above=True)
    far = check_float("radius", radius, least=0, example=1, above=True)
    knee = far / (2 * steps + 1)

    def fn(x: Tensor) -> Tensor:
        distance: Tensor = torch.linalg.vector_norm(x, dim=-1)
        bent = torch.clamp(distance, max=knee)
        return top * bent * (distance - 0.5 * bent)

    return Objective(
        fn=fn,
        start=torch.full((n,), far / math.sqrt(n), dtype=torch.float64),
        minimum=0.0,
        minimisers=origin_minimiser(n),
        smoothness=top,
        laned=True,
        source="Drori and Teboulle 2014",
    )
