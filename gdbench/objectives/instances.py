"""The same function elsewhere, and turned: instances, on which methods without randomness have a distribution too."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives import Objective, seeded
from gdbench.objectives.check import whole

__all__ = ["instanced", "moved", "rotation"]

SHARE = 0.25
"""How far a minimiser moves, as a share of its distance from the start: the root of the mean square."""


def rotation(n: int, generator: torch.Generator) -> Tensor:
    """A rotation or reflection ``[n, n]``, all alike likely: QR of a Gaussian matrix (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    turn: Tensor = q * r.diagonal().sign()  # without the signs, QR's own convention would prefer some rotations
    return turn


def instanced(factory: Callable[..., Objective]) -> Callable[..., Objective]:
    """The factory with one argument more, ``instance=0``, by which what it makes is ``moved``.

    What the factory says of its minimisers is said of instance 0.
    """

    @wraps(factory)
    def made(*args: Any, instance: int = 0, **kwargs: Any) -> Objective:
        return moved(factory(*args, **kwargs), instance)

    told = inspect.signature(factory)
    more = inspect.Parameter("instance", inspect.Parameter.KEYWORD_ONLY, default=0)
    made.__signature__ = told.replace(parameters=[*told.parameters.values(), more])  # type: ignore[attr-defined]
    return made


def moved(objective: Objective, instance: int) -> Objective:
    """An instance of an objective of a vector: turned about its first minimiser, which is then shifted.

    ``f_i(x) = f(c + Q'(x - c - s))``, c the minimiser, Q uniform among rotations and reflections, and s normal, its
    length a quarter of |x_0 - c| in the mean square. Where no minimiser is stated, c is x_0, and the length a quarter
    of |x_0| + 1. The start stays where it is, so that every method sees other losses, those that do not care for
    coordinates too; minimum, L and mu stay. Nothing is scaled, for that would be another condition number. Instance 0
    is the objective itself. Raises UsageError for instance < 0.
    """
    if not whole("instance", instance, least=0):
        return objective
    start, generator = objective.start_at(0), seeded(instance)
    centre = objective.minimisers[0] if objective.minimisers else start
    assert isinstance(centre, Tensor)
    assert isinstance(start, Tensor)
    n, plain = len(centre), objective.fn
    turn = rotation(n, generator)
    reach = (start - centre).norm() if objective.minimisers else start.norm() + 1
    shift = torch.randn(n, generator=generator, dtype=torch.float64) * SHARE * reach / n**0.5

    def fn(x: Tensor, turned: Tensor, centred: Tensor, placed: Tensor, **data: Any) -> Tensor:
        return plain(centred + (x - placed) @ turned, **data)

    place = {"turned": turn, "centred": centre, "placed": centre + shift}
    assert not place.keys() & objective.data.keys()
    return replace(
        objective,
        fn=fn,
        data={**objective.data, **place},
        minimisers=tuple(centre + shift + turn @ (each - centre) for each in objective.minimisers),  # type: ignore[operator]
    )
