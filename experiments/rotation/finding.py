"""Which methods care for the axes along which a problem lies."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import trace
from experiments.truth import Finding, Truth

EQUAL, UNEQUAL = ("gd", "momentum", "cg_pr", "bfgs"), ("adam", "signsgd")
SOURCE = "built of inner products alone: Nocedal, Wright 2006"

TRUTHS = (
    *(Truth.about(f"{name}: furthest gap between instances", 0, 1e-12, SOURCE) for name in EQUAL),
    *(
        Truth(f"{name}: furthest gap between instances", 0.01, math.inf, "works by coordinate: Kingma, Ba 2015")
        for name in UNEQUAL
    ),
)
FRAGILE = ("best_step", "final_loss", "best_loss", "gradients", "gradients_to_target", "hit_1e-11", "hit_1e-12")
"""What depends on rounding once bfgs has come to rest."""


def apart(runs: pd.DataFrame, traces: pd.DataFrame, optimizer: str) -> float:
    """The largest difference of the gaps on the rotated instances from those along the axes."""
    gaps = [trace(runs, traces, optimizer=optimizer, objective__instance=number)["gap"] for number in range(3)]
    return max(float((each - gaps[0]).abs().max()) for each in gaps[1:])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Differences of the gap over all steps."""
    found = [apart(runs, traces, name) for name in (*EQUAL, *UNEQUAL)]
    alike = [name for name, each in zip((*EQUAL, *UNEQUAL), found, strict=True) if each < 1e-12]
    return Finding(
        f"{', '.join(alike)} do not: turned, the problem is the same to them. adam's gap changes by up"
        f" to {found[-2]:.2f}"
        f" of the start's, signsgd's by {found[-1]:.2f}: how well they do depends on the axes.",
        dict(zip((each.quantity for each in TRUTHS), found, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """The gap of gradient descent and Adam on each instance."""
    curves = []
    for name in ("gd", "adam"):
        for number, dash in ((0, (1, 0)), (1, (5, 4)), (2, (2, 3))):
            gaps = trace(runs, traces, optimizer=name, objective__instance=number)["gap"]
            curves.append(Curve(f"{name}, instance {number}", gaps.index.tolist(), gaps.tolist(), dash))
    return chart("One quadratic, turned", curves, Axis("step", 0, 50), Axis("gap", 1e-3, 1, log=True))
