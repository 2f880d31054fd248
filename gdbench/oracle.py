"""The two ways to a gradient behind one name: autograd for eager steps, torch.func for compiled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives import Objective
from gdbench.optimizers import Step
from gdbench.params import Params, dot, leaves, rebuild, tree_map

__all__ = ["Compilable", "Eager", "oracle"]


class Eager:
    """Gradients by ``torch.autograd.grad``: the cheapest way outside of a compiler.

    ``fn`` maps a point to its loss ``[]``, or lanes of points to ``[L]``. Value and gradient are plain closures, for a
    step on one number takes 35 us, and this is on its way.
    """

    def __init__(self, fn: Callable[[Any], Tensor], laned: bool) -> None:
        """Lanes do not see each other, so the gradient of the sum of their losses is each lane's own."""
        differentiate = torch.autograd.grad

        def grad(x: Params, k: Step) -> tuple[Tensor, Params]:
            if isinstance(x, dict):
                x = {name: leaf.detach().requires_grad_() for name, leaf in x.items()}
                loss = fn(x)
                return loss, rebuild(x, differentiate(loss.sum() if laned else loss, leaves(x)))
            x = x.detach().requires_grad_()
            loss = fn(x)
            return loss, differentiate(loss.sum() if laned else loss, x)[0]

        def value(x: Params, k: Step) -> Tensor:
            with torch.no_grad():
                return fn(x)

        def hvp(x: Params, v: Params, k: Step) -> Params:
            x = tree_map(lambda leaf: leaf.detach().requires_grad_(), x)
            loss, at = fn(x), leaves(x)
            slopes = differentiate(loss.sum() if laned else loss, at, create_graph=True)
            along = dot(rebuild(x, slopes), v, laned=False)
            if not along.requires_grad:  # the gradient is the same everywhere
                return tree_map(torch.zeros_like, v)
            return rebuild(x, differentiate(along, at, materialize_grads=True))

        self.laned, self.grad, self.value, self.hvp = laned, grad, value, hvp


@dataclass(frozen=True)
class Compilable:
    """Gradients by ``torch.func``, which torch.compile can follow in one graph (autograd.grad it refuses)."""

    fn: Any
    laned: bool

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x)."""
        return self.fn(x)  # type: ignore[no-any-return]

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient."""

        def total(point: Params) -> tuple[Tensor, Tensor]:
            loss = self.fn(point)
            return (loss.sum() if self.laned else loss), loss

        grad, loss = torch.func.grad(total, has_aux=True)(x)
        return loss, grad

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian at x times v."""

        def along(point: Params) -> Tensor:
            return dot(self.grad(point, k)[1], v, laned=False)

        product: Params = torch.func.grad(along)(x)
        return product


def oracle(objective: Objective, laned: bool, compiled: bool = False) -> Eager | Compilable:
    """An oracle of one point, or of lanes: by the objective's own code if that is ``laned``, else by vmap."""
    fn = partial(objective.fn, **objective.data) if objective.data else objective.fn
    if laned and not objective.laned:
        fn = torch.func.vmap(fn)
    return Compilable(fn, laned) if compiled else Eager(fn, laned)
