"""bbob's multimodal functions with a weak global structure, f20 to f24."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gdbench.objectives.base import Objective
from gdbench.objectives.bbob.coco_rng import draw_normal, draw_uniform
from gdbench.objectives.bbob.instance import Instance
from gdbench.objectives.bbob.transforms import (
    apply_matrix,
    apply_matrix_in_order,
    boundary_penalty,
    condition_diagonal,
    oscillate_with,
    ranked_diagonal,
    root_power,
)

__all__ = [
    "bbob_f20_schwefel",
    "bbob_f21_gallagher_101",
    "bbob_f22_gallagher_21",
    "bbob_f23_katsuura",
    "bbob_f24_lunacek",
]

SCHWEFEL_BEST, SCHWEFEL_SHIFT = 4.2096874633, 4.2096874637
"""A hundredth of 420.96874636, the maximiser of z sin sqrt(z) below 500, in the two roundings that COCO has."""


def bbob_f20_schwefel(n: int = 10, instance: int = 1) -> Objective:
    """Schwefel's function: f(x) = 0.01 (418.9828872724339 - mean_i z_i sin sqrt|z_i| + sum_i (|z_i| - 500)_+^2) + f*.

    z = 100 (Lambda^10 (y - c) + c) with y_i = 2 s_i x_i + (2 s_{i-1} x_{i-1} - c) / 4, the second term only for i > 1,
    s the signs of x*, c = 4.2096874637. COCO has x* = 4.2096874633 s / 2, which is accurate to 10 digits.
    """
    own = Instance(20, n, instance)
    sign = torch.where(torch.from_numpy(draw_uniform(n, own.seed)) < 0.5, -1.0, 1.0).to(torch.float64)
    best = 0.5 * SCHWEFEL_BEST * sign

    def fn(x: Tensor, sign: Tensor, scale: Tensor) -> Tensor:
        turned = 2 * sign * x
        before = torch.nn.functional.pad(turned[..., :-1] - SCHWEFEL_SHIFT, (1, 0))
        z = 100 * (scale * (turned + 0.25 * before - SCHWEFEL_SHIFT) + SCHWEFEL_SHIFT)
        beyond = (torch.clamp(z.abs() - 500, min=0) ** 2).sum(-1)
        return 0.01 * (beyond + 418.9828872724339 - (z * torch.sin(root_power(z.abs(), 0.5))).mean(-1))

    return own.build(fn, best, {"sign": sign, "scale": condition_diagonal(math.sqrt(10), n)})


def _build_gallagher(own: Instance, count: int, first_condition: float, width: float) -> Objective:
    """Build Gallagher's peaks at random places in [-width / 2, width / 2]^n; the first one, scaled by 0.8, is best."""
    n, turn = own.n, own.second_rotation()
    order = torch.from_numpy(np.argsort(draw_uniform(count - 1, own.seed), kind="stable")).double()
    conditions = torch.cat([torch.tensor([first_condition], dtype=torch.float64), ranked_diagonal(1000.0, order)])
    heights = [10.0, *(1.1 + 8 * i / (count - 2) for i in range(count - 1))]
    ranks = np.stack([np.argsort(draw_uniform(n, own.seed + 1000 * i), kind="stable") for i in range(count)])
    scales = conditions[:, None] ** (torch.from_numpy(ranks).double() / (n - 1) - 0.5)
    places = torch.from_numpy(width * draw_uniform(n * count, own.seed) - width / 2).reshape(count, n)
    places[0] *= 0.8

    def fn(x: Tensor, turn: Tensor, scale: Tensor, centre: Tensor, height: Tensor) -> Tensor:
        apart = apply_matrix(x, turn)[..., None, :] - centre
        highest = (height * torch.exp(-0.5 / n * (scale * apart**2).sum(-1))).amax(-1)
        return oscillate_with(10 - highest, (1.0, 0.79), (0.55, 0.31)) ** 2 + boundary_penalty(x)

    data = {
        "turn": turn,
        "scale": scales,
        "centre": places @ turn.T,
        "height": torch.tensor(heights, dtype=torch.float64),
    }
    return own.build(fn, places[0].clone(), data)


def bbob_f21_gallagher_101(n: int = 10, instance: int = 1) -> Objective:
    """Gallagher's 101 Gaussian peaks: f(x) = T_osz(10 - max_i w_i exp(-d_i' C_i d_i / (2n)))^2 + f_pen(x) + f*.

    d_i = R (x - y_i), the distance from a peak.
    Peaks of conditions up to 1000 at random places in [-5, 5]^n; the best, of condition sqrt(1000), has the height
    w = 10, the others 1.1 to 9.1.
    """
    return _build_gallagher(Instance(21, n, instance), 101, math.sqrt(1000), 10)


def bbob_f22_gallagher_21(n: int = 10, instance: int = 1) -> Objective:
    """Gallagher's 21 Gaussian peaks: as f21, in [-4.9, 4.9]^n, the best of condition 1000."""
    return _build_gallagher(Instance(22, n, instance), 21, 1000, 9.8)


def bbob_f23_katsuura(n: int = 10, instance: int = 1) -> Objective:
    """Katsuura's function, not smooth anywhere.

    f(x) = 10/n^2 (prod_i (1 + i r(z_i))^(10 / n^1.2) - 1) + f_pen(x) + f*,

    r(t) = sum_j |2^j t - [2^j t]| / 2^j, j = 1 ... 32, [.] rounding to the nearest whole number, z = R Lambda^100 Q
    (x - x*).
    """
    own = Instance(23, n, instance)
    best = own.optimum()

    def fn(x: Tensor, best: Tensor, matrix: Tensor, index: Tensor, octave: Tensor) -> Tensor:
        scaled = apply_matrix_in_order(x - best, matrix)[..., None] * octave
        rough = ((scaled - torch.floor(scaled + 0.5)).abs() / octave).sum(-1)
        grown = torch.log1p(index * rough).sum(-1) * (10 / n**1.2)
        return 10 / n**2 * torch.expm1(grown) + boundary_penalty(x)

    index = torch.arange(1, n + 1, dtype=torch.float64)
    octave = 2.0 ** torch.arange(1, 33, dtype=torch.float64)
    return own.build(fn, best, {"best": best, "matrix": own.conditioned_matrix(10), "index": index, "octave": octave})


NEAR, LIFT = 2.5, 1.0
"""Lunacek's mu_0, the centre of the global funnel, and d, the offset of the other funnel per coordinate."""


def bbob_f24_lunacek(n: int = 10, instance: int = 1) -> Objective:
    """Lunacek's double funnel plus Rastrigin's cosines; the wider funnel does not hold the minimum.

    f(x) = min(sum_i (y_i - mu_0)^2, n + s sum_i (y_i - mu_1)^2) + 10 (n - sum_i cos(2 pi z_i)) + 1e4 f_pen(x) + f*,
    y = 2 sign(x*) x, z = R Lambda^100 Q (y - mu_0), mu_0 = 2.5, s = 1 - 1 / (2 sqrt(n + 20) - 8.2),
    mu_1 = -sqrt((mu_0^2 - 1) / s), x* = +-mu_0 / 2.
    """
    own = Instance(24, n, instance)
    sign = torch.where(torch.from_numpy(draw_normal(n, own.seed)) < 0, -1.0, 1.0).to(torch.float64)
    width = 1 - 0.5 / (math.sqrt(n + 20) - 4.1)
    far = -math.sqrt((NEAR**2 - LIFT) / width)

    def fn(x: Tensor, sign: Tensor, matrix: Tensor) -> Tensor:
        y = 2 * sign * x
        narrow, wide = ((y - NEAR) ** 2).sum(-1), LIFT * n + width * ((y - far) ** 2).sum(-1)
        waves = 20 * (torch.sin(math.pi * apply_matrix_in_order(y - NEAR, matrix)) ** 2).sum(-1)
        return torch.minimum(narrow, wide) + waves + 1e4 * boundary_penalty(x)

    return own.build(fn, 0.5 * NEAR * sign, {"sign": sign, "matrix": own.conditioned_matrix(10)})
