"""The smallest decrease by a step of steepest descent with exact line search."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.truth import ExperimentResult, Truth

CURVATURES = np.array([0.1, 1.0])
WORST = (9 / 11) ** 2

TRUTHS = (
    Truth(
        "largest f ratio of any step from any start", -math.inf, WORST * (1 + 1e-12), "((κ-1)/(κ+1))²: Kantorovich 1948"
    ),
    Truth(
        "the same, over ((κ-1)/(κ+1))²",
        0.99,
        math.inf,
        "attained where both parts of the gradient are equal: Akaike 1959",
    ),
    Truth.about("furthest f ratio from 1 - (g g)²/((g H g)(g H⁻¹ g))", 0, 1e-12, "Kantorovich 1948"),
)


def compute_ratios(runs: pd.DataFrame, traces: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Compute f after each step over f before it, and its prediction from the gradient: ``[starts, 20]``."""
    steps = traces.sort_values(["run_id", "step"])
    x = np.stack(list(steps["x"])).reshape(len(runs), 21, 2)
    losses = (0.5 * CURVATURES * x**2).sum(-1)
    slope = (CURVATURES * x)[:, :-1]
    inner = [(slope**2 * CURVATURES**power).sum(-1) for power in (0, 1, -1)]
    return losses[:, 1:] / losses[:, :-1], 1 - inner[0] ** 2 / (inner[1] * inner[2])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the ratios of all steps from all starts."""
    ratios, predicted = compute_ratios(runs, traces)
    numbers = (float(ratios.max()), float(ratios.max() / WORST), float(np.abs(ratios - predicted).max()))
    return ExperimentResult(
        f"It may gain as little as {100 * (1 - ratios.max()):.1f}%, and from"
        f" {int((ratios[:, 0] > 0.9 * WORST).sum())} of {len(runs)} random starts it gains within a tenth of the least."
        f" From most starts it gains far more: the median step leaves {np.median(ratios):.2f} of f. In the plane every"
        " step from one start leaves the same share.",
        dict(zip((truth.quantity for truth in TRUTHS), numbers, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the share of f left by the first step from each start, in ascending order."""
    first = np.sort(compute_ratios(runs, traces)[0][:, 0]).tolist()
    curves = [Curve("share left by a step, starts in order", list(range(len(first))), first)]
    limit = Curve("((κ-1)/(κ+1))²", [0, len(first)], [WORST, WORST], dash=(5, 4))
    return draw_chart(
        "Steepest descent, κ = 10", [*curves, limit], ChartAxis("start", 0, len(first)), ChartAxis("f ratio", 0, 1)
    )
