"""How sharp the valley is in which full-batch gradient descent goes down."""

from __future__ import annotations

from functools import cache

import pandas as pd
import torch

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import one, trace
from experiments.truth import Finding, Truth
from gdbench.engine.oracle import EagerOracle
from gdbench.objectives.classification import mlp_square
from gdbench.tree import Params, dot, tree_map

RATES = (0.2, 0.3)
SMALL = ("steps=400", "objective.samples=200", "objective.hidden=16")
FRAGILE = ("best_step", "final_loss", "best_loss")
"""What depends on how matrix products are summed: at the edge small differences grow."""
EVERY, TURNS = 20, 12
"""Sharpness is measured every so many steps, by so many turns of the power method, from the vector of the last time."""
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


def sharpness(oracle: EagerOracle, x: Params, v: Params) -> tuple[float, Params]:
    """The largest eigenvalue of the Hessian and its vector, by the power method."""
    for _ in range(TURNS):
        product = oracle.hvp(x, v, 0)
        length = dot(product, product, laned=False).sqrt()
        v = tree_map(lambda leaf, size=length: leaf / size, product)
    return float(length), v


def replay(run: pd.Series) -> tuple[list[float], list[float]]:
    """lr times sharpness, and the loss, every so many steps of a run; walked once for finding and picture."""
    return walked(int(run["objective.hidden"]), int(run["objective.samples"]), float(run["lr"]), int(run["steps"]))


@cache
def walked(hidden: int, samples: int, lr: float, steps: int) -> tuple[list[float], list[float]]:
    """What ``replay`` gives."""
    objective = mlp_square(hidden, samples).to(torch.float64, "cpu")
    oracle, x = EagerOracle(objective.value, laned=False), objective.start_at(0)
    v, sharp, losses = tree_map(torch.ones_like, x), [], []
    for step in range(steps + 1):
        loss, grad = oracle.grad(x, step)
        if step % EVERY == 0:
            top, v = sharpness(oracle, x, v)
            sharp.append(lr * top)
            losses.append(loss.item())
        x = tree_map(lambda leaf, slope: leaf.detach() - lr * slope, x, grad)
    return sharp, losses


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Sharpness along the path of each run, walked once more."""
    cells = {lr: one(runs, lr=lr) for lr in RATES}
    sharp, losses = zip(*(replay(cells[lr]) for lr in RATES), strict=True)
    half = len(sharp[0]) // 2
    settled = [sum(each[half:]) / len(each[half:]) for each in sharp]
    walked = trace(runs, traces, lr=RATES[0])["loss"]
    again = max(abs(loss / walked[EVERY * number] - 1) for number, loss in enumerate(losses[0][: 100 // EVERY + 1]))
    fallen = [each[-1] / each[half] for each in losses]
    return Finding(
        f"At lr {RATES[0]} it rises from {sharp[0][0]:.1f}/lr and settles at {settled[0]:.1f}/lr, at lr {RATES[1]} from"
        f" {sharp[1][0]:.1f}/lr at {settled[1]:.1f}/lr. The paper says at, or just above, the 2/lr at which a quadratic"
        f" would blow up: ours {'agrees, to a tenth' if all(abs(e - 2) <= 0.2 for e in settled) else 'does not'}.",
        dict(zip((e.quantity for e in TRUTHS), (*settled, *(e[0] for e in sharp), *fallen, again), strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """lr times sharpness, step by step."""
    last = int(runs["steps"].iloc[0])
    steps = list(range(0, last + 1, EVERY))
    curves = [Curve(f"lr {lr}", steps, replay(one(runs, lr=lr))[0]) for lr in RATES]
    limit = Curve("2, a quadratic's limit", [0, last], [2, 2], dash=(5, 4))
    return chart(
        "Gradient descent, all data", [*curves, limit], Axis("step", 0, last), Axis("lr times sharpness", 0, 3)
    )
