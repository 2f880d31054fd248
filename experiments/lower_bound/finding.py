"""Losses of first-order methods relative to the lower bound."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_trace
from experiments.truth import ExperimentResult, Truth

METHODS = ("gd", "nesterov_convex", "ogm", "heavy_ball_optimal", "chebyshev")
SIZES = (15, 101)

TRUTHS = (
    *(
        Truth(
            f"n = {n}: least f - f* after {n // 2} steps, over the bound", 1, math.inf, "Nesterov 2004, theorem 2.1.7"
        )
        for n in SIZES
    ),
    Truth.about(
        "n = 15: coordinates that moved before their time", 0, 0, "x_k spans k gradients: Nesterov 2004, 2.1.2"
    ),
    Truth("n = 101: nesterov_convex over 2 L R²/(N + 1)²", -math.inf, 1, "Nesterov 1983; Su, Boyd, Candes 2016"),
)


def squared_radius(n: int) -> float:
    """Compute the squared distance from the start to the minimiser."""
    return float(((1 - np.arange(1, n + 1) / (n + 1)) ** 2).sum())


def read_excess(runs: pd.DataFrame, traces: pd.DataFrame, n: int, optimizer: str) -> pd.Series:
    """Read f - f* by step."""
    return find_trace(runs, traces, objective__n=n, optimizer=optimizer)["gap"] * n / (n + 1) / 8


def count_early(steps: pd.DataFrame) -> int:
    """Count the coordinates beyond the k-th that are not 0 after k steps, over all k."""
    return sum(int(np.count_nonzero(x[step:])) for step, x in steps["x"].items())


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the losses after N steps over 3 L R² / (32 (N + 1)²)."""
    over = {
        n: [
            read_excess(runs, traces, n, name)[n // 2] * 32 * (n // 2 + 1) ** 2 / (3 * squared_radius(n))
            for name in METHODS
        ]
        for n in SIZES
    }
    moved = sum(count_early(find_trace(runs, traces, objective__n=15, optimizer=name)) for name in METHODS)
    upper = read_excess(runs, traces, 101, "nesterov_convex")[50] / (2 * squared_radius(101) / 51**2)
    table = pd.DataFrame({"optimizer": METHODS, **{f"n = {n}": over[n] for n in SIZES}})
    best = METHODS[int(np.argmin(over[101]))]
    return ExperimentResult(
        f"None gets below it. After 50 steps on 101 coordinates {best} comes nearest, with"
        f" {min(over[101]):.2f} times the"
        f" bound; gradient descent has {over[101][0]:.1f} times. After k steps no more than k"
        " coordinates have moved. The"
        " table holds f - f* over the bound.",
        dict(zip((truth.quantity for truth in TRUTHS), (*map(min, over.values()), moved, upper), strict=True)),
        table,
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw f - f* of each method on 101 coordinates, and the bound."""
    steps = list(range(51))
    bound = 3 * squared_radius(101) / (32 * 51**2)
    curves = [Curve(name, steps, read_excess(runs, traces, 101, name).loc[:50].tolist()) for name in METHODS]
    limit = Curve("bound, at step 50", [0, 50], [bound, bound], dash=(5, 4))
    up = ChartAxis("f - f*", 1e-4, 1, log=True)
    return draw_chart("Nesterov's worst function, n = 101", [*curves, limit], ChartAxis("step", 0, 50), up)
