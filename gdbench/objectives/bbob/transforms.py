"""Transformations of the bbob functions; each maps 0 to 0 and works on lanes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "apply_asymmetry",
    "apply_matrix",
    "apply_matrix_in_order",
    "boundary_penalty",
    "condition_diagonal",
    "oscillate",
    "oscillate_with",
    "ranked_diagonal",
    "root_power",
]


def condition_diagonal(base: float, n: int) -> Tensor:
    """Diagonal of bbob's Lambda: base^(i / (n - 1)), i = 0 ... n - 1."""
    return base ** (torch.arange(n, dtype=torch.float64) / (n - 1))


def ranked_diagonal(base: float, ranks: Tensor) -> Tensor:
    """Diagonal of Lambda in the order of the ranks 0 ... n - 1: base^(rank / (n - 1))."""
    return base ** (ranks / (len(ranks) - 1))


def apply_matrix(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply a matrix by the point, or by that of each lane."""
    return x @ matrix.T


def root_power(x: Tensor, power: float) -> Tensor:
    """x^power for x >= 0 and a power below 1; the infinite slope at 0 is replaced by 0."""
    return torch.where(x == 0, 0 * x, torch.where(x == 0, 1, x) ** power)


def oscillate_with(x: Tensor, above: tuple[float, float], below: tuple[float, float]) -> Tensor:
    """sign(x) exp(t + 0.049 (sin(10 c t) + sin(10 d t))), t = log|x|, where c and d depend on the sign; 0 at 0."""
    apart = torch.where(x == 0, 1, x)  # so that the derivative of the logarithm is finite in all lanes
    log = apart.abs().log() / 0.1
    up = torch.sin(above[0] * log) + torch.sin(above[1] * log)
    down = torch.sin(below[0] * log) + torch.sin(below[1] * log)
    size = torch.exp(0.1 * (log + 0.49 * torch.where(x > 0, up, down)))
    return torch.where(x == 0, 0 * x, torch.sign(x) * size)


def oscillate(x: Tensor) -> Tensor:
    """T_osz: small irregular oscillations along each axis, similar on every scale."""
    return oscillate_with(x, (1.0, 0.79), (0.55, 0.31))


def apply_asymmetry(x: Tensor, strength: Tensor) -> Tensor:
    """T_asy: x_i^(1 + beta i / (n - 1) sqrt(x_i)) where x_i > 0, ``strength`` holding beta i / (n - 1)."""
    positive = torch.where(x > 0, x, 1)
    return torch.where(x > 0, positive ** (1 + strength * positive.sqrt()), x)


def apply_matrix_in_order(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply by a matrix with sums in a fixed order, so that lanes equal single runs to the last digit.

    For functions that amplify rounding errors.
    """
    return (matrix * x[..., None, :]).cumsum(-1)[..., -1]


def boundary_penalty(x: Tensor) -> Tensor:
    """f_pen: the sum of squared distances of the coordinates to [-5, 5]."""
    return (torch.clamp(x.abs() - 5, min=0) ** 2).sum(-1)
