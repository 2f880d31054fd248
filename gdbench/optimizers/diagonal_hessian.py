"""Sophia and AdaHessian: steps scaled by an estimate of the Hessian's diagonal, ``z * (H z)`` (Hutchinson 1989).

z holds random signs, which depend on ``probe_seed``, the step and the coordinate alone: they are the same in every lane
and in a resumed run.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gdbench.optimizers.base import (
    HESSIAN_PRODUCT,
    Hyper,
    InnerProduct,
    Method,
    Oracle,
    Step,
    StepInfo,
    line_search_method,
)
from gdbench.optimizers.update_ops import add, add_quotient, ema, ema_square, zeros_like
from gdbench.tree import Params, leaves, per_run, rebuild, tree_map


class DiagonalState(NamedTuple):
    """Moving averages of the gradient, and of the Hessian's diagonal or its square."""

    mean: Params
    diagonal: Params


def sophia(
    lr: Hyper,
    beta1: Hyper = 0.965,
    beta2: Hyper = 0.99,
    gamma: Hyper = 0.01,
    eps: Hyper = 1e-12,
    period: int = 10,
    probe_seed: int = 0,
) -> Method:
    """Sophia-H, ``x - lr clip(m / max(gamma h, eps), 1)`` (Liu et al. 2023, algorithm 3).

    m averages the gradient; h averages the diagonal of the Hessian, estimated in every ``period``-th step, beginning
    with the first. Such a step costs one Hessian product more. A compiled step, which cannot branch, always computes
    it; the counted work is that of the algorithm.
    """

    def step(
        oracle: Oracle, k: Step, x: Params, state: DiagonalState, inner: InnerProduct
    ) -> tuple[Params, DiagonalState, StepInfo]:
        loss, grad = oracle.grad(x, k)
        average = tree_map(lambda old, new: ema(old, new, beta1), state.mean, grad)
        due, average_diagonal = k % period == 0, state.diagonal
        if isinstance(due, Tensor) or due:
            estimate = estimate_diagonal(oracle, k, x, probe_seed)
            new = tree_map(lambda old, fresh: ema(old, fresh, beta2), average_diagonal, estimate)
            average_diagonal = (
                new if due is True else tree_map(lambda a, b: torch.where(due, a, b), new, average_diagonal)
            )

        def move(leaf: Tensor, m: Tensor, h: Tensor) -> Tensor:
            scale = (per_run(gamma, h) * h).clamp(min=per_run(eps, h))
            return add(leaf, -lr, (m / scale).clamp(-1, 1))

        state = DiagonalState(average, average_diagonal)
        return tree_map(move, x, *state), state, StepInfo(loss, grad, 1 + HESSIAN_PRODUCT * due, 0)

    return line_search_method(lambda x, number: DiagonalState(zeros_like(x), zeros_like(x)), step)


def adahessian(
    lr: Hyper,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-4,
    probe_seed: int = 0,
) -> Method:
    """AdaHessian: Adam with the Hessian's diagonal in place of the gradient in v (Yao et al. 2021).

    ``x - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``; v averages ``d^2`` with ``d = z * (H z)``, without
    the paper's averages over blocks. Each step costs one Hessian product more.
    """

    def step(
        oracle: Oracle, k: Step, x: Params, state: DiagonalState, inner: InnerProduct
    ) -> tuple[Params, DiagonalState, StepInfo]:
        loss, grad = oracle.grad(x, k)
        average = tree_map(lambda old, new: ema(old, new, beta1), state.mean, grad)
        estimate = estimate_diagonal(oracle, k, x, probe_seed)
        square = tree_map(lambda old, new: ema_square(old, new, beta2), state.diagonal, estimate)
        size, correction = lr / (1 - beta1 ** (k + 1)), 1 / (1 - beta2 ** (k + 1))

        def move(leaf: Tensor, m: Tensor, v: Tensor) -> Tensor:
            return add_quotient(leaf, -size, m, (per_run(correction, leaf) * v).sqrt() + per_run(eps, leaf))

        return (
            tree_map(move, x, average, square),
            DiagonalState(average, square),
            StepInfo(loss, grad, 1 + HESSIAN_PRODUCT, 0),
        )

    return line_search_method(lambda x, number: DiagonalState(zeros_like(x), zeros_like(x)), step)


def estimate_diagonal(oracle: Oracle, k: Step, x: Params, seed: int) -> Params:
    """Estimate the Hessian's diagonal by ``z * (H z)``, whose mean over z it is; exact for a diagonal Hessian."""
    probe = random_signs(k, x, oracle.laned, seed)
    return tree_map(torch.mul, probe, oracle.hvp(x, probe, k))


def random_signs(k: Step, x: Params, laned: bool, seed: int) -> Params:
    """Draw a random sign for each coordinate, the same in every lane."""
    first, signs = 0, []
    for leaf in leaves(x):
        event = leaf.shape[1:] if laned else leaf.shape
        count = math.prod(event)
        place = torch.arange(first, first + count, device=leaf.device).reshape(event)
        bits = hash_32_bits(hash_32_bits(place) + hash_32_bits(torch.zeros_like(place) + k + 2**20 * seed))
        signs.append((1 - 2 * (bits & 1)).to(leaf.dtype) + torch.zeros_like(leaf))
        first += count
    return rebuild(x, signs)


def hash_32_bits(number: Tensor) -> Tensor:
    """Hash whole numbers to 32 bits, each of which depends on all bits of the number (lowbias32, Wellons 2018)."""
    low = 2**32 - 1
    number = number.long() & low
    number = (number ^ (number >> 16)) * 0x7FEB352D & low
    number = (number ^ (number >> 15)) * 0x846CA68B & low
    return number ^ (number >> 16)
