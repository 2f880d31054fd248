"""Whether the notebook's numbers are the same by hand and by torch.optim, and where its loops stop."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run, find_trace
from experiments.truth import ExperimentResult, Truth

FLOOR = (2 * 2.0**-22) ** 2
"""(x - 2)² where x is two float32 spacings away: the next step, 0.2 of that, is less than half a spacing."""

TRUTHS = (
    Truth.about("pairs of rows, by hand and torch.optim, more than 1e-6 apart", 0, 0, "the notebook, cells 16 and 18"),
    Truth.about("final loss of the loop by hand, 1e-13", 2.2737367544323206, 0, "the notebook, cell 16"),
    Truth.about("final loss of the loop with SGD, 1e-13", 2.2737367544323206, 0, "the notebook, cell 18"),
    Truth.about("the same from float32's spacing, 1e-13", 2.2737367544323206, 0, "rounding to nearest: IEEE 754"),
)
CURVES = {
    "notebook_square": "10x²: lr is 2/L, x flips",
    "notebook_manual": "(x−2)²: a step is below float32's spacing",
    "notebook_sgd": "(x−3)²: likewise",
    "notebook_matrix": "Σx²: the minimum is at 0, where float32 is finest",
}


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compare both impls, and read the final losses of both loops."""
    by_hand, by_torch = (runs[runs["impl"] == impl].set_index(["objective", "lr"]) for impl in ("manual", "torch"))
    differ = int((~np.isclose(by_hand["final_loss"], by_torch["final_loss"], rtol=1e-6, atol=0, equal_nan=True)).sum())
    floors = [
        float(find_run(by_hand.reset_index(), objective=f"notebook_{name}", lr=0.1)["final_loss"])
        for name in ("manual", "sgd")
    ]
    return ExperimentResult(
        f"They do in {len(by_hand) - differ} of {len(by_hand)} pairs of rows, and they hold lessons that"
        " the notebook did"
        " not print.",
        dict(
            zip(
                (truth.quantity for truth in TRUTHS), (differ, *(loss * 1e13 for loss in (*floors, FLOOR))), strict=True
            )
        ),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the gap of the runs at lr 0.1."""
    gaps = {name: find_trace(runs, traces, objective=name, impl="manual", lr=0.1)["gap"] for name in CURVES}
    curves = [
        Curve(CURVES[name], gap.index.tolist(), gap.tolist(), (5, 4) if name == "notebook_sgd" else (1, 0))
        for name, gap in gaps.items()
    ]
    return draw_chart(
        "Gradient descent, lr 0.1", curves, ChartAxis("step", 0, 100), ChartAxis("gap", 1e-20, 1, log=True)
    )
