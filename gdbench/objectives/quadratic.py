"""Convex quadratics of a chosen dimension, condition number and spectrum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gdbench.objectives import Objective, seeded
from gdbench.objectives.check import choice, real, whole
from gdbench.objectives.instances import rotation
from gdbench.schema import UsageError

__all__ = ["quadratic"]

SPECTRA: dict[str, Callable[[int, float, float], Tensor]] = {
    "uniform": lambda n, mu, top: torch.linspace(mu, top, n, dtype=torch.float64),
    "geometric": lambda n, mu, top: top * (mu / top) ** torch.linspace(1, 0, n, dtype=torch.float64),
    "clustered": lambda n, mu, top: torch.tensor([mu] * (n // 2) + [top] * (n - n // 2), dtype=torch.float64),
    "outlier": lambda n, mu, top: torch.tensor([mu] * (n - 1) + [top], dtype=torch.float64),
}
"""n eigenvalues from mu to L, ascending: evenly spaced; evenly spaced in logarithm; two halves; all mu but one."""

Parts = tuple[Callable[..., Tensor], dict[str, Tensor], Tensor, Tensor]
"""The function, data, minimiser and start of an instance."""


def quadratic(
    n: int = 10, condition: float = 100.0, spectrum: str = "geometric", smoothness: float = 1.0, instance: int = 0
) -> Objective:
    """A strongly convex quadratic with prescribed eigenvalues.

    f(x) = 1/2 (x - x*)' Q diag(e) Q' (x - x*), x of shape [n], with e_1 = mu = smoothness / condition up to
    e_n = L = smoothness, spaced as ``spectrum`` says: uniform, geometric, clustered (lower half mu, upper half L) or
    outlier (all mu but the last). Minimum 0 at x*.

    ``instance`` 0 is the plain one: Q = I and x* = 0. Every other instance draws Q uniformly from the rotations and
    reflections (QR of a Gaussian matrix, Mezzadri 2007, Notices AMS 54:592) and x* from a standard normal. All start
    at x_0 = x* + Q (1, ..., 1), so f(x_0) = sum(e) / 2 and they are one problem seen in other coordinates: methods
    that do not care for coordinates, as gradient descent, lose the same on each.

    Raises UsageError for n < 1, condition < 1 (or != 1 where n = 1), smoothness <= 0, instance < 0 or an unknown
    spectrum.
    """
    whole("n", n, least=1)
    top = real("smoothness", smoothness, least=0, example=1, above=True)
    mu = top / real("condition", condition, least=1, example=100)
    if n == 1 and condition != 1:
        raise UsageError(f"objective.condition={condition!r}: n=1 has one eigenvalue only; set objective.condition=1")
    eigenvalues = SPECTRA[choice("spectrum", spectrum, SPECTRA)](n, mu, top)
    turn = whole("instance", instance, least=0)
    fn, data, minimiser, start = turned(eigenvalues, turn) if turn else plain(eigenvalues)
    return Objective(
        fn=fn,
        start=start,
        data=data,
        minimum=0.0,
        minimisers=(minimiser,),
        smoothness=top,
        strong_convexity=mu,
        laned=True,
        source="Nesterov 2004, Introductory Lectures on Convex Optimization, section 2.1",
    )


def along_axes(x: Tensor, eigenvalues: Tensor) -> Tensor:
    """1/2 sum(e_i x_i^2)."""
    return 0.5 * (eigenvalues * x**2).sum(-1)


def squared_norm(x: Tensor, minimiser: Tensor, factor: Tensor) -> Tensor:
    """1/2 |(x - x*) factor|^2, which unlike (x - x*)' A (x - x*) stays >= 0 whatever the rounding."""
    return 0.5 * (((x - minimiser) @ factor) ** 2).sum(-1)


def plain(eigenvalues: Tensor) -> Parts:
    """The instance along the axes, for which n numbers suffice."""
    return along_axes, {"eigenvalues": eigenvalues}, torch.zeros_like(eigenvalues), torch.ones_like(eigenvalues)


def turned(eigenvalues: Tensor, instance: int) -> Parts:
    """A rotated and shifted instance."""
    n, generator = len(eigenvalues), seeded(instance)
    q = rotation(n, generator)
    minimiser = torch.randn(n, generator=generator, dtype=torch.float64)
    return squared_norm, {"minimiser": minimiser, "factor": q * eigenvalues.sqrt()}, minimiser, minimiser + q.sum(1)
