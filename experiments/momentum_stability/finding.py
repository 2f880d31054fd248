"""The largest stable steps of gradient descent, heavy ball and Nesterov's momentum."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run, find_trace
from experiments.truth import ExperimentResult, Truth

LIMITS = {"gd": 2.0, "momentum": 2 * 1.9, "nesterov": 2 * 1.9 / 2.8}
"""Limits of lr L for b = 0.9."""
SOURCES = {
    "gd": "2/L: Polyak 1963",
    "momentum": "2(1 + b)/L: Polyak 1964",
    "nesterov": "2(1 + b)/((1 + 2b) L): Cohen et al. 2021",
}
BELOW, ABOVE = 0.999, 1.001

TRUTHS = tuple(
    Truth(f"{name}: ln of the loss's growth at lr {limit * side:.5g}/L", *span, SOURCES[name])
    for side, span in ((BELOW, (-math.inf, -1)), (ABOVE, (1, math.inf)))
    for name, limit in LIMITS.items()
)


def log_growth(runs: pd.DataFrame, optimizer: str, lr: float) -> float:
    """Compute ln(final loss / start loss)."""
    run = find_run(runs, optimizer=optimizer, lr=lr)
    return math.log(run["final_loss"] / run["start_loss"])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the growth on either side of each limit."""
    growth = [log_growth(runs, name, limit * side) for side in (BELOW, ABOVE) for name, limit in LIMITS.items()]
    turns = all(low < 0 < high for low, high in zip(growth[:3], growth[3:], strict=True))
    return ExperimentResult(
        f"It {'does' if turns else 'does not'}. With momentum 0.9 the heavy ball bears steps of up to"
        f" {LIMITS['momentum']:.4g}/L, nearly twice those of gradient descent; Nesterov's form only"
        f" {LIMITS['nesterov']:.4g}/L.",
        dict(zip((truth.quantity for truth in TRUTHS), growth, strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap 0.1% below and above each limit."""
    curves = []
    for name, limit in LIMITS.items():
        for side, dash in ((BELOW, (1, 0)), (ABOVE, (5, 4))):
            gaps = find_trace(runs, traces, optimizer=name, lr=limit * side)["gap"].loc[:1000]
            curves.append(Curve(f"{name}, lr {limit * side:.5g}/L", gaps.index.tolist(), gaps.tolist(), dash))
    return draw_chart(
        "0.1% below and above the limit", curves, ChartAxis("step", 0, 1000), ChartAxis("gap", 1e-20, 1e20, log=True)
    )
