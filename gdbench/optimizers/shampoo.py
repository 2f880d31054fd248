"""Shampoo: one preconditioner for the rows of a matrix and one for its columns."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, matrix_method
from gdbench.optimizers.update_ops import add
from gdbench.tree import per_run


class ShampooState(NamedTuple):
    """eps plus the sums of ``G G'`` and ``G' G`` of a matrix G; for a vector or scalar of its squares, and None."""

    left: Tensor
    right: Tensor | None


def shampoo(lr: Hyper, eps: Hyper = 1e-4) -> Method:
    """Shampoo, ``x - lr L^(-1/4) G R^(-1/4)``; L and R are the sums of ``G G'`` and ``G' G`` (Gupta et al. 2018).

    Both start at ``eps`` times the identity. A tensor of more than two axes is reshaped to a matrix of its first axis
    by the others; one of fewer has a diagonal preconditioner, ``x - lr g / sqrt(eps + sum g^2)``.
    """

    def init(laned: bool, leaf: Tensor) -> ShampooState:
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
        direction = (inverse_fourth_root(left) @ matrix @ inverse_fourth_root(right)).reshape(grad.shape)
        return add(leaf, -lr, direction), ShampooState(left, right)

    return matrix_method(init, update)


def as_matrix(leaf: Tensor, laned: bool) -> Tensor:
    """Reshape a leaf to a matrix ``[rows, columns]``, in lanes ``[L, rows, columns]``."""
    return leaf.reshape(*leaf.shape[: 1 + laned], -1)


def first_column_and_row(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first column and the first row of a matrix."""
    return matrix[..., 0], matrix[..., 0, :]


def inverse_fourth_root(side: Tensor) -> Tensor:
    """Inverse fourth root of a positive definite matrix; NaN where the matrix is not finite."""
    values, vectors = eigh_or_nan(side)
    root: Tensor = (vectors * values.clamp(min=torch.finfo(side.dtype).tiny)[..., None, :] ** -0.25) @ vectors.mT
    return root


def eigh_or_nan(side: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (ascending) and eigenvectors of a symmetric matrix; NaN where the matrix is not finite."""
    finite = side.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)  # eigh would raise for all lanes together
    values, vectors = torch.linalg.eigh(torch.where(finite, side, torch.eye(side.shape[-1]).to(side)))
    return values, torch.where(finite, vectors, torch.nan)
