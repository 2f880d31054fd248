"""Arithmetic that updates are made of, for hyper-parameters that are plain numbers or tensors.

A plain number is passed to the kernel as its scalar: one kernel, no extra tensor. A tensor (one number per run, or the
0-d tensor of a compiled step) cannot be, and takes one operation more, which a compiler fuses again. In all sums x or
the state comes before the gradient, because a result has the layout of its first operand: so lanes stay last in memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gdbench.optimizers.base import Hyper
from gdbench.tree import Params, per_run, tree_map


def is_zero(number: Hyper) -> bool:
    """Whether a term can be left out: only a plain number is known to be 0, not a tensor."""
    return not isinstance(number, Tensor) and number == 0.0


def add(x: Tensor, scale: Hyper, y: Tensor) -> Tensor:
    """``x + scale y``."""
    return torch.addcmul(x, per_run(scale, x), y) if isinstance(scale, Tensor) else torch.add(x, y, alpha=scale)


def add_product(x: Tensor, scale: Hyper, a: Tensor, b: Tensor) -> Tensor:
    """``x + scale a b``."""
    return x + per_run(scale, x) * a * b if isinstance(scale, Tensor) else torch.addcmul(x, a, b, value=scale)


def add_quotient(x: Tensor, scale: Hyper, a: Tensor, b: Tensor) -> Tensor:
    """``x + scale a / b``."""
    return x + per_run(scale, x) * a / b if isinstance(scale, Tensor) else torch.addcdiv(x, a, b, value=scale)


def add_scaled(x: Params, size: Hyper, direction: Params) -> Params:
    """``x + size direction``, leaf by leaf."""
    return tree_map(lambda leaf, change: add(leaf, size, change), x, direction)


def subtract(a: Params, b: Params) -> Params:
    """``a - b``, leaf by leaf."""
    return tree_map(torch.sub, a, b)


def zeros_like(x: Params) -> Params:
    """Build a tree of zeros with the shapes and memory layout of x."""
    return tree_map(torch.zeros_like, x)


def safe_ratio(a: Hyper, b: Tensor, otherwise: Hyper) -> Tensor:
    """``a / b`` where b is above 0, ``otherwise`` elsewhere; no division by 0 takes place."""
    good = b > 0
    quotient: Tensor = torch.where(good, a / torch.where(good, b, 1.0), otherwise)
    return quotient


def ema(old: Tensor, new: Tensor, decay: Hyper) -> Tensor:
    """Exponential moving average, ``decay old + (1 - decay) new``."""
    return torch.lerp(old, new, per_run(1 - decay, old))


def ema_square(old: Tensor, new: Tensor, decay: Hyper) -> Tensor:
    """Exponential moving average of squares, ``decay old + (1 - decay) new^2``."""
    return add_product(per_run(decay, old) * old, 1 - decay, new, new)


def effective_gradient(weight_decay: Hyper, maximize: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Build ``(g, x) -> +-g + weight_decay x``, the gradient with weight decay; the sign is minus to maximize."""
    if is_zero(weight_decay):
        return (lambda grad, x: -grad) if maximize else (lambda grad, x: grad)
    if maximize:
        return lambda grad, x: add(-grad, weight_decay, x)
    return lambda grad, x: add(grad, weight_decay, x)
