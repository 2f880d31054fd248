"""bbob's separable functions, f1 to f5."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bbob.instance import Instance
from gdbench.objectives.bbob.transforms import apply_asymmetry, boundary_penalty, condition_diagonal, oscillate

__all__ = [
    "bbob_f01_sphere",
    "bbob_f02_ellipsoid",
    "bbob_f03_rastrigin",
    "bbob_f04_bueche_rastrigin",
    "bbob_f05_linear_slope",
]


def rastrigin_sum(z: Tensor) -> Tensor:
    """Rastrigin's 10 (n - sum cos(2 pi z_i)) + |z|^2, by half angles, which is accurate near 0."""
    return (z**2 + 20 * torch.sin(math.pi * z) ** 2).sum(-1)


def bbob_f01_sphere(n: int = 10, instance: int = 1) -> Objective:
    """The sphere: f(x) = |x - x*|^2 + f*. L = mu = 2."""
    own = Instance(1, n, instance)
    best = own.optimum()
    return own.build(lambda x, best: ((x - best) ** 2).sum(-1), best, {"best": best})


def bbob_f02_ellipsoid(n: int = 10, instance: int = 1) -> Objective:
    """The separable ellipsoid, condition 1e6: f(x) = sum_i 10^(6 (i-1)/(n-1)) z_i^2 + f*, z = T_osz(x - x*)."""
    own = Instance(2, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, weight: Tensor) -> Tensor:
        return (weight * oscillate(x - best) ** 2).sum(-1)

    return own.build(fn, best, {"best": best, "weight": condition_diagonal(1e6, n)})


def bbob_f03_rastrigin(n: int = 10, instance: int = 1) -> Objective:
    """The separable Rastrigin function: f(x) = 10 (n - sum_i cos(2 pi z_i)) + |z|^2 + f*.

    z = Lambda^10 T_asy^0.2(T_osz(x - x*)).
    """
    own = Instance(3, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, strength: Tensor, scale: Tensor) -> Tensor:
        return rastrigin_sum(scale * apply_asymmetry(oscillate(x - best), strength))

    strength = 0.2 * torch.linspace(0, 1, n, dtype=torch.float64)
    return own.build(fn, best, {"best": best, "strength": strength, "scale": condition_diagonal(math.sqrt(10), n)})


def bbob_f04_bueche_rastrigin(n: int = 10, instance: int = 1) -> Objective:
    """Bueche and Rastrigin's function: f(x) = 10 (n - sum_i cos(2 pi z_i)) + |z|^2 + 100 f_pen(x) + f*.

    z_i = s_i T_osz(x - x*)_i with s_i = 10^((i-1)/(2n-2)), ten times that where z_i > 0 and i is odd.
    """
    own = Instance(4, n, instance, seed_function=3)
    best = own.optimum()
    best[::2] = best[::2].abs()
    steeper = torch.ones(n, dtype=torch.float64)
    steeper[::2] = 10

    def fn(x: Tensor, best: Tensor, scale: Tensor, steeper: Tensor) -> Tensor:
        z = oscillate(x - best)
        return rastrigin_sum(torch.where(z > 0, steeper, 1) * scale * z) + 100 * boundary_penalty(x)

    return own.build(fn, best, {"best": best, "scale": condition_diagonal(math.sqrt(10), n), "steeper": steeper})


def bbob_f05_linear_slope(n: int = 10, instance: int = 1) -> Objective:
    """A linear function that is constant beyond the corner of the domain: f(x) = sum_i 5 |s_i| - s_i z_i + f*.

    s_i = sign(x*_i) 10^((i-1)/(n-1)), z_i = x_i while x_i x*_i < 25 and else x*_i, which is 5 or -5.
    """
    own = Instance(5, n, instance)
    best = torch.where(own.optimum() < 0, -5.0, 5.0).to(torch.float64)

    def fn(x: Tensor, best: Tensor, slope: Tensor) -> Tensor:
        z = torch.where(x * best < 25, x, best)
        return (5 * slope.abs() - slope * z).sum(-1)

    return own.build(fn, best, {"best": best, "slope": best.sign() * condition_diagonal(10, n)})
