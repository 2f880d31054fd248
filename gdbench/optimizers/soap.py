"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from gdbench.optimizers.base import Hyper, Method, Step, matrix_method
from gdbench.optimizers.shampoo import as_matrix, eigh_or_nan, first_column_and_row
from gdbench.optimizers.update_ops import add, ema, ema_square
from gdbench.tree import per_run

__all__ = ["soap"]


class MatrixSide(NamedTuple):
    """The average of ``G G'`` of a matrix G, and approximate eigenvectors of it, the largest eigenvalue first."""

    average: Tensor
    basis: Tensor


class SoapState(NamedTuple):
    """The averages of g, and of its square in the eigenbases of both sides, which are None for a vector or scalar."""

    mean: Tensor
    square: Tensor
    left: MatrixSide | None
    right: MatrixSide | None


def soap(
    lr: Hyper, beta1: Hyper = 0.95, beta2: Hyper = 0.95, eps: Hyper = 1e-8, precondition_frequency: int = 10
) -> Method:
    """SOAP, ``x - lr Q_L (Q_L' M Q_R / (sqrt(V) + eps)) Q_R'``; V averages ``(Q_L' G Q_R)^2`` (Vyas et al. 2024).

    M averages G with beta1; V, ``G G'`` and ``G' G`` are averaged with beta2, and their bias is corrected as in Adam.
    Q_L and Q_R are the eigenvectors of the last two: computed in the first step, in which x does not move, and improved
    by one step of orthogonal iteration in every ``precondition_frequency``-th step, as in the authors' code. A tensor
    of more than two axes is reshaped to a matrix of its first axis by the others; one of fewer is updated by Adam, from
    the second step on.

    In directions without a gradient so far only eps limits the effect of rounding errors: it does so in float64; in
    float32 such directions take steps as long as any other, and two execution modes of one run may differ.
    """

    def init(laned: bool, leaf: Tensor) -> SoapState:
        if leaf.dim() - laned < 2:
            return SoapState(torch.zeros_like(leaf), torch.zeros_like(leaf), None, None)
        matrix = torch.zeros_like(as_matrix(leaf, laned))
        squares = [torch.diag_embed(edge) for edge in first_column_and_row(matrix)]
        return SoapState(matrix, matrix.clone(), *(MatrixSide(square, square.clone()) for square in squares))

    def update(laned: bool, k: Step, grad: Tensor, state: SoapState, x: Tensor) -> tuple[Tensor, SoapState]:
        g = as_matrix(grad, laned) if state.left else grad
        sides = (
            [update_side(state.left, g, beta2), update_side(state.right, g.mT, beta2)] if state.left else [None, None]
        )

        def begin() -> Any:
            return x, SoapState(state.mean, state.square, *(side and set_eigenbasis(side) for side in sides))

        def go() -> Any:
            average, square = ema(state.mean, g, beta1), ema_square(state.square, to_eigenbasis(g, state), beta2)
            direction = from_eigenbasis(to_eigenbasis(average, state) / (square.sqrt() + per_run(eps, square)), state)
            count = k.clamp(min=1) if isinstance(k, Tensor) else k  # where k is 0 this result is not selected
            size = lr * (1 - beta2**count) ** 0.5 / (1 - beta1**count)
            new = SoapState(average, square, *sides)
            due = k % precondition_frequency == 0
            return add(x, -size, direction.reshape(x.shape)), select(due, lambda: refresh_bases(new), lambda: new)

        result: tuple[Tensor, SoapState] = select(k == 0, begin, go)
        return result

    return matrix_method(init, update)


def select(condition: bool | Tensor, one: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """Return ``one()`` if the condition holds, else ``other()``; a compiled step computes both and selects."""
    if not isinstance(condition, Tensor):
        return one() if condition else other()
    return tree_map(lambda a, b: None if a is None else torch.where(condition, a, b), one(), other())


def update_side(side: MatrixSide | None, g: Tensor, decay: Hyper) -> MatrixSide:
    """Add a gradient to the average of a side."""
    assert side is not None
    return side._replace(average=ema(side.average, g @ g.mT, decay))


def set_eigenbasis(side: MatrixSide) -> MatrixSide:
    """Set the basis of a side to its eigenvectors."""
    return side._replace(basis=eigh_or_nan(side.average)[1].flip(-1))


def to_eigenbasis(g: Tensor, state: SoapState) -> Tensor:
    """Transform a matrix to the bases of both sides."""
    return state.left.basis.mT @ g @ state.right.basis if state.left and state.right else g


def from_eigenbasis(g: Tensor, state: SoapState) -> Tensor:
    """Transform a matrix back: the inverse of ``to_eigenbasis``."""
    return state.left.basis @ g @ state.right.basis.mT if state.left and state.right else g


def refresh_bases(state: SoapState) -> SoapState:
    """Improve both bases by a step of orthogonal iteration, which may reorder them, and reorder the squares too."""
    if state.left is None or state.right is None:
        return state
    (left, rows), (right, columns) = iterate_basis(state.left), iterate_basis(state.right)
    square = state.square.take_along_dim(rows[..., :, None], -2).take_along_dim(columns[..., None, :], -1)
    return SoapState(state.mean, square, left, right)


def iterate_basis(side: MatrixSide) -> tuple[MatrixSide, Tensor]:
    """Orthogonalise ``average basis``, its columns ordered by their eigenvalue estimates; returns the order too."""
    product = side.average @ side.basis
    order = (side.basis * product).sum(-2).argsort(dim=-1, descending=True)
    basis, _ = torch.linalg.qr(product.take_along_dim(order[..., None, :], -1))
    return side._replace(basis=basis), order
