"""After how many steps conjugate gradients are done."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import one, trace
from experiments.truth import Finding, Truth

METHODS = ("cg_fr", "cg_pr", "cg_hs")
DISTINCT = {"uniform": 6, "clustered": 2, "outlier": 2}
"""How many distinct eigenvalues six coordinates have."""

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
"""What depends on rounding once nothing is left to gain, or on how often a search as exact as this one tries again."""


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """The first step at a gap of 1e-12; never is infinity."""
    cells = [one(runs, optimizer=name, objective__spectrum=spectrum) for name in METHODS for spectrum in DISTINCT]
    steps = [float(each["hit_1e-12"]) if pd.notna(each["hit_1e-12"]) else math.inf for each in cells]
    needed = {
        count: max(s for s, each in zip(steps, [*DISTINCT.values()] * 3, strict=True) if each == count)
        for count in (6, 2)
    }
    return Finding(
        f"After no more steps than there are distinct eigenvalues: {needed[6]:.0f} with six, {needed[2]:.0f} with two,"
        " though there are six coordinates in both.",
        dict(zip((each.quantity for each in TRUTHS), steps, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """The gap of Fletcher and Reeves' method on each spectrum."""
    gaps = {
        spectrum: trace(runs, traces, optimizer="cg_fr", objective__spectrum=spectrum)["gap"] for spectrum in DISTINCT
    }
    curves = [
        Curve(f"{name}: {DISTINCT[name]} distinct", each.index.tolist(), each.tolist()) for name, each in gaps.items()
    ]
    return chart("Conjugate gradients (cg_fr), n = 6", curves, Axis("step", 0, 10), Axis("gap", 1e-30, 1, log=True))
