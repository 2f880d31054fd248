"""Functions defined by tables of constants, with several wells: Hartmann, Shekel, Langermann, Muller-Brown and others.

The constants of minimisers and minima were solved with 50 digits and rounded once to float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gdbench.errors import UsageError
from gdbench.objectives.base import Objective
from gdbench.objectives.instances import with_instances
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import vector
from gdbench.tree import coordinates

__all__ = [
    "de_jong_5",
    "gramacy_lee",
    "hartmann3",
    "hartmann6",
    "langermann",
    "lennard_jones",
    "muller_brown",
    "shekel",
]

Hartmann = tuple[Sequence[float], Sequence[Sequence[float]], Sequence[Sequence[float]]]

HARTMANN3: Hartmann = (
    (1.0, 1.2, 3.0, 3.2),
    ((3.0, 10, 30), (0.1, 10, 35), (3.0, 10, 30), (0.1, 10, 35)),
    ((0.3689, 0.1170, 0.2673), (0.4699, 0.4387, 0.7470), (0.1091, 0.8732, 0.5547), (0.0381, 0.5743, 0.8828)),
)
"""Depths, inverse widths and centres of the four wells in three dimensions."""

HARTMANN6: Hartmann = (
    (1.0, 1.2, 3.0, 3.2),
    (
        (10, 3, 17, 3.5, 1.7, 8),
        (0.05, 10, 17, 0.1, 8, 14),
        (3, 3.5, 1.7, 10, 17, 8),
        (17, 8, 0.05, 10, 0.1, 14),
    ),
    (
        (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
        (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
        (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
        (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
    ),
)
"""Depths, inverse widths and centres of the four wells in six dimensions."""

SHEKEL = (
    (0.1, (4, 4, 4, 4)),
    (0.2, (1, 1, 1, 1)),
    (0.2, (8, 8, 8, 8)),
    (0.4, (6, 6, 6, 6)),
    (0.4, (3, 7, 3, 7)),
    (0.6, (2, 9, 2, 9)),
    (0.3, (5, 5, 3, 3)),
    (0.7, (8, 1, 8, 1)),
    (0.5, (6, 2, 6, 2)),
    (0.5, (7, 3.6, 7, 3.6)),
)
"""Widths and centres of the ten wells."""

LANGERMANN = ((1, (3, 5)), (2, (5, 2)), (5, (2, 1)), (2, (1, 4)), (3, (7, 9)))
"""Amplitudes and centres of the five terms."""

FOXHOLES = tuple((a, b) for b in (-32, -16, 0, 16, 32) for a in (-32, -16, 0, 16, 32))
"""The centres of the 25 holes."""

MULLER_BROWN = (
    (-200, -1, 0, -10, 1, 0),
    (-100, -1, 0, -10, 0, 0.5),
    (-170, -6.5, 11, -6.5, -0.5, 1.5),
    (15, 0.7, 0.6, 0.7, -1, 1),
)
"""Amplitude, the three coefficients of the exponent and the centre of each of the four terms."""


def to_tensor(rows: Sequence[Sequence[float]] | Sequence[float]) -> Tensor:
    """Convert constants to a float64 tensor."""
    return torch.tensor(rows, dtype=torch.float64)


def negative_gaussian_sum(x: Tensor, height: Tensor, sharpness: Tensor, centre: Tensor) -> Tensor:
    """Evaluate -sum_i h_i exp(-sum_j s_ij (x_j - c_ij)^2)."""
    return -(height * torch.exp(-(sharpness * (x[..., None, :] - centre) ** 2).sum(-1))).sum(-1)


@with_instances
def hartmann3() -> Objective:
    """Four Gaussian wells in three dimensions.

    f(x) = -sum_i h_i exp(-sum_j s_ij (x_j - c_ij)^2), i = 1 ... 4, with the constants of ``HARTMANN3``, x of shape [3].
    Start (0.5, 0.5, 0.5), the middle of the customary box [0, 1]^3. Minimum -3.862780 at
    (0.114589, 0.555649, 0.852547). Hartman 1973, Naval Research Logistics Quarterly 20:569; the constants are those of
    Dixon and Szego 1978, Towards Global Optimisation 2.
    """
    return _build_hartmann(HARTMANN3, -3.8627797873326624, (0.11458887665506896, 0.55564889461693, 0.8525469846866774))


@with_instances
def hartmann6() -> Objective:
    """Four Gaussian wells in six dimensions.

    f(x) = -sum_i h_i exp(-sum_j s_ij (x_j - c_ij)^2), i = 1 ... 4, with the constants of ``HARTMANN6``, x of shape [6].
    Start (0.5, ..., 0.5), the middle of the customary box [0, 1]^6. Minimum -3.322368 at
    (0.201690, 0.150011, 0.476874, 0.275332, 0.311652, 0.657301). Hartman 1973; Dixon and Szego 1978.
    """
    least = (
        0.20168951100670543, 0.15001069182345797, 0.476873974221897,
        0.2753324304940561, 0.31165161660011326, 0.6573005340656203,
    )  # fmt: skip
    return _build_hartmann(HARTMANN6, -3.3223680114155147, least)


def _build_hartmann(constants: Hartmann, minimum: float, minimiser: Sequence[float]) -> Objective:
    """Build an objective from depths, inverse widths and centres of wells."""
    heights, sharpness, centres = constants
    return Objective(
        fn=negative_gaussian_sum,
        start=torch.full((len(minimiser),), 0.5, dtype=torch.float64),
        data={"height": to_tensor(heights), "sharpness": to_tensor(sharpness), "centre": to_tensor(centres)},
        minimum=minimum,
        minimisers=(vector(*minimiser),),
        laned=True,
        source="Hartman 1973; Dixon and Szego 1978",
    )


SHEKEL_MINIMA = {
    5: (-10.153199679058227, (4.000037152819676, 4.00013327659156, 4.000037152819676, 4.00013327659156)),
    7: (-10.40294056681866, (4.000572916185823, 4.000689366185305, 3.9994897088591506, 3.9996061588586316)),
    10: (-10.536409816692043, (4.000746531592046, 4.000592934138532, 3.9996633980403224, 3.9995098005868077)),
}
"""Minimum and minimiser, by the number of wells."""


@with_instances
def shekel(wells: int = 10) -> Objective:
    """Shekel's foxholes: wells with heavy tails in four dimensions.

    f(x) = -sum_i 1 / (|x - a_i|^2 + c_i), with the constants of ``SHEKEL``, of which ``wells`` takes the first 5, 7 or
    10, x of shape [4]. Start (3, 3.5, 3, 3.5). Minimum -10.153200, -10.402941 or -10.536410 near (4, 4, 4, 4). Raises
    UsageError for another number of wells. Shekel 1971, fifth Princeton conference on information sciences; the
    constants are those of Dixon and Szego 1978, whose seventh well is at (5, 5, 3, 3).
    """
    if wells not in SHEKEL_MINIMA:
        raise UsageError(f"objective.wells={wells!r}: it must be 5, 7 or 10; try objective.wells=10")
    minimum, minimiser = SHEKEL_MINIMA[wells]

    def fn(x: Tensor, width: Tensor, centre: Tensor) -> Tensor:
        return -(1 / (((x[..., None, :] - centre) ** 2).sum(-1) + width)).sum(-1)

    widths, centres = zip(*SHEKEL[:wells], strict=True)
    return Objective(
        fn=fn,
        start=vector(3, 3.5, 3, 3.5),
        data={"width": to_tensor(widths), "centre": to_tensor(centres)},
        minimum=minimum,
        minimisers=(vector(*minimiser),),
        laned=True,
        source="Shekel 1971; Dixon and Szego 1978",
    )


@with_instances
def langermann() -> Objective:
    """Damped cosines of the squared distances to five points.

    f(x, y) = sum_i c_i exp(-d_i / pi) cos(pi d_i), d_i the squared distance to the i-th point, with the constants of
    ``LANGERMANN``, point of shape [2]. Start (3, 2). Minimum -4.155809 at (2.793402, 1.597233). Molga and Smutnicki
    2005, Test Functions for Optimization Needs.
    """

    def fn(x: Tensor, height: Tensor, centre: Tensor) -> Tensor:
        square = ((x[..., None, :] - centre) ** 2).sum(-1)
        return (height * torch.exp(square / -math.pi) * torch.cos(math.pi * square)).sum(-1)

    heights, centres = [height for height, _ in LANGERMANN], [centre for _, centre in LANGERMANN]
    return Objective(
        fn=fn,
        start=vector(3, 2),
        data={"height": to_tensor(heights), "centre": to_tensor(centres)},
        minimum=-4.155809291847785,
        minimisers=(vector(2.7934022086450367, 1.5972325013283601),),
        laned=True,
        source="Molga and Smutnicki 2005",
    )


@with_instances
def de_jong_5() -> Objective:
    """Shekel's foxholes in the plane: 25 steep holes in a plateau.

    f(x, y) = 1 / (0.002 + sum_i 1 / (i + (x - a_i)^6 + (y - b_i)^6)), the centres (a_i, b_i) on the grid of -32, -16,
    0, 16, 32, x first, point of shape [2]. Start (-30, -30). Minimum 0.998004 at (-31.978335, -31.978335). De Jong
    1975, thesis, F5.
    """

    def fn(point: Tensor, centre: Tensor, rank: Tensor) -> Tensor:
        sixth = ((point[..., None, :] - centre) ** 6).sum(-1)
        return 1 / (0.002 + (1 / (rank + sixth)).sum(-1))

    return Objective(
        fn=fn,
        start=vector(-30, -30),
        data={"centre": to_tensor(FOXHOLES), "rank": torch.arange(1.0, 26.0, dtype=torch.float64)},
        minimum=0.9980038377944502,
        minimisers=(vector(-31.97833483565697, -31.978334837300796),),
        laned=True,
        source="De Jong 1975",
    )


@with_instances
def muller_brown() -> Objective:
    """A model potential energy surface: three minima, connected by curved paths.

    f(x, y) = sum_i h_i exp(a_i u^2 + b_i u v + c_i v^2), u = x - x_i, v = y - y_i, i = 1 ... 4, with the constants of
    ``MULLER_BROWN``, point of shape [2]. Start (0, 1). Minimum -146.699517 at (-0.558224, 1.441726); local minima
    -108.1667 at (0.623499, 0.028038) and -80.7678 at (-0.050011, 0.466694). Muller and Brown 1979, Theoretica Chimica
    Acta 53:75.
    """

    def fn(point: Tensor, height: Tensor, a: Tensor, b: Tensor, c: Tensor, at: Tensor) -> Tensor:
        u, v = (point[..., None, :] - at).unbind(-1)
        return (height * torch.exp(a * u**2 + b * u * v + c * v**2)).sum(-1)

    columns = to_tensor(MULLER_BROWN).T.contiguous()
    return Objective(
        fn=fn,
        start=vector(0, 1),
        data=dict(zip(("height", "a", "b", "c"), columns, strict=False)) | {"at": columns[4:].T.contiguous()},
        minimum=-146.69951720995402,
        minimisers=(vector(-0.5582236346330243, 1.4417258418046686),),
        laned=True,
        source="Muller and Brown 1979",
    )


@with_instances
def gramacy_lee() -> Objective:
    """One minimum and one maximum, with a gradient that vanishes far away.

    f(x, y) = x exp(-x^2 - y^2), point of shape [2]. Start (0.3, 0.8). Minimum -1 / sqrt(2 e) = -0.428882 at
    (-1 / sqrt(2), 0). Gramacy and Lee 2008, Journal of the American Statistical Association 103:1119.
    """

    def fn(point: Tensor) -> Tensor:
        x, y = coordinates(point)
        return x * torch.exp(-(x**2) - y**2)

    return Objective(
        fn=fn,
        start=vector(0.3, 0.8),
        minimum=-1 / math.sqrt(2 * math.e),
        minimisers=(vector(-1 / math.sqrt(2), 0),),
        laned=True,
        source="Gramacy and Lee 2008",
    )


def lennard_jones(atoms: int = 4) -> Objective:
    """The energy of a cluster of atoms with attraction at long and repulsion at short distance.

    f(x) = 4 sum_{i < j} r_ij^-12 - r_ij^-6, r_ij the distance of two atoms, x of shape [atoms, 3]. Start: a helix,
    (cos i, sin i, 0.6 i) for i = 0, 1, ... For 2, 3 and 4 atoms the minimum is -1, -3 and -6, with all distances
    2^(1/6); of its rotations, shifts and orders one is stated. For more atoms no minimum is stated. Raises UsageError
    for atoms < 2. Jones 1924, Proceedings of the Royal Society A 106:463; as a test of optimisers Hoare and Pal 1971,
    Advances in Physics 20:161.
    """
    check_int("atoms", atoms, least=2)

    def fn(x: Tensor, one: Tensor, other: Tensor) -> Tensor:
        apart = x.index_select(-2, one) - x.index_select(-2, other)
        cubed = (apart**2).sum(-1) ** -3
        return 4 * (cubed * (cubed - 1)).sum(-1)

    one, other = torch.triu_indices(atoms, atoms, offset=1)
    turn = torch.arange(atoms, dtype=torch.float64)
    simplex = 2 ** (1 / 6) / math.sqrt(8) * to_tensor(((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)))
    known = atoms <= 4
    return Objective(
        fn=fn,
        start=torch.stack([turn.cos(), turn.sin(), 0.6 * turn], dim=-1),
        data={"one": one, "other": other},
        minimum=-atoms * (atoms - 1) / 2 if known else None,
        minimisers=(simplex[:atoms],) if known else (),
        laned=True,
        source="Jones 1924",
    )
