"""The gradient of a module as a function of its parameters, for one run or for lanes of small networks at once.

A module is called with parameters and buffers of any run; ``vmap`` maps that over lanes. The buffers (running means of
BatchNorm ...) belong to the oracle: each evaluation in training mode updates them, as it does in a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdbench.engine.oracle import EagerOracle
from gdbench.engine.training.batches import BatchSource
from gdbench.engine.training.lane_batches import LaneBatches
from gdbench.engine.training.lane_randomness import LaneRandomness
from gdbench.engine.training.module_function import ModuleFunction
from gdbench.objectives.base import Objective, cast
from gdbench.objectives.training import TRAIN, Training
from gdbench.objectives.training_data import list_tensors
from gdbench.objectives.training_objective import check_loss, make_seeded_module, split_state
from gdbench.optimizers.base import Step
from gdbench.optimizers.weight_averaging import AveragedState
from gdbench.tree import Params, leaves

__all__ = ["FunctionalOracle", "make_lane_buffers", "read_buffers", "read_judged_buffers", "split_batch"]

Buffers = dict[str, Tensor]
BatchOf = Callable[[int], tuple[Tensor, ...]]
"""``batch_of(k)``: the tensors of the batch of step k, the last of them the targets."""


def split_batch(batch: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
    """The inputs and targets of a batch; a batch of one tensor is its own target."""
    return (batch[:-1] or batch), batch[-1]


def make_lane_buffers(training: Training, seeds: Tensor, dtype: torch.dtype, device: torch.device) -> Buffers:
    """The buffers and fixed parameters of new modules: those of one seed ``[]``, or of lanes with the seeds ``[L]``."""

    def make(seed: int) -> Buffers:
        fixed: Buffers = cast(split_state(make_seeded_module(training, seed)[0])[1], dtype, device)
        return fixed

    if not seeds.dim():
        return make(int(seeds))
    distinct, which = torch.unique(seeds, return_inverse=True)
    sets = [make(int(seed)) for seed in distinct]
    return {name: torch.stack([buffers[name] for buffers in sets])[which.to(device)] for name in sets[0]}


def read_buffers(oracle: Any, state: Any) -> Buffers:
    """The buffers and fixed parameters of a run: of the module that its state holds, else those of its oracle.

    The oracle of a function, on which a method is tried, has none.
    """
    module = getattr(state, "module", None)
    return dict(getattr(oracle, "buffers", {})) if module is None else split_state(module)[1]


def read_judged_buffers(oracle: Any, state: Any) -> Buffers:
    """The buffers with which a run is judged: their averages where its state holds these."""
    if not isinstance(state, AveragedState):
        return read_buffers(oracle, state)
    return dict(state.buffers) or read_buffers(oracle, state.inner)


class FunctionalOracle:
    """Losses and gradients of the batches of a training workload, in training mode.

    Value and gradient at step k are of the batch of k and of the run's seed. In lanes ``x`` holds ``[L, *event]``.
    """

    full: None = None
    split: None = None

    def __init__(
        self,
        module: ModuleFunction,
        objective: Objective,
        seeds: Tensor,
        batch_of: BatchOf,
        buffers: Buffers,
        shares_batches: bool = False,
        randomness: LaneRandomness | None = None,
    ) -> None:
        """Take a module in training mode.

        ``shares_batches`` says that all lanes have the same batch; ``randomness`` draws for each lane what it draws.
        """
        assert objective.training is not None
        self.module, self.objective, self.seeds, self.batch = module, objective, seeds, batch_of
        self.laned, self.buffers, self.randomness = bool(seeds.dim()), buffers, randomness
        self.shares_batches, self.loss = shares_batches, objective.training.loss

    @classmethod
    def alone(cls, module: ModuleFunction, objective: Objective, seed: int) -> FunctionalOracle:
        """The oracle of one run."""
        training = objective.training
        assert training is not None
        seeds, leaf = torch.tensor(seed), leaves(objective.start_at(seed))[0]
        buffers = make_lane_buffers(training, seeds, leaf.dtype, leaf.device)
        return cls(module, objective, seeds, BatchSource(objective, seed, leaf.device).batch, buffers)

    @classmethod
    def in_lanes(
        cls, module: ModuleFunction, objective: Objective, seeds: Tensor, draws: bool, buffers: Buffers | None = None
    ) -> FunctionalOracle:
        """The oracle of lanes with the seeds ``[L]``, whose data are tensors; None: buffers of new modules."""
        training = objective.training
        assert training is not None
        tensors = list_tensors(objective.data, TRAIN)
        batches = LaneBatches(tensors, training.batch, seeds)
        if buffers is None:
            dtype = leaves(objective.start_at(int(seeds[0])))[0].dtype
            buffers = make_lane_buffers(training, seeds, dtype, tensors[0].device)
        randomness = LaneRandomness(seeds, tensors[0].device) if draws else None
        return cls(module, objective, seeds, batches.batch, buffers, batches.which is None, randomness)

    def select(self, lanes: Tensor) -> FunctionalOracle:
        """The oracle of some of the lanes, with their buffers as they are."""
        buffers = {name: buffer[lanes] for name, buffer in self.buffers.items()}
        draws = self.randomness is not None
        return FunctionalOracle.in_lanes(self.module, self.objective, self.seeds[lanes.cpu()], draws, buffers)

    def at(self, k: Step) -> EagerOracle:
        """The oracle of the batch of step k."""
        return EagerOracle(lambda x: self._evaluate(x, k), self.laned)

    def value(self, x: Params, k: Step) -> Tensor:
        """The loss of the batch of step k, ``[]`` or ``[L]``."""
        return self.at(k).value(x, k)

    def grad(self, x: Params, k: Step) -> tuple[Tensor, Params]:
        """The same, and its gradient."""
        loss, grad = self.at(k).grad(x, k)
        return loss.detach(), grad

    def hvp(self, x: Params, v: Params, k: Step) -> Params:
        """Its Hessian at x times v."""
        return self.at(k).hvp(x, v, k)

    def _evaluate(self, x: Params, k: Step) -> Tensor:
        batch = self.batch(int(k))
        buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
        one = not self.laned
        loss = self._evaluate_one(x, buffers, batch) if one else self._evaluate_lanes(x, buffers, batch, int(k))
        self.buffers = {name: buffer.detach() for name, buffer in buffers.items()}
        return loss

    def _evaluate_lanes(self, x: Params, buffers: Buffers, batch: tuple[Tensor, ...], k: int) -> Tensor:
        axes = (0, 0, None if self.shares_batches else 0)
        if self.randomness is None:
            return torch.func.vmap(self._evaluate_one, in_dims=axes)(x, buffers, batch)
        with self.randomness.of_step(k) as randomness:

            def evaluate(x: Params, buffers: Buffers, batch: tuple[Tensor, ...], lane: Tensor) -> Tensor:
                randomness.lane = lane
                return self._evaluate_one(x, buffers, batch)

            lanes = torch.arange(len(self.seeds))
            return torch.func.vmap(evaluate, in_dims=(*axes, 0))(x, buffers, batch, lanes)

    def _evaluate_one(self, x: Params, buffers: Buffers, batch: tuple[Tensor, ...]) -> Tensor:
        inputs, targets = split_batch(batch)
        return check_loss(self.loss(self.module(x, buffers, inputs), targets))
