"""The oracle of one run that trains a module: the batches of its steps, and the judged loss."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from gdbench.engine.oracle import EagerOracle, oracle
from gdbench.engine.training.batches import BatchSource
from gdbench.objectives.base import Objective
from gdbench.optimizers.base import Step
from gdbench.tree import Params

__all__ = ["ModuleOracle"]


class ModuleOracle:
    """The batches of a run's steps; values and gradients are those of the judged loss, ``full``."""

    laned, split = False, None

    def __init__(self, objective: Objective, seed: int, device: torch.device | str) -> None:
        """``objective`` is that of a workload, in the run's dtype and on its device."""
        self.objective = objective
        self.batch = BatchSource(objective, seed, device).batch

    @cached_property
    def full(self) -> EagerOracle:
        """The oracle of the judged loss."""
        judged = oracle(self.objective, laned=False)
        assert isinstance(judged, EagerOracle)
        return judged

    def value(self, x: Params, k: Step) -> Tensor:
        """The judged loss."""
        return self.full.value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """The judged loss and its gradient."""
        return self.full.grad(x, k)

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """The Hessian of the judged loss at x times v."""
        return self.full.hvp(x, v, k)
