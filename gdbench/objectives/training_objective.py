"""The Objective of a training workload: its point holds the parameters of the module."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.objectives.training import JUDGED, Training
from gdbench.objectives.training_data import build_data, list_tensors
from gdbench.objectives.training_overlap import warn_of_overlap

__all__ = ["GENERATOR_LOCK", "build_training_objective", "check_loss", "make_seeded_module", "split_state"]

GENERATOR_LOCK = threading.RLock()
"""Held by a thread while it draws from torch's generator, which belongs to the process."""


def build_training_objective(training: Training) -> Objective:
    """The Objective of a workload: its point holds the module's parameters, its value is the judged train loss.

    The start of a seed is what ``torch.manual_seed(seed); module()`` makes. The data are ``train.0``, ``train.1`` ...
    (where they are tensors), ``judged.0`` ..., ``held_out.0`` ... and ``test.0`` .... The value is in evaluation mode
    with the buffers of a new module. Raises UsageError for a module without parameters, or that torch refuses; warns of
    samples that two splits share.
    """
    warn_of_overlap(training)
    module, start = make_seeded_module(training, 0)
    module.eval()
    fixed = {name: leaf.clone() for name, leaf in split_state(module)[1].items()}
    dtypes = {leaf.dtype for leaf in start.values()}
    if not dtypes:
        raise UsageError(f"Training(module=...) makes {type(module).__name__}, which has no parameters to train.")

    def fn(params: Any, **data: Tensor) -> Tensor:
        *inputs, targets = list_tensors(data, JUDGED)
        state = {**{name: _like(leaf, params) for name, leaf in fixed.items()}, **params}
        outputs = torch.func.functional_call(module, state, tuple(inputs) or (targets,))
        return check_loss(training.loss(outputs, targets))

    return Objective(
        fn=fn,
        start=lambda seed: make_seeded_module(training, seed)[1],
        data=build_data(training),
        dtype=max(dtypes, key=lambda dtype: torch.finfo(dtype).bits),
        source=training.source,
        training=training,
    )


def make_seeded_module(training: Training, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """The module of a seed, as ``torch.manual_seed(seed); module()`` makes it, and its parameters by name."""
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = training.module()
    if not isinstance(module, nn.Module):
        raise UsageError(f"Training(module=...) returned {type(module).__name__}; it must return a torch.nn.Module.")
    return module, split_state(module)[0]


def split_state(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters of a module that are trained, and its buffers and fixed parameters, by name."""
    trained = {name: leaf.detach() for name, leaf in module.named_parameters() if leaf.requires_grad}
    fixed = {name: leaf.detach() for name, leaf in module.named_parameters() if not leaf.requires_grad}
    return trained, {**fixed, **{name: buffer.detach() for name, buffer in module.named_buffers()}}


def _like(leaf: Tensor, params: Any) -> Tensor:
    """A tensor on the device of the parameters and, if it is floating, in their dtype."""
    first = next(iter(params.values()))
    return leaf.to(first.device, first.dtype if leaf.is_floating_point() else leaf.dtype)


def check_loss(value: Any, metric: str | None = None) -> Tensor:
    """The value of the loss, or of a metric, itself. Raises UsageError unless it is a scalar."""
    if isinstance(value, Tensor) and not value.dim():
        return value
    came = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    name = "loss=..." if metric is None else f"metrics={{{metric!r}: ...}}"
    raise UsageError(f"Training({name}) returned {came}; it must return a scalar tensor, such as the batch's mean.")
