"""Whether a compiled step computes what the eager one does, but for rounding.

The rounding of a step can be large where it is sensitive (the sign of a gradient that is all but 0). So two results
that differ by more than their own rounding are held against what rounding of the inputs makes of the eager step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

__all__ = ["CompiledStepError", "check_agreement", "nudge", "seed_draws"]

MAX_ULPS = 64
"""How many units in the last place, of a tensor's largest number, two ways to compute one step may lie apart."""
NUDGE_COUNT = 4
"""How often the inputs of a step are moved by rounding, to see what that does."""


class CompiledStepError(RuntimeError):
    """A compiled step differs from the eager step by more than rounding."""


def check_agreement(
    what: str, ours: Sequence[Tensor], eager: Sequence[Tensor], nudged: Callable[[int], Sequence[Tensor]], laned: bool
) -> None:
    """CompiledStepError unless results are equal but for rounding; ``nudged(i)`` are eager ones of rounded inputs.

    In lanes the runs are the last axis of every tensor.
    """
    parted = [
        place for place, pair in enumerate(zip(ours, eager, strict=True)) if not _is_within_rounding(*pair, laned)
    ]
    if not parted:
        return
    others = [nudged(number) for number in range(NUDGE_COUNT)]
    for place in parted:
        here, there = ours[place], eager[place]
        if here.shape != there.shape or here.dtype != there.dtype:
            raise CompiledStepError(
                f"{what}: compiled, a tensor is {_describe_kind(here)}; eager, it is {_describe_kind(there)}"
            )
        spread = torch.stack([_measure_distance(other[place], there) for other in others]).amax(0)
        apart = _measure_distance(here, there)
        if bool((apart > MAX_ULPS * _find_largest(spread, laned)).any()):
            raise CompiledStepError(
                f"{what}: a compiled step lies {float(apart.max()):.3g} from the eager one; try impl=manual"
            )


def _is_within_rounding(here: Tensor, there: Tensor, laned: bool) -> bool:
    if here.shape != there.shape or here.dtype != there.dtype:
        return False
    if not here.is_floating_point():
        return bool(torch.equal(here, there))
    size = _find_largest(torch.nan_to_num(there.detach().abs().double(), 0.0, 0.0, 0.0), laned)
    return bool((_measure_distance(here, there) <= MAX_ULPS * torch.finfo(here.dtype).eps * size).all())


def _measure_distance(here: Tensor, there: Tensor) -> Tensor:
    """How far numbers lie apart, in float64; NaN and infinite ones by 0 from their equals, else infinitely far."""
    here, there = here.detach().double(), there.detach().double()
    same = (here == there) | (here.isnan() & there.isnan())
    return torch.where(same, 0.0, torch.nan_to_num((here - there).abs(), torch.inf, torch.inf))


def _find_largest(sizes: Tensor, laned: bool) -> Tensor:
    """The largest number of each run, in a shape that meets the tensor."""
    axes = tuple(range(sizes.dim() - 1 if laned else sizes.dim()))
    return sizes.amax(axes, keepdim=True) if axes and sizes.numel() else sizes


def _describe_kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def nudge(x: Any, state: Any, number: int) -> tuple[Any, Any]:
    """An x and tensors of a state, moved by a rounding; zeros of x too, but not those of the state (of a variance)."""
    generator = torch.Generator().manual_seed(number)

    def draw(leaf: Tensor) -> Tensor:
        size = torch.finfo(leaf.dtype).eps
        return size * (2 * torch.rand(leaf.shape, generator=generator, dtype=torch.float64) - 1).to(leaf)

    def move(leaf: Tensor) -> Tensor:
        return leaf * (1 + 2 * draw(leaf)) if leaf.is_floating_point() else leaf

    def shake(leaf: Tensor) -> Tensor:
        return move(leaf) + draw(leaf) * leaf.abs().amax() if leaf.is_floating_point() and leaf.numel() else leaf

    return tree_map_only(Tensor, shake, x), tree_map_only(Tensor, move, state)


@contextmanager
def seed_draws(seed: int) -> Iterator[None]:
    """Torch's global generators start from a seed inside, and go on outside as if nothing had been drawn."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
