"""Convex quadratics with a given dimension, condition number and spectrum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective, make_generator
from gdbench.objectives.instances import apply_fixed_rotation, random_rotation
from gdbench.objectives.validation import check_bool, check_choice, check_float, check_int

__all__ = ["quadratic"]

SPECTRA: dict[str, Callable[[int, float, float], Tensor]] = {
    "uniform": lambda n, mu, top: torch.linspace(mu, top, n, dtype=torch.float64),
    "geometric": lambda n, mu, top: top * (mu / top) ** torch.linspace(1, 0, n, dtype=torch.float64),
    "clustered": lambda n, mu, top: torch.tensor([mu] * (n // 2) + [top] * (n - n // 2), dtype=torch.float64),
    "outlier": lambda n, mu, top: torch.tensor([mu] * (n - 1) + [top], dtype=torch.float64),
}
"""n ascending eigenvalues from mu to L: linearly or logarithmically spaced, half mu and half L, or all mu but one."""

MOST_ROTATED = 4096
"""A rotation is a matrix of n^2 numbers: 134 MB for 4096 coordinates."""

Parts = tuple[Callable[..., Tensor], dict[str, Tensor], Tensor, Tensor]
"""Function, data, minimiser and start of an instance."""


def quadratic(
    n: int = 10,
    condition: float = 100.0,
    spectrum: str = "geometric",
    smoothness: float = 1.0,
    instance: int = 0,
    rotated: bool = True,
) -> Objective:
    """A strongly convex quadratic with prescribed eigenvalues.

    f(x) = 1/2 (x - x*)' Q diag(e) Q' (x - x*), x of shape [n], with e_1 = mu = smoothness / condition up to
    e_n = L = smoothness, spaced as ``spectrum`` says: uniform, geometric, clustered (lower half mu, upper half L) or
    outlier (all mu but the last). Start x* + Q (1, ..., 1), where f = sum(e) / 2. Minimum 0 at x*.

    ``instance`` 0 has x* = 0, and for Q a dense product of Givens rotations by fixed angles, equal to the bit on every
    machine. Every other instance draws Q uniformly from the rotations and reflections (QR of a Gaussian matrix,
    Mezzadri 2007, Notices AMS 54:592) and x* from a standard normal. They are one problem in different coordinates:
    rotation-invariant methods, such as gradient descent, have the same losses on each.

    ``rotated=false`` has Q = I, the eigenvectors along the axes and the start on a diagonal. That favours
    coordinate-wise methods: from there one step of sign descent with lr = 1 reaches the minimum.

    Raises UsageError for n < 1, n > 4096 where it is rotated, condition < 1 (or != 1 where n = 1), smoothness <= 0,
    instance < 0 or an unknown spectrum.
    """
    check_int("n", n, least=1)
    if check_bool("rotated", rotated) and n > MOST_ROTATED:
        raise UsageError(
            f"objective.n={n}: rotated, it is a matrix of n x n numbers, and n at most {MOST_ROTATED}; set"
            " objective.rotated=false"
        )
    top = check_float("smoothness", smoothness, least=0, example=1, above=True)
    mu = top / check_float("condition", condition, least=1, example=100)
    if n == 1 and condition != 1:
        raise UsageError(f"objective.condition={condition!r}: n=1 has one eigenvalue only; set objective.condition=1")
    eigenvalues = SPECTRA[check_choice("spectrum", spectrum, SPECTRA)](n, mu, top)
    build_parts = build_rotated_parts if rotated else build_axis_parts
    fn, data, minimiser, start = build_parts(eigenvalues, check_int("instance", instance, least=0))
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


def axis_quadratic(x: Tensor, eigenvalues: Tensor, minimiser: Tensor | None = None) -> Tensor:
    """Evaluate 1/2 sum(e_i (x_i - x*_i)^2); without a ``minimiser`` x* is 0."""
    return 0.5 * (eigenvalues * (x if minimiser is None else x - minimiser) ** 2).sum(-1)


def rotated_quadratic(x: Tensor, factor: Tensor, minimiser: Tensor | None = None) -> Tensor:
    """Evaluate 1/2 |(x - x*) factor|^2, which unlike (x - x*)' A (x - x*) is >= 0 whatever the rounding."""
    return 0.5 * (((x if minimiser is None else x - minimiser) @ factor) ** 2).sum(-1)


def build_axis_parts(eigenvalues: Tensor, instance: int) -> Parts:
    """Build the parts of an instance whose eigenvectors are the axes, which needs n numbers only."""
    ones = torch.ones_like(eigenvalues)
    if not instance:
        return axis_quadratic, {"eigenvalues": eigenvalues}, torch.zeros_like(ones), ones
    minimiser = torch.randn(len(ones), generator=make_generator(instance), dtype=torch.float64)
    return axis_quadratic, {"eigenvalues": eigenvalues, "minimiser": minimiser}, minimiser, minimiser + 1


def build_rotated_parts(eigenvalues: Tensor, instance: int) -> Parts:
    """Build the parts of an instance whose eigenvectors are the columns of a rotation."""
    n, generator = len(eigenvalues), make_generator(instance)
    if not instance:
        turned = apply_fixed_rotation(torch.cat([torch.eye(n, dtype=torch.float64), torch.ones(n, 1).double()], 1))
        q, start = turned[:, :n], turned[:, n].clone()
        return rotated_quadratic, {"factor": q * eigenvalues.sqrt()}, torch.zeros_like(start), start
    q = random_rotation(n, generator)
    minimiser = torch.randn(n, generator=generator, dtype=torch.float64)
    return (
        rotated_quadratic,
        {"minimiser": minimiser, "factor": q * eigenvalues.sqrt()},
        minimiser,
        minimiser + q.sum(1),
    )
