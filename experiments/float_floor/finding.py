"""The point at which gradient descent on (x - 2)² stops in each dtype, and the step at which trajectories differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run, find_trace
from experiments.truth import ExperimentResult, Truth

SPACING = {"float32": 2.0**-22, "float64": 2.0**-51}
"""Distance from 2 to the next larger number."""
SOURCE = "a step 2 lr d of at most half a spacing is lost: IEEE 754, round to nearest"

TRUTHS = (
    *(Truth.about(f"{dtype}, lr 0.1: spacings from the minimum", 2, 0, f"floor(2.5); {SOURCE}") for dtype in SPACING),
    *(Truth.about(f"{dtype}, lr 0.01: spacings from the minimum", 25, 1, SOURCE) for dtype in SPACING),
    Truth.about("float32, lr 0.1: final loss, 1e-13", 2.2737367544323206, 1e-15, "the notebook, cell 16"),
)


def read_path(runs: pd.DataFrame, traces: pd.DataFrame, dtype: str, lr: float) -> np.ndarray:
    """Read x - 2 by step."""
    return np.stack(list(find_trace(runs, traces, dtype=dtype, lr=lr)["x"]))[:, 0] - 2


def find_parting_step(runs: pd.DataFrame, traces: pd.DataFrame, lr: float) -> int:
    """Find the first step at which float32's distance differs by 1%."""
    single, double = (read_path(runs, traces, dtype, lr) for dtype in SPACING)
    return int(np.argmax(np.abs(single - double) > 0.01 * np.abs(double)))


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the last distance in spacings, and the loss there."""
    ends = [
        read_path(runs, traces, dtype, lr)[-1] / spacing for lr in (0.1, 0.01) for dtype, spacing in SPACING.items()
    ]
    floors = [float(find_run(runs, dtype=dtype, lr=0.1)["final_loss"]) for dtype in SPACING]
    return ExperimentResult(
        f"At lr 0.1 float32 stops at a loss of {floors[0]:.4g}, float64 at {floors[1]:.4g}, each two spacings above the"
        f" minimum. A smaller step stops earlier, further away. The two dtypes part (1% of the distance) at step"
        f" {find_parting_step(runs, traces, 0.1)} with lr 0.1, at step {find_parting_step(runs, traces, 0.01)} with lr"
        " 0.01.",
        dict(zip((truth.quantity for truth in TRUTHS), (*ends, floors[0] * 1e13), strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the loss in both dtypes at both step sizes."""
    curves = []
    for lr in (0.1, 0.01):
        for dtype, dash in (("float32", (1, 0)), ("float64", (5, 4))):
            losses = read_path(runs, traces, dtype, lr) ** 2
            curves.append(Curve(f"{dtype}, lr {lr}", list(range(1, len(losses))), losses[1:].tolist(), dash))
    return draw_chart(
        "(x−2)² from 10", curves, ChartAxis("step", 1, 1900, log=True), ChartAxis("loss", 1e-32, 100, log=True)
    )
