"""What a step of steepest descent with exact search gains, at the least."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.truth import Finding, Truth

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


def ratios(runs: pd.DataFrame, traces: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """f after each step over f before, and what the gradient before it foretells: ``[starts, 20]``."""
    steps = traces.sort_values(["run_id", "step"])
    x = np.stack(list(steps["x"])).reshape(len(runs), 21, 2)
    losses = (0.5 * CURVATURES * x**2).sum(-1)
    slope = (CURVATURES * x)[:, :-1]
    inner = [(slope**2 * CURVATURES**power).sum(-1) for power in (0, 1, -1)]
    return losses[:, 1:] / losses[:, :-1], 1 - inner[0] ** 2 / (inner[1] * inner[2])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Ratios of all steps from all starts."""
    seen, told = ratios(runs, traces)
    found = (float(seen.max()), float(seen.max() / WORST), float(np.abs(seen - told).max()))
    return Finding(
        f"It may gain as little as {100 * (1 - seen.max()):.1f}%, and from {int((seen[:, 0] > 0.9 * WORST).sum())} of"
        f" {len(runs)} random starts it gains within a tenth of the least. From most starts it gains far"
        " more: the median"
        f" step leaves {np.median(seen):.2f} of f. In the plane every step from one start leaves the same share.",
        dict(zip((each.quantity for each in TRUTHS), found, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """The share left by the first step from each start, in order."""
    first = np.sort(ratios(runs, traces)[0][:, 0]).tolist()
    curves = [Curve("share left by a step, starts in order", list(range(len(first))), first)]
    limit = Curve("((κ-1)/(κ+1))²", [0, len(first)], [WORST, WORST], dash=(5, 4))
    return chart("Steepest descent, κ = 10", [*curves, limit], Axis("start", 0, len(first)), Axis("f ratio", 0, 1))
