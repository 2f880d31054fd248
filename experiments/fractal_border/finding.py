"""How rough the border is between the step sizes with which a network learns and those with which it diverges."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from experiments.drawing import maps
from experiments.truth import Finding, Truth
from gdbench.engine.oracle import oracle
from gdbench.objectives import Objective
from gdbench.objectives.classification import mean_field
from gdbench.tree import Params, per_run, tree_map

SMALL = ("points=64", "steps=100", "objective.width=4")
FRAGILE = ("best_step", "final_loss", "best_loss", "status_step", "status", "gradient_evals")
"""What depends on how matrix products are summed, beside a border where the path is chaotic."""
WIDTHS = (1.0, 0.25)
"""Decades of lr that the pictures show."""
LINE = {"network": 1e3, "quadratic": 1.0}
"""The lr of the first layer on which the middle of all pictures lies."""
LANES = 256  # more at once leave the cache, and take twice as long each
PUBLISHED, WIDTH = 1.66, 16
"""The dimension of this setting, tanh in full batches, and the width of the network that has it."""
SOURCE = "Sohl-Dickstein 2024"

Image = npt.NDArray[np.bool_]

TRUTHS = (
    Truth("network: box-counting dimension of the border", 1.17, 1.98, f"over six settings: {SOURCE}"),
    Truth.about("quadratic: box-counting dimension of the border", 1.0, 0.1, "a smooth curve has dimension 1"),
    Truth("one lr: share of runs that end on the other side", 0, 0.02, "the path that the sweep walked, to rounding"),
)


def quadratic() -> Objective:
    """1/2 x^2 + 2/5 x y + 1/2 y^2, a layer being a coordinate: it converges where the larger eigenvalue is below 2."""
    one = torch.ones((), dtype=torch.float64)
    return Objective(
        fn=lambda at: 0.5 * at["first"] ** 2 + 0.4 * at["first"] * at["last"] + 0.5 * at["last"] ** 2,
        start={"first": one, "last": -one / 2},
        laned=True,
    )


def learns(objective: Objective, first: Tensor, last: Tensor, steps: int) -> Image:
    """Whether the mean of the last 20 losses is below the first, each at most 1e6 of it, for a lr ``[L]`` a layer."""
    parts = zip(first.split(LANES), last.split(LANES), strict=True)
    return np.concatenate([_learns(objective, one, other, steps) for one, other in parts])


def _learns(objective: Objective, first: Tensor, last: Tensor, steps: int) -> Image:
    ask, rates = oracle(objective, laned=True), {"first": first, "last": last}
    x: Params = tree_map(lambda leaf: leaf.expand(len(first), *leaf.shape).clone(), objective.start_at(0))
    losses: list[Tensor] = []
    for step in range(steps):
        loss, grad = ask.grad(x, step)
        losses.append(loss.detach())
        x = tree_map(lambda leaf, slope, lr: leaf - per_run(lr, leaf) * slope, x, grad, rates)
    late = torch.stack(losses[-20:]) / losses[0]
    return (torch.where(late.isfinite(), late, 1e6).clamp(max=1e6).mean(0) < 1).numpy()


def middle(objective: Objective, first: float, steps: int) -> float:
    """Where the border is met by the line along which the first layer has this lr, as log10 of the other one's."""
    up = torch.linspace(-1, 4, 101, dtype=torch.float64)
    met = np.flatnonzero(np.diff(learns(objective, torch.full_like(up, first), 10**up, steps).astype(int)))
    return float(np.median((up[met] + up[met + 1]) / 2))


@cache
def images(kind: str, width: int, points: int, steps: int) -> tuple[tuple[tuple[float, float], ...], tuple[Image, ...]]:
    """The log10 of both lrs in the middle of each picture, and the pictures: rows of one lr of the last layer."""
    objective = mean_field(width) if kind == "network" else quadratic()
    centre = np.log10(LINE[kind]), middle(objective, LINE[kind], steps)
    return centre, tuple(image(objective, centre, decades, points, steps) for decades in WIDTHS)


def image(objective: Objective, centre: tuple[float, float], decades: float, points: int, steps: int) -> Image:
    """Where in a square of both lrs the objective learns."""
    side = torch.linspace(-decades / 2, decades / 2, points, dtype=torch.float64)
    last, first = torch.meshgrid(side + centre[1], side + centre[0], indexing="ij")
    return learns(objective, 10 ** first.flatten(), 10 ** last.flatten(), steps).reshape(points, points)


def slopes(told: Image) -> list[float]:
    """By how many powers of two the boxes that meet the border get more as they get half as wide, box by box."""
    corners = np.stack([told[1:, 1:], told[:-1, 1:], told[1:, :-1], told[:-1, :-1]])
    edge = np.pad(corners.any(0) & ~corners.all(0), (0, 1))
    counts = []
    while len(edge) > 1:
        counts.append(int(edge.sum()))
        edge = edge.reshape(len(edge) // 2, 2, len(edge) // 2, 2).any((1, 3))
    return [float(np.log2(fine / coarse)) for fine, coarse in pairwise(counts) if coarse]


def sizes(runs: pd.DataFrame) -> tuple[int, int, int]:
    """The width of the network, the points a side and the steps of the sweep."""
    return int(runs["objective.width"].iloc[0]), len(runs), int(runs["steps"].iloc[0])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """The median of all slopes, of all pictures and box sizes, as in the paper; and the sweep's runs once more."""
    width, points, steps = sizes(runs)
    centre = {kind: images(kind, width, points, steps)[0] for kind in LINE}
    each = {kind: [slopes(told) for told in images(kind, width, points, steps)[1]] for kind in LINE}
    network, smooth = (float(np.median(np.concatenate(told))) for told in each.values())
    lr = torch.tensor(runs["lr"].to_numpy())
    again = learns(mean_field(width), lr, lr, steps)
    below = (runs["final_loss"] < runs["start_loss"]).to_numpy()
    near = "within 0.1 of that" if abs(network - PUBLISHED) <= 0.1 else "further than 0.1 from that"
    kind = "a repetition" if width == WIDTH and near.startswith("within") else "an illustration, no repetition"
    table = pd.DataFrame(
        {
            "decades shown": WIDTHS,
            **{f"{name}, median slope": [f"{np.median(one):.1f}" for one in told] for name, told in each.items()},
        }
    )
    return Finding(
        f"By boxes the border of the network has the dimension {network:.1f}, that of a quadratic {smooth:.1f}. The"
        f" paper tells {PUBLISHED} of tanh in full batches, at width {WIDTH}; what is found here, at width {width} and"
        f" with {points} points a side, lies {near}, and is {kind}. In the middle lr is {LINE['network']:g} for the"
        f" first layer and {10 ** centre['network'][1]:.1f} for the last.",
        dict(zip((t.quantity for t in TRUTHS), (network, smooth, float((again != below).mean())), strict=True)),
        table,
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Where the network learns, twice, and where the quadratic converges."""
    (_, network), (_, smooth) = (images(kind, *sizes(runs)) for kind in LINE)
    return maps(
        "Blue: learns. Across: lr of the first layer; up: lr of the last; both logarithmic",
        {
            f"network, {WIDTHS[0]:g} decade": network[0],
            f"network, {WIDTHS[-1]:g} decades": network[-1],
            f"quadratic, {WIDTHS[0]:g} decade": smooth[0],
        },
    )
