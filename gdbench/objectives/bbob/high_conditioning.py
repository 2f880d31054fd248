"""bbob's unimodal functions of high conditioning, f10 to f14."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bbob.coco_rng import draw_optimum
from gdbench.objectives.bbob.instance import Instance
from gdbench.objectives.bbob.transforms import apply_asymmetry, apply_matrix, condition_diagonal, oscillate

__all__ = [
    "bbob_f10_ellipsoid_rotated",
    "bbob_f11_discus",
    "bbob_f12_bent_cigar",
    "bbob_f13_sharp_ridge",
    "bbob_f14_different_powers",
]


def bbob_f10_ellipsoid_rotated(n: int = 10, instance: int = 1) -> Objective:
    """The rotated ellipsoid, condition 1e6: f(x) = sum_i 10^(6 (i-1)/(n-1)) z_i^2 + f*, z = T_osz(R (x - x*))."""
    own = Instance(10, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor, weight: Tensor) -> Tensor:
        return (weight * oscillate(apply_matrix(x - best, turn)) ** 2).sum(-1)

    return own.build(fn, best, {"best": best, "turn": own.rotation(), "weight": condition_diagonal(1e6, n)})


def bbob_f11_discus(n: int = 10, instance: int = 1) -> Objective:
    """The discus, with one eigenvalue 1e6 times the others: f(x) = 1e6 z_1^2 + sum_{i > 1} z_i^2 + f*.

    z = T_osz(R (x - x*)).
    """
    own = Instance(11, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor) -> Tensor:
        z = oscillate(apply_matrix(x - best, turn)) ** 2
        return 1e6 * z[..., 0] + z[..., 1:].sum(-1)

    return own.build(fn, best, {"best": best, "turn": own.rotation()})


def bbob_f12_bent_cigar(n: int = 10, instance: int = 1) -> Objective:
    """The bent cigar, a narrow curved valley: f(x) = z_1^2 + 1e6 sum_{i > 1} z_i^2 + f*.

    z = R T_asy^0.5(R (x - x*)).
    """
    own = Instance(12, n, instance)
    best = torch.from_numpy(draw_optimum(n, own.seed + 1_000_000))

    def fn(x: Tensor, best: Tensor, turn: Tensor, strength: Tensor) -> Tensor:
        z = apply_matrix(apply_asymmetry(apply_matrix(x - best, turn), strength), turn) ** 2
        return z[..., 0] + 1e6 * z[..., 1:].sum(-1)

    strength = 0.5 * torch.linspace(0, 1, n, dtype=torch.float64)
    return own.build(fn, best, {"best": best, "turn": own.rotation(), "strength": strength})


def bbob_f13_sharp_ridge(n: int = 10, instance: int = 1) -> Objective:
    """The sharp ridge: f(x) = z_1^2 + 100 sqrt(sum_{i > 1} z_i^2) + f*, z = Q Lambda^10 R (x - x*).

    Not differentiable along the ridge, which leads to x*; the gradient across it is 0 there.
    """
    own = Instance(13, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, matrix: Tensor) -> Tensor:
        z = apply_matrix(x - best, matrix)
        across: Tensor = torch.linalg.vector_norm(z[..., 1:], dim=-1)
        return z[..., 0] ** 2 + 100 * across

    return own.build(fn, best, {"best": best, "matrix": own.conditioned_matrix(math.sqrt(10))})


def bbob_f14_different_powers(n: int = 10, instance: int = 1) -> Objective:
    """Different powers, flatter along each further axis: f(x) = sqrt(sum_i |z_i|^(2 + 4 (i-1)/(n-1))) + f*.

    z = R (x - x*).
    """
    own = Instance(14, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor, power: Tensor) -> Tensor:
        terms = apply_matrix(x - best, turn).abs() ** (power / 2)  # whose squares are the powers
        norm: Tensor = torch.linalg.vector_norm(terms, dim=-1)
        return norm

    power = 2 + 4 * torch.linspace(0, 1, n, dtype=torch.float64)
    return own.build(fn, best, {"best": best, "turn": own.rotation(), "power": power})
