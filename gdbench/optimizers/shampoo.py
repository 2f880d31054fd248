"""Shampoo: the sides of a matrix, each with a preconditioner of its own."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, matrix_method
from gdbench.optimizers.update_ops import add
from gdbench.tree import per_run


class ShampooState(NamedTuple):
    """Sums of ``G G'`` and ``G' G`` of a matrix G, from eps on; of anything else the sum of its squares, and None."""

    left: Tensor
    right: Tensor | None


def shampoo(lr: Hyper, eps: Hyper = 1e-4) -> Method:
    """Shampoo, ``x - lr L^(-1/4) G R^(-1/4)``, L and R summing ``G G'`` and ``G' G`` (Gupta et al. 2018).

    Both begin at ``eps`` times 1. A tensor of more than two axes is a matrix of its first axis by the others; one of
    fewer has a diagonal instead, ``x - lr g / sqrt(eps + sum g^2)``.
    """

    def begun(laned: bool, leaf: Tensor) -> ShampooState:
        if leaf.dim() - laned < 2:
            return ShampooState(torch.zeros_like(leaf) + per_run(eps, leaf), None)
        matrix = as_matrix(leaf, laned)
        return ShampooState(
            *(torch.diag_embed(torch.zeros_like(side) + per_run(eps, side)) for side in first_column_and_row(matrix))
        )

    def update(laned: bool, k: Step, grad: Tensor, state: ShampooState, leaf: Tensor) -> tuple[Tensor, ShampooState]:
        if state.right is None:
            squares = torch.addcmul(state.left, grad, grad)
            return add(leaf, -lr, grad * squares.rsqrt()), ShampooState(squares, None)
        matrix = as_matrix(grad, laned)
        left, right = state.left + matrix @ matrix.mT, state.right + matrix.mT @ matrix
        way = (inverse_fourth_root(left) @ matrix @ inverse_fourth_root(right)).reshape(grad.shape)
        return add(leaf, -lr, way), ShampooState(left, right)

    return matrix_method(begun, update)


def as_matrix(leaf: Tensor, laned: bool) -> Tensor:
    """``[rows, columns]``, or one a lane."""
    return leaf.reshape(*leaf.shape[: 1 + laned], -1)


def first_column_and_row(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A column and a row."""
    return matrix[..., 0], matrix[..., 0, :]


def inverse_fourth_root(side: Tensor) -> Tensor:
    """The inverse fourth root of a symmetric matrix whose eigenvalues are above 0; NaN where it is not finite."""
    values, vectors = eigh_or_nan(side)
    root: Tensor = (vectors * values.clamp(min=torch.finfo(side.dtype).tiny)[..., None, :] ** -0.25) @ vectors.mT
    return root


def eigh_or_nan(side: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, the smallest first, and eigenvectors of a symmetric matrix; NaN where it is not finite."""
    finite = side.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)  # eigh would raise, for all lanes together
    values, vectors = torch.linalg.eigh(torch.where(finite, side, torch.eye(side.shape[-1]).to(side)))
    return values, torch.where(finite, vectors, torch.nan)
