"""Problems of Moré, Garbow and Hillstrom that fit a model to measured data."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import coordinate_columns, format_source, sum_of_squares
from gdbench.objectives.vectors import vector

__all__ = ["bard", "gaussian", "kowalik_osborne", "meyer", "osborne1", "osborne2"]


def arithmetic_sequence(first: float, count: int, width: float) -> Tensor:
    """``count`` numbers from ``first`` on, ``width`` apart."""
    return first + width * torch.arange(count, dtype=torch.float64)


def bard() -> Objective:
    """A rational model with three parameters.

    f(x) = sum_i (y_i - x_1 - u_i / (v_i x_2 + w_i x_3))^2, i = 1 ... 15, u_i = i, v_i = 16 - i, w_i = min(u_i, v_i),
    point of shape [3]. Start (1, 1, 1), where f = 41.68. Minimum 8.214877306578975e-3 at (0.082411, 1.133036,
    2.343695); f falls to 17.4286 as x_2 and x_3 go to -inf at x_1 = 0.8406. Problem 8; Bard 1970.
    """

    def fn(x: Tensor, u: Tensor, v: Tensor, w: Tensor, y: Tensor) -> Tensor:
        a, b, c = coordinate_columns(x)
        return sum_of_squares(y - (a + u / (v * b + w * c)))

    u = arithmetic_sequence(1, 15, 1)
    y = vector(0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
    return Objective(
        fn=fn,
        start=vector(1, 1, 1),
        data={"u": u, "v": 16 - u, "w": torch.minimum(u, 16 - u), "y": y},
        minimum=0.008214877306578975,
        minimum_kind="computed",
        minimisers=(vector(0.08241055974978893, 1.1330360920297216, 2.343695178642537),),
        laned=True,
        source=format_source(8),
    )


def gaussian() -> Objective:
    """A Gaussian fitted to data, from a start near the minimum.

    f(x) = sum_i (x_1 exp(-x_2 (t_i - x_3)^2 / 2) - y_i)^2, t_i = (8 - i) / 2, i = 1 ... 15, point of shape [3]. Start
    (0.4, 1, 0), where f = 3.9e-6. Minimum 1.127932769618648e-8 at (0.398956, 1.000019, 0). Problem 9.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a, b, c = coordinate_columns(x)
        return sum_of_squares(a * torch.exp(-b * (t - c) ** 2 / 2) - y)

    left = vector(0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521)
    return Objective(
        fn=fn,
        start=vector(0.4, 1, 0),
        data={"t": arithmetic_sequence(3.5, 15, -0.5), "y": torch.cat([left, vector(0.3989), left.flip(0)])},
        minimum=1.127932769618648e-08,
        minimum_kind="computed",
        minimisers=(vector(0.39895613783875666, 1.0000190844878056, 0.0),),
        laned=True,
        source=format_source(9),
    )


def meyer() -> Objective:
    """The resistance of a thermistor, with parameters that differ by five orders of magnitude.

    f(x) = sum_i (x_1 exp(x_2 / (t_i + x_3)) - y_i)^2, t_i = 45 + 5 i, i = 1 ... 16, point of shape [3]. Start
    (0.02, 4000, 250), where f = 1.7e9. Minimum 87.94585517085112 at (0.0056096, 6181.346, 345.2236), where the
    eigenvalues of the Hessian reach from 0.025 to 2.5e14. Problem 10; Meyer 1970.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a, b, c = coordinate_columns(x)
        return sum_of_squares(a * torch.exp(b / (t + c)) - y)

    low = (34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744)
    high = (8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872)
    return Objective(
        fn=fn,
        start=vector(0.02, 4000, 250),
        data={"t": arithmetic_sequence(50, 16, 5), "y": vector(*low, *high)},
        minimum=87.94585517085112,
        minimum_kind="computed",
        minimisers=(vector(0.005609636471028053, 6181.346346286372, 345.2236346241365),),
        laned=True,
        source=format_source(10),
    )


def kowalik_osborne() -> Objective:
    """A rational model of enzyme kinetics with four parameters.

    f(x) = sum_i (y_i - x_1 (u_i^2 + u_i x_2) / (u_i^2 + u_i x_3 + x_4))^2, i = 1 ... 11, point of shape [4]. Start
    (0.25, 0.39, 0.415, 0.39), where f = 5.3e-3. Minimum 3.0750560384923745e-4 at (0.192807, 0.191282, 0.123057,
    0.136062); f falls to 1.02734e-3 as x_1 goes to inf and x_3 and x_4 to -inf at x_2 = -14.07. u_11 is the paper's
    0.0625; CUTEst has 0.0624. Problem 15; Kowalik and Osborne 1968.
    """

    def fn(x: Tensor, u: Tensor, y: Tensor) -> Tensor:
        a, b, c, d = coordinate_columns(x)
        return sum_of_squares(y - a * (u**2 + u * b) / (u**2 + u * c + d))

    u = vector(4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
    y = vector(0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
    return Objective(
        fn=fn,
        start=vector(0.25, 0.39, 0.415, 0.39),
        data={"u": u, "y": y},
        minimum=0.00030750560384923745,
        minimum_kind="computed",
        minimisers=(vector(0.19280693457903786, 0.19128232873436696, 0.12305650692632066, 0.13606233068379484),),
        laned=True,
        source=format_source(15),
    )


def osborne1() -> Objective:
    """A sum of a constant and two slowly decaying exponentials, fitted to data.

    f(x) = sum_i (y_i - x_1 - x_2 exp(-t_i x_4) - x_3 exp(-t_i x_5))^2, t_i = 10 (i - 1), i = 1 ... 33, point of shape
    [5]. Start (0.5, 1.5, -1, 0.01, 0.02), where f = 0.879; other collections start x_3 at +1. Minimum
    5.464894697482907e-5 at (0.375410, 1.935847, -1.464687, 0.0128675, 0.0221227). Problem 17; Osborne 1972.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a, b, c, d, e = coordinate_columns(x)
        return sum_of_squares(y - (a + b * torch.exp(-t * d) + c * torch.exp(-t * e)))

    return Objective(
        fn=fn,
        start=vector(0.5, 1.5, -1, 0.01, 0.02),
        data={"t": arithmetic_sequence(0, 33, 10), "y": vector(*OSBORNE1)},
        minimum=5.464894697482907e-05,
        minimum_kind="computed",
        minimisers=(
            vector(
                0.37541005210695205, 1.9358469127123674, -1.464687136613423, 0.012867534640057288, 0.02212269966167261
            ),
        ),
        laned=True,
        source=format_source(17),
    )


OSBORNE1 = (
    *(0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603),
    *(0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411),
    0.406,
)
"""The data of ``osborne1``."""


def osborne2() -> Objective:
    """A sum of a decaying exponential and three Gaussians with eleven parameters, fitted to data.

    f(x) = sum_i (y_i - x_1 exp(-t_i x_5) - sum_k x_k exp(-(t_i - x_{k+7})^2 x_{k+4}))^2, k = 2, 3, 4,
    t_i = (i - 1) / 10, i = 1 ... 65, point of shape [11]. Start (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5),
    where f = 2.09342. Minimum 4.013773629354773e-2 at (1.31, 0.432, 0.634, 0.599, 0.754, 0.904, 1.366, 4.824, 2.399,
    4.569, 5.675). Problem 19; Osborne 1972.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a1, a2, a3, a4, decay, w2, w3, w4, t2, t3, t4 = coordinate_columns(x)
        bells = sum(a * torch.exp(-((t - s) ** 2) * w) for a, w, s in ((a2, w2, t2), (a3, w3, t3), (a4, w4, t4)))
        return sum_of_squares(y - (a1 * torch.exp(-t * decay) + bells))

    return Objective(
        fn=fn,
        start=vector(1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5),
        data={"t": arithmetic_sequence(0, 65, 0.1), "y": vector(*OSBORNE2)},
        minimum=0.040137736293547735,
        minimum_kind="computed",
        minimisers=(vector(*OSBORNE2_MINIMISER),),
        laned=True,
        source=format_source(19),
    )


OSBORNE2 = (
    *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606),
    *(0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423),
    *(0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668),
    *(0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098),
    0.054,
)
"""The data of ``osborne2``."""
OSBORNE2_MINIMISER = (
    *(1.3099771546273005, 0.4315537946029889, 0.633661698960724, 0.5994305347859163, 0.7541832263280113),
    *(0.9042885798596336, 1.3658118352370285, 4.8236988172271555, 2.3986848661317546, 4.568874597667672),
    5.6753414705806415,
)
"""The minimiser of ``osborne2``."""
