"""Sharpness (the largest Hessian eigenvalue) along the trajectory of full-batch gradient descent."""

from __future__ import annotations

from functools import cache

import pandas as pd
import torch

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run, find_trace
from experiments.truth import ExperimentResult, Truth
from gdbench.engine.oracle import EagerOracle
from gdbench.objectives.classification import mlp_square
from gdbench.tree import Params, dot, tree_map

RATES = (0.2, 0.3)
SMALL = ("steps=400", "objective.samples=200", "objective.hidden=16")
FRAGILE = ("best_step", "final_loss", "best_loss")
"""Columns that depend on the summation order of matrix products: at the edge of stability small differences grow."""
EVERY, POWER_STEPS = 20, 12
"""Steps between two measurements of sharpness, and steps of the power method in each, from the last vector."""
SOURCE = "Cohen, Kaur, Li, Kolter, Talwalkar 2021"

TRUTHS = (
    *(
        Truth.about(f"lr {lr}: mean lr times sharpness, second half", 2, 0.2, f"at or just above 2: {SOURCE}")
        for lr in RATES
    ),
    *(
        Truth(f"lr {lr}: lr times sharpness at the start", 0, 2, f"it is training that sharpens: {SOURCE}")
        for lr in RATES
    ),
    *(Truth(f"lr {lr}: final loss over that of step half", 0, 1, f"the loss still falls: {SOURCE}") for lr in RATES),
    Truth.about(
        "replay: relative change of the loss, 100 steps", 0, 1e-6, "the path that the sweep walked, to rounding"
    ),
)


def compute_sharpness(oracle: EagerOracle, x: Params, v: Params) -> tuple[float, Params]:
    """Compute the largest eigenvalue of the Hessian and its eigenvector, by the power method."""
    for _ in range(POWER_STEPS):
        product = oracle.hvp(x, v, 0)
        length = dot(product, product, laned=False).sqrt()
        v = tree_map(lambda leaf, size=length: leaf / size, product)
    return float(length), v


def replay(run: pd.Series) -> tuple[list[float], list[float]]:
    """Repeat a run and measure lr times sharpness, and the loss, every ``EVERY`` steps; cached."""
    return replay_cached(
        int(run["objective.hidden"]), int(run["objective.samples"]), float(run["lr"]), int(run["steps"])
    )


@cache
def replay_cached(hidden: int, samples: int, lr: float, steps: int) -> tuple[list[float], list[float]]:
    """Repeat a run of these settings (see ``replay``)."""
    objective = mlp_square(hidden, samples).to(torch.float64, "cpu")
    oracle, x = EagerOracle(objective.value, laned=False), objective.start_at(0)
    v, sharp, losses = tree_map(torch.ones_like, x), [], []
    for step in range(steps + 1):
        loss, grad = oracle.grad(x, step)
        if step % EVERY == 0:
            top, v = compute_sharpness(oracle, x, v)
            sharp.append(lr * top)
            losses.append(loss.item())
        x = tree_map(lambda leaf, slope: leaf.detach() - lr * slope, x, grad)
    return sharp, losses


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the sharpness along the trajectory of each run, repeated."""
    cells = {lr: find_run(runs, lr=lr) for lr in RATES}
    sharp, losses = zip(*(replay(cells[lr]) for lr in RATES), strict=True)
    half = len(sharp[0]) // 2
    settled = [sum(values[half:]) / len(values[half:]) for values in sharp]
    recorded = find_trace(runs, traces, lr=RATES[0])["loss"]
    again = max(abs(loss / recorded[EVERY * number] - 1) for number, loss in enumerate(losses[0][: 100 // EVERY + 1]))
    ratios = [path[-1] / path[half] for path in losses]
    return ExperimentResult(
        f"At lr {RATES[0]} it rises from {sharp[0][0]:.1f}/lr and settles at {settled[0]:.1f}/lr, at lr {RATES[1]} from"
        f" {sharp[1][0]:.1f}/lr at {settled[1]:.1f}/lr. The paper says at, or just above, the 2/lr at which a quadratic"
        f" would blow up: ours {'agrees, to a tenth' if all(abs(e - 2) <= 0.2 for e in settled) else 'does not'}.",
        dict(
            zip(
                (truth.quantity for truth in TRUTHS),
                (*settled, *(values[0] for values in sharp), *ratios, again),
                strict=True,
            )
        ),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw lr times sharpness by step."""
    last = int(runs["steps"].iloc[0])
    steps = list(range(0, last + 1, EVERY))
    curves = [Curve(f"lr {lr}", steps, replay(find_run(runs, lr=lr))[0]) for lr in RATES]
    limit = Curve("2, a quadratic's limit", [0, last], [2, 2], dash=(5, 4))
    return draw_chart(
        "Gradient descent, all data",
        [*curves, limit],
        ChartAxis("step", 0, last),
        ChartAxis("lr times sharpness", 0, 3),
    )
