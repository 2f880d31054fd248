"""Muon: momentum on matrices, whose update has nearly equal singular values."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.errors import Unavailable
from gdbench.optimizers.base import Hyper, Method, Step, matrix_method
from gdbench.optimizers.update_ops import ema, is_zero
from gdbench.tree import per_run

__all__ = ["muon"]

QUINTIC = (3.4445, -4.7750, 2.0315)
"""The coefficients of the iteration (Jordan 2024), chosen for the largest slope at 0."""


def muon(
    lr: Hyper,
    momentum: Hyper = 0.95,
    weight_decay: Hyper = 0.0,
    nesterov: bool = True,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> Method:
    """Muon, ``x - lr r O``, where O is the averaged gradient with its singular values set to about 1 (Jordan 2024).

    O is computed by five steps of a quintic Newton-Schulz iteration in bfloat16, whatever the dtype, so it is accurate
    to about one percent. ``r = sqrt(max(1, rows / columns))``, or ``0.2 sqrt(max(rows, columns))`` with
    ``match_rms_adamw``. Raises Unavailable for parameters that are not matrices, as torch does.
    """

    def init(laned: bool, leaf: Tensor) -> Tensor:
        shape = leaf.shape[laned:]
        if len(shape) != 2:
            raise Unavailable(
                f"Muon moves matrices, and here is a parameter of shape {list(shape)}; try optimizer=muon_adamw"
            )
        return torch.zeros_like(leaf)

    def update(laned: bool, k: Step, grad: Tensor, buffer: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        buffer = ema(buffer, grad, momentum)
        average = torch.lerp(grad, buffer, per_run(momentum, grad)) if nesterov else buffer
        x = x if is_zero(weight_decay) else per_run(1 - lr * weight_decay, x) * x
        direction = orthogonalise(average, eps, ns_steps).to(x.dtype)
        return x - per_run(lr * shape_factor(x.shape[-2:], adjust_lr_fn), x) * direction, buffer

    return matrix_method(init, update)


def orthogonalise(matrix: Tensor, eps: float, steps: int) -> Tensor:
    """Orthogonalise a matrix ``[..., rows, columns]``: its singular values become 0.7 to 1.2, about, in bfloat16."""
    a, b, c = QUINTIC
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = matrix.bfloat16() if wide else matrix.bfloat16().mT
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    fused = torch.addmm if x.dim() == 2 else torch.baddbmm
    for _ in range(steps):
        gram = x @ x.mT
        x = fused(x, fused(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def shape_factor(shape: torch.Size, rule: str | None) -> float:
    """Compute the factor r by which the step of a matrix of this shape is multiplied."""
    rows, columns = shape
    if rule == "match_rms_adamw":
        return float(0.2 * max(rows, columns) ** 0.5)
    return float(max(1.0, rows / columns) ** 0.5)
