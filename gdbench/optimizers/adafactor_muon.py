"""Methods that see a matrix as one: Adafactor by its rows and columns, Muon by its singular values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gdbench.errors import Unavailable
from gdbench.optimizers.base import Hyper, Method, Oracle, Saw, Step
from gdbench.optimizers.update_ops import is_zero, mean
from gdbench.tree import Params, per_lane


class Squares(NamedTuple):
    """Moving averages of g^2 along rows and along columns; of what is no matrix those of g^2 itself, and None."""

    rows: Tensor
    columns: Tensor | None


class Momentum(NamedTuple):
    """The moving average of the gradient."""

    buffer: Tensor


Begun = Callable[[bool, Tensor], Any]
Update = Callable[[bool, Step, Tensor, Any, Tensor], tuple[Tensor, Any]]


def leafwise(begun: Begun, update: Update) -> Method:
    """The Method of a recurrence for one tensor that must know whether its first axis is that of lanes.

    ``begun(laned, leaf) -> state``, ``update(laned, k, grad, state, leaf) -> (leaf, state)``.
    """

    def init(laned: bool, x: Params) -> Any:
        return {name: begun(laned, leaf) for name, leaf in x.items()} if isinstance(x, dict) else begun(laned, x)

    def step(oracle: Oracle, k: Step, x: Params, state: Any) -> tuple[Params, Any, Saw]:
        loss, grad = oracle.grad(x, k)
        if isinstance(x, dict):
            pairs = {name: update(oracle.laned, k, grad[name], state[name], leaf) for name, leaf in x.items()}  # type: ignore[index]
            moved: Params = {name: pair[0] for name, pair in pairs.items()}
            return moved, {name: pair[1] for name, pair in pairs.items()}, (loss, grad, 1, 0)
        moved, state = update(oracle.laned, k, grad, state, x)  # type: ignore[arg-type]
        return moved, state, (loss, grad, 1, 0)

    return Method(partial(init, False), step, init_lanes=partial(init, True))


# ------------------------------------------------------------------------------------------------------------ Adafactor


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
    Averages are those of one tensor of one run. ``eps1`` is as torch has it: the dtype's own where it is null.
    """

    def begun(laned: bool, leaf: Tensor) -> Squares:
        if leaf.dim() - laned < 2:
            return Squares(torch.zeros_like(leaf), None)
        return Squares(torch.zeros_like(leaf[..., :1]), torch.zeros_like(leaf[..., :1, :]))

    def update(laned: bool, k: Step, grad: Tensor, state: Squares, x: Tensor) -> tuple[Tensor, Squares]:
        grad = -grad if maximize else grad
        least = torch.finfo(x.dtype).eps if eps1 is None else eps1
        keep, squares = 1 - (k + 1) ** beta2_decay, grad * grad
        if state.columns is None:
            new = Squares(mean(state.rows, squares, keep), None)
            spread = new.rows
        else:
            rows = mean(state.rows, squares.mean(-1, keepdim=True), keep)
            columns = mean(state.columns, squares.mean(-2, keepdim=True), keep)
            new = Squares(rows, columns)
            spread = rows * columns / at_least(rows.mean(-2, keepdim=True), least)
        way = at_least(spread, least * least).rsqrt() * grad
        length = at_least(size(x, laned), eps2) * slower(lr, (k + 1) ** -0.5)
        length = length / at_least(size(way, laned) / d, 1.0)
        x = x if is_zero(weight_decay) else per_lane(1 - lr * weight_decay, x) * x
        return x - per_lane(length, x) * way, new

    return leafwise(begun, update)


def size(leaf: Tensor, laned: bool) -> Tensor:
    """The root of the mean square of a tensor: ``[]``, or ``[L]`` in lanes; at least in float32."""
    wide = leaf.double() if leaf.dtype == torch.float64 else leaf.float()
    flat = wide.reshape(len(leaf), -1) if laned else wide.reshape(-1)
    return flat.square().mean(-1).sqrt()


def at_least(leaf: Tensor, bound: Hyper) -> Tensor:
    """Every number at least ``bound``."""
    return torch.maximum(leaf, per_lane(bound, leaf)) if isinstance(bound, Tensor) else leaf.clamp(min=bound)


def slower(one: Hyper, other: Hyper) -> Hyper:
    """The smaller of two numbers."""
    if isinstance(one, Tensor):
        return torch.minimum(one, other) if isinstance(other, Tensor) else one.clamp(max=other)
    return other.clamp(max=one) if isinstance(other, Tensor) else min(one, other)


# ----------------------------------------------------------------------------------------------------------------- Muon

QUINTIC = (3.4445, -4.7750, 2.0315)
"""The coefficients of the iteration (Jordan 2024), whose slope at 0 is as large as it can be."""


def muon(
    lr: Hyper,
    momentum: Hyper = 0.95,
    weight_decay: Hyper = 0.0,
    nesterov: bool = True,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> Method:
    """Muon, ``x - lr r O``, O being the averaged gradient with its singular values brought near 1 (Jordan 2024).

    Five steps of a quintic Newton-Schulz iteration in bfloat16 do that, whatever the dtype, so O is right to about one
    part in a hundred. ``r = sqrt(max(1, rows / columns))``; ``match_rms_adamw`` makes it ``0.2 sqrt(max(rows,
    columns))``. Raises Unavailable for parameters that are no matrices, as torch does.
    """

    def begun(laned: bool, leaf: Tensor) -> Momentum:
        shape = leaf.shape[laned:]
        if len(shape) != 2:
            raise Unavailable(
                f"Muon moves matrices, and here is a parameter of shape {list(shape)}; try optimizer=muon_adamw"
            )
        return Momentum(torch.zeros_like(leaf))

    def update(laned: bool, k: Step, grad: Tensor, state: Momentum, x: Tensor) -> tuple[Tensor, Momentum]:
        buffer = mean(state.buffer, grad, momentum)
        way = torch.lerp(grad, buffer, per_lane(momentum, grad)) if nesterov else buffer
        x = x if is_zero(weight_decay) else per_lane(1 - lr * weight_decay, x) * x
        turned = orthogonal(way, eps, ns_steps).to(x.dtype)
        return x - per_lane(lr * stretch(x.shape[-2:], adjust_lr_fn), x) * turned, Momentum(buffer)

    return leafwise(begun, update)


def orthogonal(matrix: Tensor, eps: float, steps: int) -> Tensor:
    """The matrix ``[..., rows, columns]`` with its singular values between about 0.7 and 1.2, in bfloat16."""
    a, b, c = QUINTIC
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = matrix.bfloat16() if wide else matrix.bfloat16().mT
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    fused = torch.addmm if x.dim() == 2 else torch.baddbmm
    for _ in range(steps):
        gram = x @ x.mT
        x = fused(x, fused(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def stretch(shape: torch.Size, rule: str | None) -> float:
    """What a step of a matrix of this shape is multiplied by."""
    rows, columns = shape
    if rule == "match_rms_adamw":
        return float(0.2 * max(rows, columns) ** 0.5)
    return float(max(1.0, rows / columns) ** 0.5)
