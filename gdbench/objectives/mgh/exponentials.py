"""Problems of Moré, Garbow and Hillstrom that fit exponentials; m residuals."""

from __future__ import annotations

import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.mgh import coordinate_columns, format_source, sum_of_squares
from gdbench.objectives.validation import check_int
from gdbench.objectives.vectors import ramp, vector

__all__ = ["biggs_exp6", "box_3d", "brown_dennis", "gulf", "jennrich_sampson"]


def jennrich_sampson(m: int = 10) -> Objective:
    """Two exponentials fitted to a straight line, with a large minimum.

    f(x, y) = sum_i (2 + 2 i - exp(i x) - exp(i y))^2, i = 1 ... m, point of shape [2]. Start (0.3, 0.4), where
    f = 4171.3. Minimum 124.36218235561486 at x = y = 0.2578252136703641 for m = 10; for another m it is not known, but
    at least 0. Raises UsageError for m < 2. Problem 6; Jennrich and Sampson 1968.
    """

    def fn(point: Tensor, i: Tensor) -> Tensor:
        x, y = coordinate_columns(point)
        return sum_of_squares(2 + 2 * i - (torch.exp(i * x) + torch.exp(i * y)))

    stated = check_int("m", m, least=2) == 10
    return Objective(
        fn=fn,
        start=vector(0.3, 0.4),
        data={"i": ramp(m)},
        minimum=124.36218235561485 if stated else 0.0,
        minimum_kind="computed" if stated else "lower_bound",
        minimisers=(vector(0.2578252136703641, 0.2578252136703641),) if stated else (),
        laned=True,
        source=format_source(6),
    )


def gulf(m: int = 99) -> Objective:
    """A Weibull distribution, fitted to its own values.

    f(x) = sum_i (exp(-|y_i - x_2|^x_3 / x_1) - t_i)^2, t_i = i / 100, y_i = 25 + (-50 ln t_i)^(2/3), i = 1 ... m, point
    of shape [3]. Start (5, 2.5, 0.15), where f = 12.11 for m = 99. Minimum 0 at (50, 25, 1.5). The paper prints the
    bracket as y_i m i x_2, which its own solution does not solve; this is what was meant. Raises UsageError unless
    3 <= m <= 100. Problem 11, Gulf research and development; Cox 1969.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a, b, c = coordinate_columns(x)
        return sum_of_squares(torch.exp(-((y - b).abs() ** c) / a) - t)

    t = ramp(check_int("m", m, least=3, most=100)) / 100
    return Objective(
        fn=fn,
        start=vector(5, 2.5, 0.15),
        data={"t": t, "y": 25 + (-50 * t.log()) ** (2 / 3)},
        minimum=0.0,
        minimisers=(vector(50, 25, 1.5),),
        laned=True,
        source=format_source(11),
    )


def box_3d(m: int = 10) -> Objective:
    """Three parameters of two exponentials, with a line of minima.

    f(x) = sum_i (exp(-t_i x_1) - exp(-t_i x_2) - x_3 (exp(-t_i) - exp(-10 t_i)))^2, t_i = i / 10, i = 1 ... m, point of
    shape [3]. Start (0, 10, 20), where f = 1031.2 for m = 10; CUTEst starts at (0, 10, 1). Minimum 0 at (1, 10, 1), at
    (10, 1, -1) and wherever x_1 = x_2 and x_3 = 0. Raises UsageError for m < 3. Problem 12; Box 1966.
    """

    def fn(x: Tensor, t: Tensor, wave: Tensor) -> Tensor:
        a, b, c = coordinate_columns(x)
        return sum_of_squares(torch.exp(-t * a) - torch.exp(-t * b) - c * wave)

    t = ramp(check_int("m", m, least=3)) / 10
    return Objective(
        fn=fn,
        start=vector(0, 10, 20),
        data={"t": t, "wave": torch.exp(-t) - torch.exp(-10 * t)},
        minimum=0.0,
        minimisers=(vector(1, 10, 1), vector(10, 1, -1)),
        laned=True,
        source=format_source(12),
    )


def brown_dennis(m: int = 20) -> Objective:
    """Least squares of sums of squares, with a minimum of 85822.

    f(x) = sum_i ((x_1 + t_i x_2 - exp(t_i))^2 + (x_3 + x_4 sin t_i - cos t_i)^2)^2, t_i = i / 5, i = 1 ... m, point of
    shape [4]. Start (25, 5, -5, -1), where f = 7926693.3 for m = 20. Minimum 85822.20162635634 at (-11.594440,
    13.203630, -0.403439, 0.236779) for m = 20; for another m it is not known, but at least 0. Raises UsageError for
    m < 4. Problem 16; Brown and Dennis 1971.
    """

    def fn(x: Tensor, t: Tensor, exponential: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        a, b, c, d = coordinate_columns(x)
        return sum_of_squares((a + t * b - exponential) ** 2 + (c + d * sine - cosine) ** 2)

    stated = check_int("m", m, least=4) == 20
    t = ramp(m) / 5
    least = vector(-11.594439904762165, 13.203630051207204, -0.40343948817685954, 0.2367787744557363)
    return Objective(
        fn=fn,
        start=vector(25, 5, -5, -1),
        data={"t": t, "exponential": t.exp(), "sine": t.sin(), "cosine": t.cos()},
        minimum=85822.20162635634 if stated else 0.0,
        minimum_kind="computed" if stated else "lower_bound",
        minimisers=(least,) if stated else (),
        laned=True,
        source=format_source(16),
    )


def biggs_exp6(m: int = 13) -> Objective:
    """Three exponentials, fitted to their own values.

    f(x) = sum_i (x_3 exp(-t_i x_1) - x_4 exp(-t_i x_2) + x_6 exp(-t_i x_5) - y_i)^2,
    y_i = exp(-t_i) - 5 exp(-10 t_i) + 3 exp(-4 t_i), t_i = i / 10, i = 1 ... m, point of shape [6]. Start
    (1, 2, 1, 1, 1, 1), where f = 0.779 for m = 13. Minimum 0 at (1, 10, 1, 5, 4, 3) and at (4, 10, 3, 5, 1, 1); for
    m = 13 many methods converge to a local minimum of 5.65565e-3. Raises UsageError for m < 6. Problem 18; Biggs 1971.
    """

    def fn(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        a, b, c, d, e, f = coordinate_columns(x)
        return sum_of_squares(c * torch.exp(-t * a) - d * torch.exp(-t * b) + f * torch.exp(-t * e) - y)

    t = ramp(check_int("m", m, least=6)) / 10
    return Objective(
        fn=fn,
        start=vector(1, 2, 1, 1, 1, 1),
        data={"t": t, "y": torch.exp(-t) - 5 * torch.exp(-10 * t) + 3 * torch.exp(-4 * t)},
        minimum=0.0,
        minimisers=(vector(1, 10, 1, 5, 4, 3), vector(4, 10, 3, 5, 1, 1)),
        laned=True,
        source=format_source(18),
    )
