"""A physics-informed network for the Poisson equation in one dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import make_batch_sampler
from gdbench.objectives.validation import check_int

__all__ = ["evaluate_solution", "pinn"]


def pinn(hidden: int = 16, points: int = 64, batch: int = 0) -> Objective:
    """A physics-informed network for the Poisson equation -u'' = pi^2 sin(pi t) on [0, 1], u(0) = u(1) = 0.

    f(params) = mean_i (u''(t_i) + pi^2 sin(pi t_i))^2 with u(t) = t (1 - t) (sum_j c_j tanh(w_j t + b_j) + d), which
    satisfies the boundary conditions, at ``points`` midpoints of equal intervals; u'' is derived by hand. ``params``:
    w, b and c [hidden], d [1]. Start by the seed: w and b normal with deviation 3, c with 1 / sqrt(hidden), d 0. The
    minimum is not known, but at least 0; the solution of the equation is sin(pi t). Each step's gradient is that of
    ``batch`` points drawn at random, or of all for 0.

    Raises UsageError for hidden < 1, points < 1 or batch outside 0 ... points. Raissi, Perdikaris and Karniadakis 2019.
    """
    units, count = check_int("hidden", hidden, least=1), check_int("points", points, least=1)

    def fn(params: dict[str, Tensor], t: Tensor) -> Tensor:
        value, first, second = evaluate_network(params, t)
        curvature = -2 * value + 2 * (1 - 2 * t) * first + t * (1 - t) * second
        return ((curvature + math.pi**2 * (math.pi * t).sin()) ** 2).mean(-1)

    def start(seed: int) -> dict[str, Tensor]:
        w, b, c = torch.randn(3, units, generator=make_generator(seed), dtype=torch.float64)
        return {"w": 3 * w, "b": 3 * b, "c": c / units**0.5, "d": torch.zeros(1, dtype=torch.float64)}

    return Objective(
        fn=fn,
        start=start,
        data={"t": (torch.arange(count, dtype=torch.float64) + 0.5) / count},
        batch=make_batch_sampler("t", batch=batch, of=count),
        minimum=0.0,
        minimum_kind="lower_bound",
        laned=True,
        source="Raissi, Perdikaris and Karniadakis 2019, J. Comput. Phys. 378:686",
    )


def evaluate_network(params: dict[str, Tensor], t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate sum_j c_j tanh(w_j t + b_j) + d at the points ``[p]``, and its first two derivatives, each ``[p]``."""
    w, b, c = (params[name].unsqueeze(-1) for name in ("w", "b", "c"))
    hidden = (w * t + b).tanh()
    derivative = 1 - hidden**2
    value = (c * hidden).sum(-2) + params["d"]
    return value, (c * w * derivative).sum(-2), (-2 * c * w**2 * hidden * derivative).sum(-2)


def evaluate_solution(params: dict[str, Tensor], t: Tensor) -> Tensor:
    """Evaluate u at the points ``[p]``."""
    return t * (1 - t) * evaluate_network(params, t)[0]
