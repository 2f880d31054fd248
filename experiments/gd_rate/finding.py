"""The rate of gradient descent on a quadratic, and where it stops being one."""

from __future__ import annotations

import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import factor, trace
from experiments.truth import Finding, Truth

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


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Rates from steps 2000 to 3000, when all but the slowest direction has gone."""
    rates = {scale: factor(trace(runs, traces, lr=scale), 2000, 3000) for scale in SCALES}
    best = min(rates, key=rates.__getitem__)
    falls, grows = max(each for each in SCALES if rates[each] < 1), min(each for each in SCALES if rates[each] > 1)
    return Finding(
        f"The fastest of these steps is {best:.6g}/L, that is 2/(L + μ): each one leaves"
        f" {rates[best]:.9f} of the distance."
        f" At {falls}/L the distance falls in the long run, at {grows}/L it grows.",
        dict(zip((each.quantity for each in TRUTHS), rates.values(), strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """The gap at each step size."""
    gaps = {scale: trace(runs, traces, lr=scale)["gap"] for scale in SCALES}
    curves = [Curve(f"lr {scale:.5g}/L", each.index.tolist(), each.tolist()) for scale, each in gaps.items()]
    return chart("Gradient descent, κ = 100", curves, Axis("step", 0, 3000), Axis("gap", 1e-30, 1e6, log=True))
