"""Which methods depend on the orientation of a problem to the axes."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_trace
from experiments.truth import ExperimentResult, Truth

EQUAL, UNEQUAL = ("gd", "momentum", "cg_pr", "bfgs"), ("adam", "signsgd")
SHIFTED = (*EQUAL, "adam")  # signsgd lands on the minimum along the axes, where a rounding decides the next sign
SOURCE = "built of inner products alone: Nocedal, Wright 2006"

TRUTHS = (
    *(Truth.about(f"{name}: furthest gap between rotations", 0, 1e-12, SOURCE) for name in EQUAL),
    *(
        Truth(f"{name}: furthest gap between rotations", 0.01, math.inf, "works by coordinate: Kingma, Ba 2015")
        for name in UNEQUAL
    ),
    *(
        Truth.about(f"{name}: furthest gap between shifts", 0, 1e-12, "sees gradients alone, not where it is")
        for name in SHIFTED
    ),
)
FRAGILE = (
    "best_step",
    "final_loss",
    "best_loss",
    "gradient_evals",
    "gradient_evals_to_target",
    "hit_1e-11",
    "hit_1e-12",
)
"""Columns that depend on rounding once bfgs has converged."""


def read_gap(runs: pd.DataFrame, traces: pd.DataFrame, optimizer: str, rotated: bool, instance: int) -> pd.Series:
    """Read the gap of a method by step."""
    chosen = {"objective__rotated": rotated, "objective__instance": instance}
    return find_trace(runs, traces, optimizer=optimizer, **chosen)["gap"]


def largest_difference(
    runs: pd.DataFrame, traces: pd.DataFrame, optimizer: str, others: list[tuple[bool, int]]
) -> float:
    """Compute the largest difference between gaps on other instances and on the one along the axes."""
    along_axes = read_gap(runs, traces, optimizer, False, 0)
    return max(float((read_gap(runs, traces, optimizer, *other) - along_axes).abs().max()) for other in others)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the differences of the gap over all steps."""
    names = (*EQUAL, *UNEQUAL)
    rotations = [largest_difference(runs, traces, name, [(True, 0), (True, 1)]) for name in names]
    shifts = [largest_difference(runs, traces, name, [(False, 1)]) for name in SHIFTED]
    alike = [name for name, difference in zip(names, rotations, strict=True) if difference < 1e-12]
    return ExperimentResult(
        f"{', '.join(alike)} do not: turned, the problem is the same to them. adam's gap changes by up"
        f" to {rotations[-2]:.2f}"
        f" of the start's, signsgd's by {rotations[-1]:.2f}: how well they do depends on the axes. A shift alone"
        " changes nothing.",
        dict(zip((truth.quantity for truth in TRUTHS), (*rotations, *shifts), strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap of gradient descent and Adam along the axes and on two rotations."""
    systems = {"along the axes": (False, 0, (1, 0)), "turned": (True, 0, (5, 4)), "turned anew": (True, 1, (2, 3))}
    curves = []
    for name in ("gd", "adam"):
        for words, (rotated, instance, dash) in systems.items():
            gaps = read_gap(runs, traces, name, rotated, instance)
            curves.append(Curve(f"{name}, {words}", gaps.index.tolist(), gaps.tolist(), dash))
    return draw_chart("One quadratic, turned", curves, ChartAxis("step", 0, 50), ChartAxis("gap", 1e-3, 1, log=True))
