"""The same function elsewhere, and turned: instances, on which methods without randomness have a distribution too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives import Objective, seeded
from gdbench.objectives.check import whole

__all__ = ["moved", "rotation"]

SHARE = 0.25
"""How far a minimiser moves, as a share of its distance from the start: the root of the mean square."""


def rotation(n: int, generator: torch.Generator) -> Tensor:
    """A rotation or reflection ``[n, n]``, all alike likely: QR of a Gaussian matrix (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    turn: Tensor = q * r.diagonal().sign()  # without the signs, QR's own convention would prefer some rotations
    return turn


def moved(objective: Objective, instance: int) -> Objective:
    """An instance of an objective of a vector: turned about its first minimiser, which is then shifted.

    ``f_i(x) = f(x* + Q'(x - x* - s))``, Q uniform among rotations and reflections, and s normal, its length a quarter
    of |x_0 - x*| in the mean square. The start stays where it is, so that every method sees other losses, those that do
    not care for coordinates too. Instance 0 is the objective itself. Raises UsageError for instance < 0.
    """
    if not whole("instance", instance, least=0):
        return objective
    centre, start, generator = objective.minimisers[0], objective.start_at(0), seeded(instance)
    assert isinstance(centre, Tensor)
    assert isinstance(start, Tensor)
    n, plain = len(centre), objective.fn
    turn = rotation(n, generator)
    shift = torch.randn(n, generator=generator, dtype=torch.float64) * SHARE * (start - centre).norm() / n**0.5

    def fn(x: Tensor, turn: Tensor, centre: Tensor, origin: Tensor, **data: Any) -> Tensor:
        return plain(centre + (x - origin) @ turn, **data)

    return replace(
        objective,
        fn=fn,
        data={**objective.data, "turn": turn, "centre": centre, "origin": centre + shift},
        minimisers=tuple(centre + shift + turn @ (each - centre) for each in objective.minimisers),  # type: ignore[operator]
    )
