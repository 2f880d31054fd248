"""Muon for the matrices of a network and AdamW for all other tensors, the usual way to use Muon."""

from __future__ import annotations

from torch import Tensor

from gdbench.optimizers.adam import adamw
from gdbench.optimizers.base import Hyper, Method
from gdbench.optimizers.method_groups import combine_methods
from gdbench.optimizers.muon import muon

__all__ = ["muon_adamw"]


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
    return combine_methods((matrix, adamw(lr * lr_ratio, beta1, beta2, eps, weight_decay)), split_matrices)


def split_matrices(x: dict[str, Tensor], laned: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a point into its matrices and all other tensors."""
    matrices = {name: leaf for name, leaf in x.items() if leaf.dim() - laned == 2}
    return matrices, {name: leaf for name, leaf in x.items() if name not in matrices}
