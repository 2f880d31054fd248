"""Convergence rates of momentum methods on a quadratic."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import distance_factor, find_trace
from experiments.truth import ExperimentResult, Truth

ROOT = math.sqrt(100)
HEAVY = (ROOT - 1) / (ROOT + 1)
RATES = {
    "gd_optimal": (99 / 101, 1e-9, "(κ-1)/(κ+1): Polyak 1987"),
    "nag_sc": (1 - 1 / ROOT, 0.003, "1 - 1/√κ: Nesterov 2004"),
    "nesterov_optimal": (1 - 2 / math.sqrt(301), 0.003, "1 - 2/√(3κ+1): Lessard, Recht, Packard 2016"),
    "heavy_ball_optimal": (HEAVY, 0.003, "(√κ-1)/(√κ+1): Polyak 1964"),
    "chebyshev": (HEAVY, 0.001, "(√κ-1)/(√κ+1), the limit of all first-order methods: Nesterov 2004"),
}
"""Rate, tolerance and source. At a double root, as of momentum, the decay is k rate^k: slower by 1/k per step."""

TRUTHS = (
    *(Truth.about(f"{name}: factor of the distance a step", *rate) for name, rate in RATES.items()),
    Truth.about(
        "chebyshev: what 20 steps leave along μ",
        2 * HEAVY**20 / (1 + HEAVY**40),
        1e-12,
        "2 q^k/(1 + q^2k): Golub, Varga 1961",
    ),
)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the rates from step 400 to 600, when the start has no influence."""
    steps = {name: find_trace(runs, traces, optimizer=name) for name in RATES}
    rates = {name: distance_factor(path, 400, 600) for name, path in steps.items()}
    work = {name: math.log(1e-6) / math.log(rate) for name, rate in rates.items()}
    left = abs(float(steps["chebyshev"]["x"][20][0]))
    return ExperimentResult(
        f"At these rates six digits of x take gradient descent {work['gd_optimal']:.0f} steps, Nesterov's momentum"
        f" {work['nesterov_optimal']:.0f} and the heavy ball {work['heavy_ball_optimal']:.0f}: at κ = 100 momentum is"
        f" worth a factor of {work['gd_optimal'] / work['heavy_ball_optimal']:.1f}.",
        dict(zip((truth.quantity for truth in TRUTHS), (*rates.values(), left), strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap of each method."""
    gaps = {name: find_trace(runs, traces, optimizer=name)["gap"].loc[:200] for name in RATES}
    curves = [Curve(name, gap.index.tolist(), gap.tolist()) for name, gap in gaps.items()]
    return draw_chart("Quadratic, κ = 100", curves, ChartAxis("step", 0, 200), ChartAxis("gap", 1e-32, 1, log=True))
