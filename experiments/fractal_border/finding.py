"""Box-counting dimension of the border between step sizes at which a network learns and those at which it diverges."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from experiments.drawing import draw_maps
from experiments.truth import ExperimentResult, Truth
from gdbench.engine.oracle import oracle
from gdbench.objectives import Objective
from gdbench.objectives.classification import mean_field
from gdbench.tree import Params, per_run, tree_map

SMALL = ("points=64", "steps=100", "objective.width=4")
FRAGILE = ("best_step", "final_loss", "best_loss", "status_step", "status", "gradient_evals")
"""Columns that depend on the summation order of matrix products, because trajectories near the border are chaotic."""
WIDTHS = (1.0, 0.25)
"""Decades of lr that the images show."""
LINE = {"network": 1e3, "quadratic": 1.0}
"""The lr of the first layer at the centre of all images."""
LANES = 256  # more at once do not fit into the cache, and take twice as long each
PUBLISHED, WIDTH = 1.66, 16
"""The published dimension for tanh in full batches, and the width of the network."""
SOURCE = "Sohl-Dickstein 2024"

Image = npt.NDArray[np.bool_]

TRUTHS = (
    Truth("network: box-counting dimension of the border", 1.17, 1.98, f"over six settings: {SOURCE}"),
    Truth.about("quadratic: box-counting dimension of the border", 1.0, 0.1, "a smooth curve has dimension 1"),
    Truth("one lr: share of runs that end on the other side", 0, 0.02, "the path that the sweep walked, to rounding"),
)


def build_quadratic() -> Objective:
    """Build 1/2 x^2 + 2/5 x y + 1/2 y^2, one coordinate per layer; it converges if both eigenvalues are below 2."""
    one = torch.ones((), dtype=torch.float64)
    return Objective(
        fn=lambda at: 0.5 * at["first"] ** 2 + 0.4 * at["first"] * at["last"] + 0.5 * at["last"] ** 2,
        start={"first": one, "last": -one / 2},
        laned=True,
    )


def is_learning(objective: Objective, first: Tensor, last: Tensor, steps: int) -> Image:
    """Whether the mean of the last 20 losses, limited to 1e6 times the first, is below the first; lrs are ``[L]``."""
    parts = zip(first.split(LANES), last.split(LANES), strict=True)
    return np.concatenate([_is_learning(objective, one, other, steps) for one, other in parts])


def _is_learning(objective: Objective, first: Tensor, last: Tensor, steps: int) -> Image:
    ask, rates = oracle(objective, laned=True), {"first": first, "last": last}
    x: Params = tree_map(lambda leaf: leaf.expand(len(first), *leaf.shape).clone(), objective.start_at(0))
    losses: list[Tensor] = []
    for step in range(steps):
        loss, grad = ask.grad(x, step)
        losses.append(loss.detach())
        x = tree_map(lambda leaf, slope, lr: leaf - per_run(lr, leaf) * slope, x, grad, rates)
    late = torch.stack(losses[-20:]) / losses[0]
    return (torch.where(late.isfinite(), late, 1e6).clamp(max=1e6).mean(0) < 1).numpy()


def find_middle(objective: Objective, first: float, steps: int) -> float:
    """Find log10 of the last layer's lr at which the border crosses this lr of the first layer."""
    last = torch.linspace(-1, 4, 101, dtype=torch.float64)
    crossed = np.flatnonzero(np.diff(is_learning(objective, torch.full_like(last, first), 10**last, steps).astype(int)))
    return float(np.median((last[crossed] + last[crossed + 1]) / 2))


@cache
def compute_images(
    kind: str, width: int, points: int, steps: int
) -> tuple[tuple[tuple[float, float], ...], tuple[Image, ...]]:
    """Compute log10 of both lrs at the centre of the images, and the images; a row has one lr of the last layer."""
    objective = mean_field(width) if kind == "network" else build_quadratic()
    centre = np.log10(LINE[kind]), find_middle(objective, LINE[kind], steps)
    return centre, tuple(compute_image(objective, centre, decades, points, steps) for decades in WIDTHS)


def compute_image(objective: Objective, centre: tuple[float, float], decades: float, points: int, steps: int) -> Image:
    """Compute at which lrs of a square the objective learns."""
    side = torch.linspace(-decades / 2, decades / 2, points, dtype=torch.float64)
    last, first = torch.meshgrid(side + centre[1], side + centre[0], indexing="ij")
    return is_learning(objective, 10 ** first.flatten(), 10 ** last.flatten(), steps).reshape(points, points)


def box_counting_slopes(image: Image) -> list[float]:
    """Compute log2 of the growth of the number of boxes that contain the border, each time their width is halved."""
    corners = np.stack([image[1:, 1:], image[:-1, 1:], image[1:, :-1], image[:-1, :-1]])
    edge = np.pad(corners.any(0) & ~corners.all(0), (0, 1))
    counts = []
    while len(edge) > 1:
        counts.append(int(edge.sum()))
        edge = edge.reshape(len(edge) // 2, 2, len(edge) // 2, 2).any((1, 3))
    return [float(np.log2(fine / coarse)) for fine, coarse in pairwise(counts) if coarse]


def read_sizes(runs: pd.DataFrame) -> tuple[int, int, int]:
    """Read the width of the network, the points per side and the steps from the table of runs."""
    return int(runs["objective.width"].iloc[0]), len(runs), int(runs["steps"].iloc[0])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the median of the slopes of all images and box sizes, as in the paper, and repeat the sweep's runs."""
    width, points, steps = read_sizes(runs)
    centre = {kind: compute_images(kind, width, points, steps)[0] for kind in LINE}
    slopes = {
        kind: [box_counting_slopes(image) for image in compute_images(kind, width, points, steps)[1]] for kind in LINE
    }
    network, smooth = (float(np.median(np.concatenate(values))) for values in slopes.values())
    lr = torch.tensor(runs["lr"].to_numpy())
    again = is_learning(mean_field(width), lr, lr, steps)
    below = (runs["final_loss"] < runs["start_loss"]).to_numpy()
    near = "within 0.1 of that" if abs(network - PUBLISHED) <= 0.1 else "further than 0.1 from that"
    kind = "a repetition" if width == WIDTH and near.startswith("within") else "an illustration, no repetition"
    table = pd.DataFrame(
        {
            "decades shown": WIDTHS,
            **{f"{name}, median slope": [f"{np.median(row):.1f}" for row in rows] for name, rows in slopes.items()},
        }
    )
    return ExperimentResult(
        f"By boxes the border of the network has the dimension {network:.1f}, that of a quadratic {smooth:.1f}. The"
        f" paper tells {PUBLISHED} of tanh in full batches, at width {WIDTH}; what is found here, at width {width} and"
        f" with {points} points a side, lies {near}, and is {kind}. In the middle lr is {LINE['network']:g} for the"
        f" first layer and {10 ** centre['network'][1]:.1f} for the last.",
        dict(zip((truth.quantity for truth in TRUTHS), (network, smooth, float((again != below).mean())), strict=True)),
        table,
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw where the network learns, at two scales, and where the quadratic converges."""
    (_, network), (_, smooth) = (compute_images(kind, *read_sizes(runs)) for kind in LINE)
    return draw_maps(
        "Blue: learns. Across: lr of the first layer; up: lr of the last; both logarithmic",
        {
            f"network, {WIDTHS[0]:g} decade": network[0],
            f"network, {WIDTHS[-1]:g} decades": network[-1],
            f"quadratic, {WIDTHS[0]:g} decade": smooth[0],
        },
    )
