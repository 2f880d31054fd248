"""bbob's multimodal functions with a global structure, f15 to f19."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bbob.instance import Instance
from gdbench.objectives.bbob.separable import rastrigin_sum
from gdbench.objectives.bbob.transforms import (
    apply_asymmetry,
    apply_matrix,
    apply_matrix_in_order,
    boundary_penalty,
    condition_diagonal,
    oscillate,
    root_power,
)

__all__ = [
    "bbob_f15_rastrigin_rotated",
    "bbob_f16_weierstrass",
    "bbob_f17_schaffers_f7",
    "bbob_f18_schaffers_f7_ill",
    "bbob_f19_griewank_rosenbrock",
]


def bbob_f15_rastrigin_rotated(n: int = 10, instance: int = 1) -> Objective:
    """The rotated Rastrigin function: f(x) = 10 (n - sum_i cos(2 pi z_i)) + |z|^2 + f*.

    z = R Lambda^10 Q T_asy^0.2(T_osz(R (x - x*))).
    """
    own = Instance(15, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor, strength: Tensor, matrix: Tensor) -> Tensor:
        return rastrigin_sum(apply_matrix(apply_asymmetry(oscillate(apply_matrix(x - best, turn)), strength), matrix))

    strength = 0.2 * torch.linspace(0, 1, n, dtype=torch.float64)
    matrix = own.conditioned_matrix(math.sqrt(10))
    return own.build(fn, best, {"best": best, "turn": own.rotation(), "strength": strength, "matrix": matrix})


def bbob_f16_weierstrass(n: int = 10, instance: int = 1) -> Objective:
    """The Weierstrass function, with oscillations on every scale down to 3^-11.

    f(x) = 10 (1/n sum_i sum_k 2^-k cos(2 pi 3^k (z_i + 1/2)) - f_0)^3 + 10/n f_pen(x) + f*, k = 0 ... 11, f_0 the inner
    sum at z_i = 0, z = R Lambda^(1/100) Q T_osz(R (x - x*)).
    """
    own = Instance(16, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor, matrix: Tensor, height: Tensor, octave: Tensor) -> Tensor:
        z = apply_matrix_in_order(oscillate(apply_matrix_in_order(x - best, turn)), matrix)
        waves = height * torch.sin(math.pi * octave * z[..., None]) ** 2  # above f_0, by half angles
        return 10 * waves.sum(-1).mean(-1) ** 3 + 10 / n * boundary_penalty(x)

    k = torch.arange(12, dtype=torch.float64)
    data = {
        "best": best,
        "turn": own.rotation(),
        "matrix": own.conditioned_matrix(0.1),
        "height": 2 ** (1 - k),
        "octave": 3**k,
    }
    return own.build(fn, best, data)


def _build_schaffers_f7(own: Instance, condition: float) -> Objective:
    """Build Schaffer's F7 with a condition number."""
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, turn: Tensor, strength: Tensor, matrix: Tensor) -> Tensor:
        z = apply_matrix(apply_asymmetry(apply_matrix(x - best, turn), strength), matrix) ** 2
        square = z[..., :-1] + z[..., 1:]
        terms = root_power(square, 0.25) * (1 + torch.sin(50 * root_power(square, 0.1)) ** 2)
        return terms.mean(-1) ** 2 + 10 * boundary_penalty(x)

    strength = 0.5 * torch.linspace(0, 1, own.n, dtype=torch.float64)
    matrix = condition_diagonal(math.sqrt(condition), own.n)[:, None] * own.second_rotation()
    return own.build(fn, best, {"best": best, "turn": own.rotation(), "strength": strength, "matrix": matrix})


def bbob_f17_schaffers_f7(n: int = 10, instance: int = 1) -> Objective:
    """Schaffer's F7: f(x) = (mean_i sqrt(s_i) (1 + sin(50 s_i^0.2)^2))^2 + 10 f_pen(x) + f*.

    s_i = sqrt(z_i^2 + z_{i+1}^2), z = Lambda^10 Q T_asy^0.5(R (x - x*)).
    """
    return _build_schaffers_f7(Instance(17, n, instance), 10)


def bbob_f18_schaffers_f7_ill(n: int = 10, instance: int = 1) -> Objective:
    """Schaffer's F7 with condition 1000: f17 with z = Lambda^1000 Q T_asy^0.5(R (x - x*)), and x* and R of f17."""
    return _build_schaffers_f7(Instance(18, n, instance, seed_function=17), 1000)


def bbob_f19_griewank_rosenbrock(n: int = 10, instance: int = 1) -> Objective:
    """Griewank's function of Rosenbrock's: f(x) = 10 mean_i (s_i / 4000 - cos s_i) + 10 + f*.

    s_i = 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2, z = max(1, sqrt(n) / 8) R x + 1/2.
    """
    own = Instance(19, n, instance)
    scale = max(1.0, math.sqrt(n) / 8)
    turn = own.second_rotation()

    def fn(x: Tensor, matrix: Tensor) -> Tensor:
        z = apply_matrix_in_order(x, matrix) + 0.5
        valley = 100 * (z[..., :-1] ** 2 - z[..., 1:]) ** 2 + (z[..., :-1] - 1) ** 2
        return 10 * (valley / 4000 + 2 * torch.sin(valley / 2) ** 2).mean(-1)

    return own.build(fn, turn.sum(0) * (0.5 / scale), {"matrix": scale * turn})
