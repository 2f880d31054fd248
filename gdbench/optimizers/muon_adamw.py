"""Muon for the matrices of a network and AdamW for all other tensors, the usual way to use Muon."""

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
    """The states of both methods."""

    matrices: Any
    others: Any


class PrecomputedOracle:
    """An oracle with a gradient that was computed already, so that two methods share one."""

    def __init__(self, laned: bool, result: tuple[Tensor, Params]) -> None:
        self.laned, self.result = laned, result

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """Return the loss and gradient that were computed."""
        return self.result


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

    ``match_rms_adamw`` makes Muon's steps as long as typical ones of AdamW, so that one lr fits both; without it (null)
    Muon needs about a hundred times more. Embeddings and output layers, which are often given to AdamW, are treated as
    matrices here.
    """
    matrix = muon(lr, momentum, weight_decay, nesterov, adjust_lr_fn=adjust_lr_fn)
    return combine_by_shape(matrix, adamw(lr * lr_ratio, beta1, beta2, eps, weight_decay))


def combine_by_shape(matrix: Method, other: Method) -> Method:
    """Combine a method for matrices and one for all other tensors; both use the same gradient."""

    def init(laned: bool, x: Params) -> MuonAdamWState:
        matrices, others = split_matrices(x, laned)
        return MuonAdamWState(matrix.begin(matrices, laned), other.begin(others, laned))

    def step(oracle: Oracle, k: Step, x: Params, state: MuonAdamWState) -> tuple[Params, Any, StepFields]:
        loss, grad = oracle.grad(x, k)
        computed: Any = PrecomputedOracle(oracle.laned, (loss, as_dict(grad)))
        matrices, others = split_matrices(x, oracle.laned)
        new_matrices, matrix_state, _ = matrix.step(computed, k, matrices, state.matrices)
        new_others, other_state, _ = other.step(computed, k, others, state.others)
        both = {**new_matrices, **new_others}  # type: ignore[dict-item]
        new: Params = {name: both[name] for name in x} if isinstance(x, dict) else both[SINGLE]
        return new, MuonAdamWState(matrix_state, other_state), (loss, grad, 1, 0)

    return Method(partial(init, False), step, init_lanes=partial(init, True))


SINGLE = "x"
"""The name given to the tensor of a point that is a single tensor."""


def as_dict(x: Params) -> dict[str, Tensor]:
    """Return a point as a dict of tensors."""
    return x if isinstance(x, dict) else {SINGLE: x}


def split_matrices(x: Params, laned: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a point into its matrices and all other tensors."""
    matrices = {name: leaf for name, leaf in as_dict(x).items() if leaf.dim() - laned == 2}
    return matrices, {name: leaf for name, leaf in as_dict(x).items() if name not in matrices}
