"""The same function elsewhere, and turned: instances, on which methods without randomness have a distribution too."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.counter_rng import random_bits
from gdbench.objectives.validation import check_int

__all__ = ["apply_fixed_rotation", "build_instance", "random_rotation", "with_instances"]

SHIFT_SHARE = 0.25
"""How far a minimiser moves, as a share of its distance from the start: the root of the mean square."""


COSINES, SINES = (4 / 5, 15 / 17, 21 / 29), (3 / 5, 8 / 17, 20 / 29)
"""Of 37, 28 and 44 degrees: sides of right triangles of whole numbers, so one correctly rounded division each."""
STREAM, EXTRA_LAYERS = 3, 4
"""With these the plane is turned by 40 degrees from its axes, and ten coordinates start at 0.3 to 1.9 from 0."""


def apply_fixed_rotation(rows: Tensor) -> Tensor:
    """R @ rows, float64 ``[n, m]``, R the same dense rotation of n coordinates on every machine, to the bit.

    Layers of Givens rotations, about one for each doubling of n: in each all coordinates are paired anew, by the order
    of whole random numbers, and each pair is turned. There are no functions but products and sums of two numbers, all
    of them correctly rounded; sums of many, whose order depends on the processor, would differ.
    """
    n, rows = len(rows), rows.clone()
    cosines, sines = (rows.new_tensor(numbers) for numbers in (COSINES, SINES))
    for layer in range(EXTRA_LAYERS + math.ceil(math.log2(n)) if n > 1 else 0):
        order = random_bits(torch.tensor(STREAM), layer, n).argsort()
        first, second = order[: n // 2], order[n // 2 : 2 * (n // 2)]
        cosine, sine = (numbers[first % 3].unsqueeze(-1) for numbers in (cosines, sines))
        a, b = rows[first], rows[second]
        rows[first], rows[second] = cosine * a - sine * b, sine * a + cosine * b
    return rows


def random_rotation(n: int, generator: torch.Generator) -> Tensor:
    """A rotation or reflection ``[n, n]``, all alike likely: QR of a Gaussian matrix (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    turn: Tensor = q * r.diagonal().sign()  # without the signs, QR's own convention would prefer some rotations
    return turn


def with_instances(factory: Callable[..., Objective]) -> Callable[..., Objective]:
    """The factory with one argument more, ``instance=0``, by which what it makes is ``build_instance``.

    What the factory says of its minimisers is said of instance 0.
    """

    @wraps(factory)
    def made(*args: Any, instance: int = 0, **kwargs: Any) -> Objective:
        return build_instance(factory(*args, **kwargs), instance)

    told = inspect.signature(factory)
    more = inspect.Parameter("instance", inspect.Parameter.KEYWORD_ONLY, default=0)
    made.__signature__ = told.replace(parameters=[*told.parameters.values(), more])  # type: ignore[attr-defined]
    return made


def build_instance(objective: Objective, instance: int) -> Objective:
    """An instance of an objective of a vector: turned about its first minimiser, which is then shifted.

    ``f_i(x) = f(c + Q'(x - c - s))``, c the minimiser, Q uniform among rotations and reflections, and s normal, its
    length a quarter of |x_0 - c| in the mean square. Where no minimiser is stated, c is x_0, and the length a quarter
    of |x_0| + 1. The start stays where it is, so that every method sees other losses, those that do not care for
    coordinates too; minimum, L and mu stay. Nothing is scaled, for that would be another condition number. Instance 0
    is the objective itself. Raises UsageError for instance < 0.
    """
    if not check_int("instance", instance, least=0):
        return objective
    start, generator = objective.start_at(0), make_generator(instance)
    centre = objective.minimisers[0] if objective.minimisers else start
    assert isinstance(centre, Tensor)
    assert isinstance(start, Tensor)
    n, plain = len(centre), objective.fn
    turn = random_rotation(n, generator)
    reach = (start - centre).norm() if objective.minimisers else start.norm() + 1
    shift = torch.randn(n, generator=generator, dtype=torch.float64) * SHIFT_SHARE * reach / n**0.5

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
