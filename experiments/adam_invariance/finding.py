"""Whether a loss times a constant changes the path of an adaptive method."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import trace
from experiments.truth import Finding, Truth

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


def moved(runs: pd.DataFrame, traces: pd.DataFrame, optimizer: str, factor: float, eps: float) -> float:
    """The largest change of any coordinate in any step, where the loss is multiplied."""
    paths = [
        np.stack(list(trace(runs, traces, optimizer=optimizer, objective__smoothness=each, optimizer__eps=eps)["x"]))
        for each in (1.0, factor)
    ]
    return float(np.abs(paths[1] - paths[0]).max())


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Changes of x over all steps."""
    found = [
        moved(runs, traces, name, *each) for each in ((1024.0, 0.0), (1000.0, 0.0), (1000.0, 1.0)) for name in METHODS
    ]
    unmoved = sum(each == 0 for each in found[:4])
    return Finding(
        f"With eps = 0 they do not: times 1024, the path of {unmoved} of {len(METHODS)} methods stays"
        " the same to the last"
        f" bit. With eps = 1 they do, Adam's by up to {found[8]:.2g}.",
        dict(zip((each.quantity for each in TRUTHS), found, strict=True)),
        pd.DataFrame(),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Adam's gap with the loss as it is and times 1000, with eps 0 and 1."""
    curves = []
    for eps in (0.0, 1.0):
        for factor, dash in ((1.0, (1, 0)), (1000.0, (5, 4))):
            gaps = trace(runs, traces, optimizer="adam", objective__smoothness=factor, optimizer__eps=eps)["gap"]
            curves.append(Curve(f"eps {eps:g}, loss times {factor:g}", gaps.index.tolist(), gaps.tolist(), dash))
    return chart("Adam, lr 0.01", curves, Axis("step", 0, 50), Axis("gap", 0, 1))
