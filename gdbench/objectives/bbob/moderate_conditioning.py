"""bbob's functions of low or moderate conditioning, f6 to f9."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bbob.instance import Instance
from gdbench.objectives.bbob.transforms import apply_matrix, boundary_penalty, condition_diagonal, oscillate, root_power

__all__ = [
    "bbob_f06_attractive_sector",
    "bbob_f07_step_ellipsoid",
    "bbob_f08_rosenbrock",
    "bbob_f09_rosenbrock_rotated",
]


def bbob_f06_attractive_sector(n: int = 10, instance: int = 1) -> Objective:
    """The attractive sector: f(x) = T_osz(sum_i (s_i z_i)^2)^0.9 + f*, z = Q Lambda^10 R (x - x*).

    s_i = 100 where z_i x*_i > 0, else 1.
    """
    own = Instance(6, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, matrix: Tensor) -> Tensor:
        z = apply_matrix(x - best, matrix)
        return root_power(oscillate(((1 + 9999 * (z * best > 0)) * z**2).sum(-1)), 0.9)

    return own.build(fn, best, {"best": best, "matrix": own.conditioned_matrix(math.sqrt(10))})


def bbob_f07_step_ellipsoid(n: int = 10, instance: int = 1) -> Objective:
    """The step ellipsoid: f(x) = 0.1 max(|y_1| / 1e4, sum_i 10^(2 (i-1)/(n-1)) z_i^2) + f_pen(x) + f*.

    y = Lambda^10 R (x - x*), z = Q r(y), where r rounds to whole numbers beyond 0.5 and to tenths within. It consists
    of plateaus: the gradient is 0 almost everywhere in the domain, so that gradient methods do not move.
    """
    own = Instance(7, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        y = apply_matrix(x - best, first)
        stepped = torch.where(y.abs() > 0.5, torch.floor(y + 0.5), torch.floor(10 * y + 0.5) / 10)
        z = apply_matrix(stepped, second)
        return 0.1 * torch.maximum(y[..., 0].abs() * 1e-4, (weight * z**2).sum(-1)) + boundary_penalty(x)

    first = condition_diagonal(math.sqrt(10), n)[:, None] * own.second_rotation()
    return own.build(
        fn, best, {"best": best, "first": first, "second": own.rotation(), "weight": condition_diagonal(100, n)}
    )


def rosenbrock_sum(z: Tensor) -> Tensor:
    """Rosenbrock's chained function."""
    return (100 * (z[..., :-1] ** 2 - z[..., 1:]) ** 2 + (z[..., :-1] - 1) ** 2).sum(-1)


def bbob_f08_rosenbrock(n: int = 10, instance: int = 1) -> Objective:
    """Rosenbrock's function, shifted: f(x) = sum_i 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2 + f*.

    z = max(1, sqrt(n) / 8) (x - x*) + 1, with x* in [-3, 3]^n.
    """
    own = Instance(8, n, instance)
    best = 0.75 * own.optimum()
    scale = max(1.0, math.sqrt(n) / 8)
    return own.build(lambda x, best: rosenbrock_sum(scale * (x - best) + 1), best, {"best": best})


def bbob_f09_rosenbrock_rotated(n: int = 10, instance: int = 1) -> Objective:
    """Rosenbrock's function, rotated: f(x) = sum_i 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2 + f*.

    z = max(1, sqrt(n) / 8) R x + 1/2.
    """
    own = Instance(9, n, instance)
    scale = max(1.0, math.sqrt(n) / 8)
    turn = own.second_rotation()
    best = turn.sum(0) * (0.5 / scale)
    return own.build(lambda x, matrix: rosenbrock_sum(apply_matrix(x, matrix) + 0.5), best, {"matrix": scale * turn})
