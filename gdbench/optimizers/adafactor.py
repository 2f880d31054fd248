"""Adafactor: Adam's second moment of a matrix, stored as one average per row and one per column."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper, Method, Step, matrix_method
from gdbench.optimizers.update_ops import ema, is_zero
from gdbench.tree import per_run

__all__ = ["adafactor"]


class FactoredSquares(NamedTuple):
    """Moving averages of g^2 per row and per column; for a vector or scalar that of g^2 itself, and None."""

    rows: Tensor
    columns: Tensor | None


def adafactor(
    lr: Hyper,
    beta2_decay: Hyper = -0.8,
    eps1: Hyper | None = None,
    eps2: Hyper = 1e-3,
    d: Hyper = 1.0,
    weight_decay: Hyper = 0.0,
    maximize: bool = False,
) -> Method:
    """Adafactor, ``x - a u / max(1, rms(u) / d)`` with ``u = g / sqrt(v)`` (Shazeer and Stern 2018, algorithm 4).

    v is the product of the averages of g^2 along the last two axes, and ``a = max(eps2, rms(x)) min(lr, 1 / sqrt(t))``.
    Averages are over one tensor of one run. ``eps1`` is as in torch: the machine epsilon of the dtype where it is null.
    """

    def init(laned: bool, leaf: Tensor) -> FactoredSquares:
        if leaf.dim() - laned < 2:
            return FactoredSquares(torch.zeros_like(leaf), None)
        return FactoredSquares(torch.zeros_like(leaf[..., :1]), torch.zeros_like(leaf[..., :1, :]))

    def update(laned: bool, k: Step, grad: Tensor, state: FactoredSquares, x: Tensor) -> tuple[Tensor, FactoredSquares]:
        grad = -grad if maximize else grad
        least = torch.finfo(x.dtype).eps if eps1 is None else eps1
        beta2, squares = 1 - (k + 1) ** beta2_decay, grad * grad
        if state.columns is None:
            new = FactoredSquares(ema(state.rows, squares, beta2), None)
            spread = new.rows
        else:
            rows = ema(state.rows, squares.mean(-1, keepdim=True), beta2)
            columns = ema(state.columns, squares.mean(-2, keepdim=True), beta2)
            new = FactoredSquares(rows, columns)
            spread = rows * columns / clamp_min(rows.mean(-2, keepdim=True), least)
        direction = clamp_min(spread, least * least).rsqrt() * grad
        length = clamp_min(rms(x, laned), eps2) * min_hyper(lr, (k + 1) ** -0.5)
        length = length / clamp_min(rms(direction, laned) / d, 1.0)
        x = x if is_zero(weight_decay) else per_run(1 - lr * weight_decay, x) * x
        return x - per_run(length, x) * direction, new

    return matrix_method(init, update)


def rms(leaf: Tensor, laned: bool) -> Tensor:
    """Root mean square of a tensor: ``[]``, or ``[L]`` in lanes; computed in float32 at least."""
    wide = leaf.double() if leaf.dtype == torch.float64 else leaf.float()
    flat = wide.reshape(len(leaf), -1) if laned else wide.reshape(-1)
    return flat.square().mean(-1).sqrt()


def clamp_min(leaf: Tensor, bound: Hyper) -> Tensor:
    """Clamp every number of a tensor to at least ``bound``."""
    return torch.maximum(leaf, per_run(bound, leaf)) if isinstance(bound, Tensor) else leaf.clamp(min=bound)


def min_hyper(one: Hyper, other: Hyper) -> Hyper:
    """Minimum of two numbers, each plain or a tensor."""
    if isinstance(one, Tensor):
        return torch.minimum(one, other) if isinstance(other, Tensor) else one.clamp(max=other)
    return other.clamp(max=one) if isinstance(other, Tensor) else min(one, other)
