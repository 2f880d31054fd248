"""Whether multiplying the loss by a constant changes the trajectory of an adaptive method."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_trace
from experiments.truth import ExperimentResult, Truth

METHODS = ("adam", "rmsprop", "adagrad", "adamax")
SOURCE = "Kingma, Ba 2015, section 2.1"

TRUTHS = (
    *(
        Truth.about(f"{name}, eps 0, loss times 1024: change of x", 0, 0, f"{SOURCE}; a power of 2 is exact")
        for name in METHODS
    ),
    *(Truth.about(f"{name}, eps 0, loss times 1000: change of x", 0, 1e-12, SOURCE) for name in METHODS),
    *(
        Truth(f"{name}, eps 1, loss times 1000: change of x", 1e-3, math.inf, "eps has the unit of a gradient")
        for name in METHODS
    ),
)


def largest_change(runs: pd.DataFrame, traces: pd.DataFrame, optimizer: str, factor: float, eps: float) -> float:
    """Compute the largest change of any coordinate in any step when the loss is multiplied by a factor."""
    paths = [
        np.stack(list(find_trace(runs, traces, optimizer=optimizer, objective__smoothness=c, optimizer__eps=eps)["x"]))
        for c in (1.0, factor)
    ]
    return float(np.abs(paths[1] - paths[0]).max())


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the changes of x over all steps."""
    cases = ((1024.0, 0.0), (1000.0, 0.0), (1000.0, 1.0))
    changes = [largest_change(runs, traces, name, *case) for case in cases for name in METHODS]
    unmoved = sum(change == 0 for change in changes[:4])
    return ExperimentResult(
        f"With eps = 0 they do not: times 1024, the path of {unmoved} of {len(METHODS)} methods stays"
        " the same to the last"
        f" bit. With eps = 1 they do, Adam's by up to {changes[8]:.2g}.",
        dict(zip((truth.quantity for truth in TRUTHS), changes, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw Adam's gap for the loss and 1000 times the loss, with eps 0 and 1."""
    curves = []
    for eps in (0.0, 1.0):
        for factor, dash in ((1.0, (1, 0)), (1000.0, (5, 4))):
            gaps = find_trace(runs, traces, optimizer="adam", objective__smoothness=factor, optimizer__eps=eps)["gap"]
            curves.append(Curve(f"eps {eps:g}, loss times {factor:g}", gaps.index.tolist(), gaps.tolist(), dash))
    return draw_chart("Adam, lr 0.01", curves, ChartAxis("step", 0, 50), ChartAxis("gap", 0, 1))
