"""Norms, distances and counts of denormal numbers, for each run of a batch."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.engine.cell import Cell
from gdbench.tree import Params, flatten

__all__ = ["compute_distances", "compute_norms", "count_denormals", "put_runs_last", "to_numpy", "widen_loss"]


Array = npt.NDArray[Any]


def widen_loss(loss: Tensor) -> Tensor:
    """The loss in float32 at least, in which losses are compared."""
    return loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss


def to_numpy(tensor: Tensor) -> Array:
    """A tensor as an array; bfloat16, which numpy lacks, as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def put_runs_last(array: Array, laned: bool) -> Array:
    """The array with an axis of runs, which that of a single run lacks."""
    return array if laned else array[..., None]


def _to_widest(tensor: Tensor) -> Tensor:
    """Float64 where the device has it."""
    return tensor.float() if tensor.device.type == "mps" else tensor.double()


def compute_norms(tree: Params, laned: bool) -> Tensor:
    """The Euclidean norm of each run, in float64 where the device has it."""
    norm: Tensor = torch.linalg.vector_norm(_to_widest(flatten(tree, laned).detach()), dim=-1)
    return norm


def compute_distances(cell: Cell, x: Params, laned: bool) -> Tensor:
    """Distance of each run to its nearest minimiser; NaN where none is known."""
    point = flatten(x, laned)
    if not cell.objective.minimisers or cell.maximize:
        return torch.full(point.shape[:-1], torch.nan)
    offsets = [_to_widest(point) - _to_widest(flatten(minimiser, False)) for minimiser in cell.objective.minimisers]
    return torch.stack([torch.linalg.vector_norm(offset, dim=-1) for offset in offsets]).amin(0)


def count_denormals(tree: Any, runs: int | None, device: torch.device) -> Tensor:
    """How many numbers of x and state are subnormal, a lane; state that is not laned counts for none."""
    total = torch.zeros([] if runs is None else [runs], dtype=torch.int64, device=device)
    for leaf in _list_state_tensors(tree):
        if not leaf.is_floating_point() or (runs is not None and leaf.shape[:1] != (runs,)):
            continue
        tiny = (leaf != 0) & (leaf.abs() < torch.finfo(leaf.dtype).tiny)
        total = total + (tiny.sum() if runs is None else tiny.reshape(runs, -1).sum(-1)).to(device)
    return total


def _list_state_tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree.detach()]
    if isinstance(tree, torch.optim.Optimizer):
        return _list_state_tensors(dict(tree.state))
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in _list_state_tensors(part)]
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in _list_state_tensors(part)]
    return []
