"""Rotated and shifted instances of a function, which give deterministic methods a distribution of results."""

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
"""Root mean square of the shift of a minimiser, as a share of its distance from the start."""

COSINES, SINES = (4 / 5, 15 / 17, 21 / 29), (3 / 5, 8 / 17, 20 / 29)
"""Of 37, 28 and 44 degrees: Pythagorean triples, so that each is one correctly rounded division."""
STREAM, EXTRA_LAYERS = 3, 4
"""Chosen so that the plane is rotated by 40 degrees, and ten coordinates start at 0.3 to 1.9 from 0."""


def apply_fixed_rotation(rows: Tensor) -> Tensor:
    """Compute R @ rows, float64 ``[n, m]``, where R is the same dense rotation on every machine, to the bit.

    R is a product of layers of Givens rotations, about one for each doubling of n: in each layer all coordinates are
    paired, in the order of random whole numbers, and each pair is rotated. Only products and sums of two numbers occur,
    which are correctly rounded; sums of many numbers depend on the processor in the last bits.
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
    """Draw a rotation or reflection ``[n, n]`` uniformly: QR of a Gaussian matrix (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    turn: Tensor = q * r.diagonal().sign()  # without the signs the distribution is not uniform
    return turn


def with_instances(factory: Callable[..., Objective]) -> Callable[..., Objective]:
    """Give a factory a further argument ``instance=0``, which ``build_instance`` applies to its objective.

    The minimisers in the factory's docstring are those of instance 0.
    """

    @wraps(factory)
    def build(*args: Any, instance: int = 0, **kwargs: Any) -> Objective:
        return build_instance(factory(*args, **kwargs), instance)

    signature = inspect.signature(factory)
    parameter = inspect.Parameter("instance", inspect.Parameter.KEYWORD_ONLY, default=0)
    build.__signature__ = signature.replace(parameters=[*signature.parameters.values(), parameter])  # type: ignore[attr-defined]
    return build


def build_instance(objective: Objective, instance: int) -> Objective:
    """Build an instance of an objective of a vector: rotated about its first minimiser, which is then shifted.

    ``f_i(x) = f(c + Q'(x - c - s))`` with the minimiser c, Q uniform among rotations and reflections, and s normal with
    a root mean square of a quarter of |x_0 - c|. If no minimiser is stated, c is x_0, and s has a quarter of
    |x_0| + 1. The start does not change, so that every method has other losses, rotation-invariant ones too; minimum, L
    and mu do not change either. There is no scaling, which would change the condition number. Instance 0 is the
    objective itself. Raises UsageError for instance < 0.
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
        minimisers=tuple(centre + shift + turn @ (point - centre) for point in objective.minimisers),  # type: ignore[operator]
    )
