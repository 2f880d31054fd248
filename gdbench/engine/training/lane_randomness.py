"""What a module draws at random, drawn for each lane from a generator of its own: Dropout masks and normal noise.

A run alone draws from torch's generator, set from (seed, step). In lanes ``vmap`` would draw for all runs from one
stream. Here each lane has a generator that is set from its seed and the step, and draws in the order of the module's
calls: the same numbers as alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gdbench.engine.random_state import compute_number

__all__ = ["LaneRandomness"]

Fill = Callable[[Tensor, torch.Generator], Tensor]
"""Fills an empty tensor from a generator."""
GetGenerators = Callable[[], list[torch.Generator]]
"""Returns the generators of all lanes: of a list as an argument, torch would look at every element in every call."""


class _LaneNoise(torch.autograd.Function):
    """Noise in the shape of a tensor; ``vmap`` calls it once for all lanes, each of which has a generator."""

    @staticmethod
    def forward(like: Tensor, lane: Tensor, fill: Fill, get_generators: GetGenerators) -> Tensor:
        return fill(torch.empty_like(like), get_generators()[int(lane)])

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[None, ...]:
        return None, None, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, like: Tensor, lane: Tensor, fill: Fill, get_generators: GetGenerators
    ) -> tuple[Tensor, int]:
        one = like if in_dims[0] is None else like.select(in_dims[0], 0)
        generators = get_generators()
        noise = torch.empty((len(generators), *one.shape), dtype=like.dtype, device=like.device)
        for row, generator in zip(noise, generators, strict=True):
            fill(row, generator)
        return noise, 0


class LaneRandomness(TorchFunctionMode):
    """Replaces the random functions that a module calls in lanes with the seeds ``[L]``, for one step at a time."""

    def __init__(self, seeds: Tensor, device: torch.device) -> None:
        """``device`` is that on which the module draws."""
        super().__init__()
        self.seeds = seeds.tolist()
        self.generators = [torch.Generator(device) for _ in self.seeds]
        self.lane: Tensor | None = None

    def of_step(self, k: int) -> LaneRandomness:
        """The mode with its generators set for step k."""
        for generator, seed in zip(self.generators, self.seeds, strict=True):
            generator.manual_seed(compute_number(seed, k))
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or draw for each lane where it is a random one."""
        replacement = _REPLACED.get(func)
        if replacement is None:
            return func(*args, **(kwargs or {}))
        return replacement(self, *args, **(kwargs or {}))

    def draw(self, like: Tensor, fill: Fill) -> Tensor:
        """Noise in the shape of ``like``, of each lane its own."""
        noise: Tensor = _LaneNoise.apply(like.detach(), self.lane, fill, lambda: self.generators)  # type: ignore[no-untyped-call]
        return noise


def _drop(mode: LaneRandomness, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout as torch computes it on a CPU: values times a mask of 0 and 1, divided by 1 - p."""
    if not training or p == 0:
        return values
    return values * _draw_mask(mode, values, p)


def _draw_mask(mode: LaneRandomness, like: Tensor, p: float) -> Tensor:
    if p == 1:
        return torch.zeros_like(like)
    return mode.draw(like, lambda empty, generator: empty.bernoulli_(1 - p, generator=generator)).div(1 - p)


def _drop_channels(
    mode: LaneRandomness, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels, the second axis of a batch."""
    if not training or p == 0:
        return values
    first = values[(slice(None), slice(None), *[slice(0, 1)] * (values.dim() - 2))]
    return values * _draw_mask(mode, first, p)


def _draw_normal(mode: LaneRandomness, like: Tensor, **kwargs: Any) -> Tensor:
    return mode.draw(like, lambda empty, generator: empty.normal_(generator=generator))


def _draw_uniform(mode: LaneRandomness, like: Tensor, **kwargs: Any) -> Tensor:
    return mode.draw(like, lambda empty, generator: empty.uniform_(generator=generator))


_REPLACED: dict[Any, Callable[..., Tensor]] = {
    nn.functional.dropout: _drop,
    nn.functional.dropout1d: _drop_channels,
    nn.functional.dropout2d: _drop_channels,
    nn.functional.dropout3d: _drop_channels,
    torch.randn_like: _draw_normal,
    torch.rand_like: _draw_uniform,
}
"""Random functions that lanes can call; ``vmap`` refuses all others, and the runs are then executed one by one."""
