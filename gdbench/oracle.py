"""The two ways to a gradient behind one name: autograd for eager steps, torch.func for compiled ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives import Objective
from gdbench.optimizers import Step
from gdbench.params import Params, leaves, rebuild

__all__ = ["Compilable", "Eager", "oracle"]


@dataclass(frozen=True)
class Eager:
    """Gradients by ``torch.autograd.grad``: the cheapest way outside of a compiler."""

    fn: Any
    """Maps a point to its loss ``[]``, or lanes of points to ``[L]``."""
    laned: bool

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x), without a graph."""
        with torch.no_grad():
            return self.fn(x)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient; lanes do not see each other, so the gradient of their sum is each lane's own."""
        if isinstance(x, Tensor):
            x = x.detach().requires_grad_()
            loss = self.fn(x)
            (grad,) = torch.autograd.grad(loss.sum() if self.laned else loss, (x,))
            return loss, grad
        x = {name: leaf.detach().requires_grad_() for name, leaf in x.items()}
        loss = self.fn(x)
        return loss, rebuild(x, torch.autograd.grad(loss.sum() if self.laned else loss, leaves(x)))


@dataclass(frozen=True)
class Compilable:
    """Gradients by ``torch.func``, which torch.compile can follow with ``fullgraph=True`` (autograd.grad it refuses)."""

    fn: Any
    laned: bool

    def value(self, x: Params, k: Step) -> Tensor:
        """f(x)."""
        return self.fn(x)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f(x) and its gradient."""

        def total(point: Params) -> tuple[Tensor, Tensor]:
            loss = self.fn(point)
            return (loss.sum() if self.laned else loss), loss

        grad, loss = torch.func.grad(total, has_aux=True)(x)
        return loss, grad


def oracle(objective: Objective, laned: bool, compiled: bool = False) -> Eager | Compilable:
    """An oracle of one point, or of lanes; an objective that is not ``laned`` meets lanes through ``torch.func.vmap``."""
    fn = torch.func.vmap(objective.value) if laned and not objective.laned else objective.value
    return Compilable(fn, laned) if compiled else Eager(fn, laned)
