"""What all 24 have in common: size, instance, start and what is known of the minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gdbench.objectives.base import Objective, seeded
from gdbench.objectives.bbob.coco_rng import optimum, rotation, value_at_optimum
from gdbench.objectives.bbob.transforms import powers
from gdbench.objectives.validation import whole

__all__ = ["Instance"]


@dataclass(frozen=True)
class Instance:
    """One instance of one function: its seed is COCO's, ``function + 10000 instance``."""

    function: int
    n: int
    instance: int
    drawn_as: int | None = None
    """The function whose seed this one shares, where it does: f4 draws as f3, f18 as f17."""

    def __post_init__(self) -> None:
        """Refuse sizes that bbob does not have."""
        whole("n", self.n, least=2)
        whole("instance", self.instance, least=1)

    @property
    def seed(self) -> int:
        """What COCO draws from."""
        return (self.drawn_as or self.function) + 10000 * self.instance

    def optimum(self) -> Tensor:
        """x*, before what some functions do to it."""
        return torch.from_numpy(optimum(self.n, self.seed))

    def turn(self) -> Tensor:
        """The rotation R."""
        return rotation(self.n, self.seed + 1_000_000)

    def other_turn(self) -> Tensor:
        """The rotation Q."""
        return rotation(self.n, self.seed)

    def stretch(self, base: float) -> Tensor:
        """R Lambda Q, as a matrix."""
        return (self.turn() * powers(base, self.n)) @ self.other_turn()

    def objective(
        self, fn: Callable[..., Tensor], minimiser: Tensor, data: Mapping[str, Tensor], f_star: float | None = None
    ) -> Objective:
        """The objective ``fn(x, **data) + f*``."""
        lowest, n = value_at_optimum(self.seed) if f_star is None else f_star, self.n

        def start(seed: int) -> Tensor:
            return 8 * torch.rand(n, generator=seeded(seed), dtype=torch.float64) - 4

        return Objective(
            fn=lambda x, **parts: fn(x, **parts) + lowest,
            start=start,
            data=data,
            minimum=lowest,
            minimisers=(minimiser,),
            laned=True,
            source="Hansen, Finck, Ros and Auger 2009, INRIA RR-6829",
        )
