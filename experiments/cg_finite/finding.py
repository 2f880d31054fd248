"""The number of steps that conjugate gradients take to the minimum of a quadratic."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run, find_trace
from experiments.truth import ExperimentResult, Truth

METHODS = ("cg_fr", "cg_pr", "cg_hs")
DISTINCT = {"uniform": 6, "clustered": 2, "outlier": 2}
"""Number of distinct eigenvalues in six dimensions, by spectrum."""

TRUTHS = tuple(
    Truth(
        f"{name}, {spectrum}: steps to a gap of 1e-12",
        1,
        count,
        f"{count} distinct eigenvalues: Hestenes, Stiefel 1952",
    )
    for name in METHODS
    for spectrum, count in DISTINCT.items()
)
FRAGILE = ("best_step", "final_loss", "best_loss", "gradient_evals", "gradient_evals_to_target")
"""Columns that depend on rounding at the minimum, or on the trials of a search this exact."""


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Find the first step at a gap of 1e-12, infinity if there is none."""
    cells = [find_run(runs, optimizer=name, objective__spectrum=spectrum) for name in METHODS for spectrum in DISTINCT]
    steps = [float(run["hit_1e-12"]) if pd.notna(run["hit_1e-12"]) else math.inf for run in cells]
    needed = {
        count: max(step for step, distinct in zip(steps, [*DISTINCT.values()] * 3, strict=True) if distinct == count)
        for count in (6, 2)
    }
    return ExperimentResult(
        f"After no more steps than there are distinct eigenvalues: {needed[6]:.0f} with six, {needed[2]:.0f} with two,"
        " though there are six coordinates in both.",
        dict(zip((truth.quantity for truth in TRUTHS), steps, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap of Fletcher and Reeves' method on each spectrum."""
    gaps = {
        spectrum: find_trace(runs, traces, optimizer="cg_fr", objective__spectrum=spectrum)["gap"]
        for spectrum in DISTINCT
    }
    curves = [
        Curve(f"{name}: {DISTINCT[name]} distinct", gap.index.tolist(), gap.tolist()) for name, gap in gaps.items()
    ]
    return draw_chart(
        "Conjugate gradients (cg_fr), n = 6", curves, ChartAxis("step", 0, 10), ChartAxis("gap", 1e-30, 1, log=True)
    )
