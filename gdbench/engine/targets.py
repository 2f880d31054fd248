"""The relative gap, the ladder of targets, and the smallest gap that a dtype resolves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.results.columns import LADDER
from gdbench.tree import tree_map

__all__ = ["Ladder", "make_ladder", "measure_rounding_size", "round_thresholds_down"]

SAFETY = 4.0
"""c of the resolution. Among 2,000 further points as near to each shipped minimiser the error was at most 0.4 to 2.5
times eps max(|f*|, size), by objective; farther out it grows, but stays below the gap that such a point has."""


@dataclass(frozen=True)
class Ladder:
    """Targets as losses ``[targets, runs]``, float64; -inf where a target is below resolution."""

    f_star: float | None
    thresholds: npt.NDArray[np.float64]
    floor: npt.NDArray[np.float64]
    """gap_floor of each run: below it rounding alone can produce a gap; NaN where the minimum is unknown."""

    def gap(self, loss: npt.NDArray[np.float64], start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """gap = (f - f*) / (f0 - f*); NaN where the minimum is unknown, or not below the start."""
        if self.f_star is None:
            return np.full(np.broadcast_shapes(loss.shape, start.shape), np.nan)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return np.where(start > self.f_star, (loss - self.f_star) / (start - self.f_star), np.nan)


def make_ladder(
    f_star: float | None,
    size: float | None,
    start: npt.NDArray[np.float64],
    dtype: torch.dtype,
    target: float,
    target_loss: float | None,
) -> Ladder:
    """The ladder and, last, the run's own target, for runs that start at the losses ``start``.

    gap_floor = c eps(dtype) max(|f*|, size of the summed terms) / (f0 - f*). The ``size`` is measured where a minimiser
    is known (see ``measure_rounding_size``); where it is None, |f0| is used. Otherwise |f0| has no effect: near a
    minimum of 0 that is a sum of squares, float32 resolves gaps far below eps, such as the notebook's 2.3e-13 of 64.
    """
    targets = np.array([*LADDER.values(), target])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if f_star is None:
            floor = np.full_like(start, np.nan)
            thresholds = np.full((len(targets), len(start)), -np.inf)
        else:
            scale = np.maximum(abs(f_star), np.abs(start) if size is None else size)
            floor = SAFETY * torch.finfo(dtype).eps * scale / (start - f_star)
            floor[~((start > f_star) & np.isfinite(start))] = np.nan  # such a run has no gap, and nothing to hit
            thresholds = f_star + targets[:, None] * (start - f_star)
            thresholds[~(targets[:, None] >= floor)] = -np.inf
    if target_loss is not None:
        thresholds[-1] = target_loss
    return Ladder(f_star, thresholds, floor)


def measure_rounding_size(objective: Objective, neighbours: int = 32) -> float | None:
    """The size of the terms whose rounding blurs f near its minimisers; None where no minimiser is known.

    None too where f is finite nowhere near them. Raises what f raises there.

    Measured: the largest |f in float32 - f in float64| / eps(float32) over float32 points within a few units in the
    last place of the minimisers, rounded up to a power of two so that machines agree.
    """
    if not objective.minimisers:
        return None
    single, double = objective.to(torch.float32, "cpu"), objective.to(torch.float64, "cpu")
    generator = torch.Generator().manual_seed(0)
    eps = torch.finfo(torch.float32).eps
    errors: list[float] = []
    for minimiser in double.minimisers:
        for _ in range(neighbours):
            near = tree_map(
                lambda at, start: (
                    at + 4 * eps * (at.abs() + (start - at).abs()) * (2 * torch.rand(at.shape, generator=generator) - 1)
                ),
                minimiser,
                double.start_at(0),
            )
            near = tree_map(lambda leaf: leaf.float(), near)
            exact = double.value(tree_map(lambda leaf: leaf.double(), near))
            errors.append(abs(float(single.value(near)) - float(exact)))
    finite = [error for error in errors if math.isfinite(error)]
    if not finite:
        return None
    mantissa, exponent = math.frexp(max(finite) / eps)
    return math.ldexp(1.0, exponent - (mantissa == 0.5)) if mantissa else 0.0


def round_thresholds_down(dtype: torch.dtype, thresholds: npt.NDArray[np.float64]) -> Tensor:
    """Thresholds in the dtype of the losses, rounded down, so that no comparison there can hit early."""
    exact = torch.from_numpy(thresholds)
    rounded = exact.to(dtype)
    lower = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    return torch.where(rounded.double() > exact, lower, rounded)
