"""Gradient descent that looks for the length of each step."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.optimizers import Hyper, Method, Oracle, Seen, Step
from gdbench.params import Params, dot, per_lane, tree_map


def armijo(lr: Hyper = 1.0, shrink: Hyper = 0.5, c: Hyper = 1e-4, trips: int = 30) -> Method:
    """Backtracking line search (Armijo 1966; Nocedal and Wright 2006, algorithm 3.1).

    Takes the first t of ``lr, lr shrink, lr shrink^2, ...`` with a finite ``f(x - t g) <= f(x) - c t |g|^2``, and stays
    where none of ``trips`` will do. In lanes and under a compiler all trips are made, masked; the evaluations counted
    are those of a search that stops when it can, as a solo run does.
    """

    def step(oracle: Oracle, k: Step, x: Params, state: tuple[()]) -> tuple[Params, tuple[()], Seen]:
        loss, grad = oracle.grad(x, k)
        here, squared = loss.detach(), dot(grad, grad, oracle.laned)
        found = torch.zeros_like(here, dtype=torch.bool)
        evaluations = torch.zeros_like(here, dtype=torch.int32)
        taken, size = torch.zeros_like(here), lr
        for _ in range(trips):
            evaluations = evaluations + ~found
            trial = oracle.value(moved(x, size, grad), k)
            enough = torch.isfinite(trial) & (trial <= here - per_lane(c * size, here) * squared)
            taken = torch.where(enough & ~found, per_lane(size, here), taken)
            found, size = found | enough, size * shrink
            if not oracle.laned and not torch.compiler.is_compiling() and bool(found):
                break  # the trips that are left would change nothing
        return moved(x, taken, grad), state, Seen(loss, grad, 1, evaluations)

    return Method(lambda x: (), step, constant_cost=False)


def moved(x: Params, size: Hyper, grad: Params) -> Params:
    """The point ``x - size grad``; x itself where the size is 0, however infinite the gradient."""

    def move(leaf: Tensor, slope: Tensor) -> Tensor:
        length = per_lane(size, leaf)
        new = leaf - length * slope
        return torch.where(length != 0, new, leaf) if isinstance(length, Tensor) else new

    return tree_map(move, x, grad)
