"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's preconditioners."""

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
    """The average of ``G G'`` of a matrix G, and the basis that is near its eigenvectors, the largest value first."""

    average: Tensor
    basis: Tensor


class SoapState(NamedTuple):
    """The averages of g, and of its square in the bases of both sides; of what is no matrix the sides are None."""

    mean: Tensor
    square: Tensor
    left: MatrixSide | None
    right: MatrixSide | None


def soap(
    lr: Hyper, beta1: Hyper = 0.95, beta2: Hyper = 0.95, eps: Hyper = 1e-8, precondition_frequency: int = 10
) -> Method:
    """SOAP, ``x - lr Q_L (Q_L' M Q_R / (sqrt(V) + eps)) Q_R'``, V averaging ``(Q_L' G Q_R)^2`` (Vyas et al. 2024).

    M averages G by beta1; V, ``G G'`` and ``G' G`` are averaged by beta2, and corrected for their start as in Adam.
    Q_L and Q_R are the eigenvectors of the last two, begun in the first step, which moves nothing, and brought nearer
    by a step of orthogonal iteration in every ``precondition_frequency``-th, as in the authors' code. A tensor of more
    than two axes is a matrix of its first axis by the others; one of fewer is Adam's, from the second step.

    Where no gradient has gone yet, eps alone holds down what rounding leaves: in float64 it does, in float32 such
    directions take steps of a length like all others, and two carriers of one run may part.
    """

    def begun(laned: bool, leaf: Tensor) -> SoapState:
        if leaf.dim() - laned < 2:
            return SoapState(torch.zeros_like(leaf), torch.zeros_like(leaf), None, None)
        matrix = torch.zeros_like(as_matrix(leaf, laned))
        squares = [torch.diag_embed(edge) for edge in first_column_and_row(matrix)]
        return SoapState(matrix, matrix.clone(), *(MatrixSide(each, each.clone()) for each in squares))

    def update(laned: bool, k: Step, grad: Tensor, state: SoapState, x: Tensor) -> tuple[Tensor, SoapState]:
        g = as_matrix(grad, laned) if state.left else grad
        sides = (
            [update_side(state.left, g, beta2), update_side(state.right, g.mT, beta2)] if state.left else [None, None]
        )

        def begin() -> Any:
            return x, SoapState(state.mean, state.square, *(side and set_eigenbasis(side) for side in sides))

        def go() -> Any:
            average, square = ema(state.mean, g, beta1), ema_square(state.square, to_eigenbasis(g, state), beta2)
            way = from_eigenbasis(to_eigenbasis(average, state) / (square.sqrt() + per_run(eps, square)), state)
            count = k.clamp(min=1) if isinstance(k, Tensor) else k  # where k is 0 this is not what is picked
            size = lr * (1 - beta2**count) ** 0.5 / (1 - beta1**count)
            new = SoapState(average, square, *sides)
            due = k % precondition_frequency == 0
            return add(x, -size, way.reshape(x.shape)), select(due, lambda: refresh_bases(new), lambda: new)

        moved: tuple[Tensor, SoapState] = select(k == 0, begin, go)
        return moved

    return matrix_method(begun, update)


def select(first: bool | Tensor, one: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """``one()`` if so, else ``other()``; under a compiler, which cannot tell, both are computed."""
    if not isinstance(first, Tensor):
        return one() if first else other()
    return tree_map(lambda a, b: None if a is None else torch.where(first, a, b), one(), other())


def update_side(side: MatrixSide | None, g: Tensor, decay: Hyper) -> MatrixSide:
    """A side that has seen another gradient."""
    assert side is not None
    return side._replace(average=ema(side.average, g @ g.mT, decay))


def set_eigenbasis(side: MatrixSide) -> MatrixSide:
    """A side with its eigenvectors as basis."""
    return side._replace(basis=eigh_or_nan(side.average)[1].flip(-1))


def to_eigenbasis(g: Tensor, state: SoapState) -> Tensor:
    """A matrix in the bases of both sides."""
    return state.left.basis.mT @ g @ state.right.basis if state.left and state.right else g


def from_eigenbasis(g: Tensor, state: SoapState) -> Tensor:
    """The inverse of ``to_eigenbasis``."""
    return state.left.basis @ g @ state.right.basis.mT if state.left and state.right else g


def refresh_bases(state: SoapState) -> SoapState:
    """The bases after a step of orthogonal iteration, sorted anew, and the squares sorted with them."""
    if state.left is None or state.right is None:
        return state
    (left, rows), (right, columns) = iterate_basis(state.left), iterate_basis(state.right)
    square = state.square.take_along_dim(rows[..., :, None], -2).take_along_dim(columns[..., None, :], -1)
    return SoapState(state.mean, square, left, right)


def iterate_basis(side: MatrixSide) -> tuple[MatrixSide, Tensor]:
    """The side with ``average basis`` made orthogonal, and the order of its columns by the values seen along them."""
    product = side.average @ side.basis
    order = (side.basis * product).sum(-2).argsort(dim=-1, descending=True)
    basis, _ = torch.linalg.qr(product.take_along_dim(order[..., None, :], -1))
    return side._replace(basis=basis), order
