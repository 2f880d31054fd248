"""The convergence rate of gradient descent on a quadratic, and the step size at which it diverges."""

from __future__ import annotations

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import distance_factor, find_trace
from experiments.truth import ExperimentResult, Truth

KAPPA = 100
BEST = 2 / (1 + 1 / KAPPA)
SCALES = (1.0, 1.9, BEST, 1.999, 2.001, 2.1)
"""Steps, in 1/L."""

TRUTHS = tuple(
    Truth.about(
        f"factor of the distance a step, lr {scale:.6g}/L",
        max(abs(1 - scale), abs(1 - scale / KAPPA)),
        1e-9,
        "(κ-1)/(κ+1), the least: Polyak 1987, 1.4" if scale == BEST else "max |1 - lr e|, e = μ, L: Polyak 1963",
    )
    for scale in SCALES
)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the rates from step 2000 to 3000, when only the slowest direction is left."""
    rates = {scale: distance_factor(find_trace(runs, traces, lr=scale), 2000, 3000) for scale in SCALES}
    best = min(rates, key=rates.__getitem__)
    falls = max(scale for scale in SCALES if rates[scale] < 1)
    grows = min(scale for scale in SCALES if rates[scale] > 1)
    return ExperimentResult(
        f"The fastest of these steps is {best:.6g}/L, that is 2/(L + μ): each one leaves"
        f" {rates[best]:.9f} of the distance."
        f" At {falls}/L the distance falls in the long run, at {grows}/L it grows.",
        dict(zip((truth.quantity for truth in TRUTHS), rates.values(), strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap at each step size."""
    gaps = {scale: find_trace(runs, traces, lr=scale)["gap"] for scale in SCALES}
    curves = [Curve(f"lr {scale:.5g}/L", gap.index.tolist(), gap.tolist()) for scale, gap in gaps.items()]
    return draw_chart(
        "Gradient descent, κ = 100", curves, ChartAxis("step", 0, 3000), ChartAxis("gap", 1e-30, 1e6, log=True)
    )
