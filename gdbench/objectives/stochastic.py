"""Problems with stochastic or time-dependent gradients of a known distribution."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.objectives.counter_rng import random_normals
from gdbench.objectives.validation import check_float, check_int

__all__ = ["noisy_quadratic", "reddi"]


def noisy_quadratic(n: int = 8, condition: float = 100.0, smoothness: float = 1.0, noise: float = 0.1) -> Objective:
    """A quadratic with Gaussian gradient noise, on which the stationary loss of methods is known.

    f(x) = 1/2 sum_i e_i x_i^2, x of shape [n], e_i from mu = smoothness / condition to L = smoothness, logarithmically
    spaced. The gradient in step k of a seed is e_i x_i + noise z_i, z standard normal, a function of seed and k. Start
    (1, ..., 1), minimum 0 at 0. With a fixed lr = a and momentum b (heavy ball; b = 0 is gradient descent) the
    stationary x_i has mean 0 and variance a noise^2 (1 + b) / (e_i (1 - b) (2 (1 + b) - a e_i)), so the mean loss is
    sum_i a noise^2 (1 + b) / (2 (1 - b) (2 (1 + b) - a e_i)), by the theory of linear recurrences.
    Raises UsageError for n < 2, condition < 1, smoothness <= 0 or noise <= 0.
    """
    check_int("n", n, least=2)
    top = check_float("smoothness", smoothness, least=0, example=1, above=True)
    mu = top / check_float("condition", condition, least=1, example=100)
    deviation = check_float("noise", noise, least=0, example=0.1, above=True)
    eigenvalues = top * (mu / top) ** torch.linspace(1, 0, n, dtype=torch.float64)

    def fn(x: Tensor, eigenvalues: Tensor, noise: Tensor) -> Tensor:
        return (x * (0.5 * eigenvalues * x + noise)).sum(-1)

    def batch(data: Mapping[str, Tensor], seed: Tensor, k: int | Tensor) -> Mapping[str, Tensor]:
        return {"noise": (deviation * random_normals(seed, k, n)).to(data["noise"].dtype)}

    return Objective(
        fn=fn,
        start=torch.ones_like(eigenvalues),
        data={"eigenvalues": eigenvalues, "noise": torch.zeros_like(eigenvalues)},
        batch=batch,
        minimum=0.0,
        minimisers=(torch.zeros_like(eigenvalues),),
        smoothness=top,
        strong_convexity=mu,
        laned=True,
        source="Schaul, Zhang and LeCun 2013, ICML, No more pesky learning rates",
    )


def reddi(up: float = 1010.0, down: float = 10.0, period: int = 101) -> Objective:
    """One large positive slope and many small negative ones in turn: Adam moves away from the minimum.

    The loss of step k is f_k(x) = up x where k is a multiple of ``period``, else -down x; x of shape [1] in [-1, 1],
    onto which every step is projected. f(x) = s x with the mean slope s = (up - (period - 1) down) / period. Start 0,
    minimum -s at -1. Adam with betas (0.9, 0.99) goes to +1 and AMSGrad to -1. Theorem 1 of the paper is up=4 down=1
    period=3 with betas (0, 1/17). The seed is the offset of step 0 in the period.
    Raises UsageError for period < 2, down <= 0, or up <= (period - 1) down, where the mean slope is not above 0.
    Reddi, Kale and Kumar 2018, ICLR, section 3.
    """
    length = check_int("period", period, least=2)
    gentle = check_float("down", down, least=0, example=10, above=True)
    steep = check_float("up", up, least=0, example=1010, above=True)
    mean = (steep - (length - 1) * gentle) / length
    if mean <= 0:
        raise UsageError(f"objective.up={up!r}: it must be above (period - 1) down = {(length - 1) * gentle:g}")

    def fn(x: Tensor, slope: Tensor) -> Tensor:
        return (slope * x).sum(-1)

    def batch(data: Mapping[str, Tensor], seed: Tensor, k: int | Tensor) -> Mapping[str, Tensor]:
        k = k.to(torch.int64) if isinstance(k, Tensor) else k
        return {"slope": torch.where((seed + k) % length == 0, steep, -gentle).to(data["slope"].dtype).reshape(1)}

    return Objective(
        fn=fn,
        start=torch.zeros(1, dtype=torch.float64),
        data={"slope": torch.tensor([mean], dtype=torch.float64)},
        batch=batch,
        minimum=-mean,
        minimisers=(-torch.ones(1, dtype=torch.float64),),
        project=lambda x: x.clamp(-1, 1),  # type: ignore[union-attr]
        laned=True,
        source="Reddi, Kale and Kumar 2018, ICLR, On the convergence of Adam and beyond",
    )
