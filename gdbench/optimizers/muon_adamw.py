"""Muon for the matrices of a network and AdamW for all else: how Muon is used, for it moves nothing but matrices."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from gdbench.optimizers.adam import adamw
from gdbench.optimizers.base import Hyper, Method, Oracle, Step, StepFields
from gdbench.optimizers.muon import muon
from gdbench.tree import Params

__all__ = ["muon_adamw"]


class MuonAdamWState(NamedTuple):
    """The states of the two methods."""

    matrices: Any
    others: Any


class PrecomputedOracle:
    """An oracle whose answer is there already, so that two methods go by one gradient."""

    def __init__(self, laned: bool, told: tuple[Tensor, Params]) -> None:
        self.laned, self.told = laned, told

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """f and the gradient of the point that was asked about."""
        return self.told


def muon_adamw(
    lr: Hyper,
    momentum: Hyper = 0.95,
    nesterov: bool = True,
    beta1: Hyper = 0.9,
    beta2: Hyper = 0.999,
    eps: Hyper = 1e-8,
    weight_decay: Hyper = 0.0,
    lr_ratio: Hyper = 1.0,
    adjust_lr_fn: str | None = "match_rms_adamw",
) -> Method:
    """Muon on every matrix, AdamW with ``lr_ratio lr`` on every other tensor (Jordan 2024; Liu et al. 2025).

    ``match_rms_adamw`` makes Muon's steps as long as AdamW's usual ones, so that one lr does for both; without it
    (null) Muon wants about a hundred times more. Embeddings and output layers, which are often left to AdamW, are
    matrices here like any other.
    """
    turning = muon(lr, momentum, weight_decay, nesterov, adjust_lr_fn=adjust_lr_fn)
    return combine_by_shape(turning, adamw(lr * lr_ratio, beta1, beta2, eps, weight_decay))


def combine_by_shape(turning: Method, other: Method) -> Method:
    """The Method of one for matrices and one for all else, both of them of one gradient a step."""

    def init(laned: bool, x: Params) -> MuonAdamWState:
        matrices, others = split_matrices(x, laned)
        return MuonAdamWState(turning.begin(matrices, laned), other.begin(others, laned))

    def step(oracle: Oracle, k: Step, x: Params, state: MuonAdamWState) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        given: Any = PrecomputedOracle(oracle.laned, (loss, as_dict(grad)))
        matrices, others = split_matrices(x, oracle.laned)
        here, turned, _ = turning.step(given, k, matrices, state.matrices)
        there, moved, _ = other.step(given, k, others, state.others)
        both = {**here, **there}  # type: ignore[dict-item]
        new: Params = {name: both[name] for name in x} if isinstance(x, dict) else both[SINGLE]
        return new, MuonAdamWState(turned, moved), (loss, grad, 1, 0)

    return Method(partial(init, False), step, init_lanes=partial(init, True))


SINGLE = "x"
"""What the one tensor of a point is called that has no names."""


def as_dict(x: Params) -> dict[str, Tensor]:
    """A point as a dict."""
    return x if isinstance(x, dict) else {SINGLE: x}


def split_matrices(x: Params, laned: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The matrices of a point, and all else."""
    matrices = {name: leaf for name, leaf in as_dict(x).items() if leaf.dim() - laned == 2}
    return matrices, {name: leaf for name, leaf in as_dict(x).items() if name not in matrices}
