"""A training script as people write it by hand, which mode (a) must equal bit for bit, at the same speed.

A network with BatchNorm and Dropout; AdamW without weight decay on biases and norms; warm-up and cosine; clipping. What
it takes from gdbench is what makes both draw the same: the order of an epoch, and the number that sets the generator
before a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gdbench.engine.random_state import compute_number
from gdbench.objectives.training_data import compute_epoch_order

BATCH, LR, WEIGHT_DECAY, MAX_NORM, WARMUP, START = 32, 3e-3, 0.05, 1.0, 20, 0.01
SETTINGS = (
    *("optimizer=adamw", f"lr={LR}", f"optimizer.weight_decay={WEIGHT_DECAY}"),
    *("optimizer.groups={no_decay:{weight_decay:0.0}}", "clip=norm", f"clip.max_norm={MAX_NORM}"),
    *("schedule=warmup_cosine", f"schedule.warmup={WARMUP}", f"schedule.start={START}"),
)
"""The same training in gdbench's words."""


def make_module() -> nn.Module:
    """The network: 64-128-128-10, normalised, with dropout."""
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),
    )


def make_data(samples: int = 1024) -> tuple[Tensor, Tensor]:
    """Inputs and classes that a network can tell from them."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 64, generator=generator)
    return inputs, inputs[:, :10].argmax(1)


def train(data: tuple[Tensor, Tensor], seed: int, steps: int, reseed: bool) -> Iterator[Tensor]:
    """Train, and yield the loss of every step's batch; ``reseed`` makes the masks those of gdbench."""
    inputs, targets = data
    torch.manual_seed(seed)
    model = make_module()
    plain, decayed = [], []
    for layer in model:
        for name, parameter in layer.named_parameters():
            (plain if name == "bias" or isinstance(layer, nn.BatchNorm1d) else decayed).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": plain, "weight_decay": 0.0}, {"params": decayed}], lr=LR, weight_decay=WEIGHT_DECAY, foreach=False
    )
    model.train()
    per_epoch = len(inputs) // BATCH
    for k in range(steps):
        if k % per_epoch == 0:
            order = compute_epoch_order(torch.tensor(seed), k // per_epoch, len(inputs))
        chosen = order[k % per_epoch * BATCH :][:BATCH]
        if k < WARMUP:
            factor = START + (1 - START) * (k / WARMUP)
        else:
            factor = (1 + math.cos(math.pi * (k - WARMUP) / (steps - WARMUP))) / 2
        for group in optimizer.param_groups:
            group["lr"] = LR * factor
        if reseed:
            torch.default_generator.manual_seed(compute_number(seed, k))
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(inputs[chosen]), targets[chosen])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        yield loss.detach()
