"""An instance of one of the 24 functions: size, seed, rotations, start and minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.bbob.coco_rng import draw_minimum, draw_optimum, draw_rotation
from gdbench.objectives.bbob.transforms import condition_diagonal
from gdbench.objectives.validation import check_int

__all__ = ["Instance"]


@dataclass(frozen=True)
class Instance:
    """One instance of one function, with COCO's seed ``function + 10000 instance``."""

    function: int
    n: int
    instance: int
    seed_function: int | None = None
    """The function whose seed this one uses, if it is another: f4 uses that of f3, f18 that of f17."""

    def __post_init__(self) -> None:
        """Raise UsageError for sizes and instances that bbob does not have."""
        check_int("n", self.n, least=2)
        check_int("instance", self.instance, least=1)

    @property
    def seed(self) -> int:
        """COCO's seed."""
        return (self.seed_function or self.function) + 10000 * self.instance

    def optimum(self) -> Tensor:
        """Draw x*, which some functions then modify."""
        return torch.from_numpy(draw_optimum(self.n, self.seed))

    def rotation(self) -> Tensor:
        """Draw the rotation R."""
        return draw_rotation(self.n, self.seed + 1_000_000)

    def second_rotation(self) -> Tensor:
        """Draw the rotation Q."""
        return draw_rotation(self.n, self.seed)

    def conditioned_matrix(self, base: float) -> Tensor:
        """Compute the matrix R Lambda Q."""
        return (self.rotation() * condition_diagonal(base, self.n)) @ self.second_rotation()

    def build(
        self, fn: Callable[..., Tensor], minimiser: Tensor, data: Mapping[str, Tensor], f_star: float | None = None
    ) -> Objective:
        """Build the objective ``fn(x, **data) + f*``."""
        lowest, n = draw_minimum(self.seed) if f_star is None else f_star, self.n

        def start(seed: int) -> Tensor:
            return 8 * torch.rand(n, generator=make_generator(seed), dtype=torch.float64) - 4

        return Objective(
            fn=lambda x, **parts: fn(x, **parts) + lowest,
            start=start,
            data=data,
            minimum=lowest,
            minimisers=(minimiser,),
            laned=True,
            source="Hansen, Finck, Ros and Auger 2009, INRIA RR-6829",
        )
