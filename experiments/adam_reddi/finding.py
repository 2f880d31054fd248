"""The point to which Adam and AMSGrad converge on Reddi's example."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_trace
from experiments.truth import ExperimentResult, Truth

TRUTHS = (
    Truth(
        "adam: mean x over the last 100 periods", 0.99, 1, "to +1, the worst point: Reddi, Kale, Kumar 2018, theorem 1"
    ),
    Truth(
        "amsgrad: mean x over the last 100 periods", -1, -0.99, "to -1, the minimum: Reddi, Kale, Kumar 2018, theorem 4"
    ),
)


def read_path(runs: pd.DataFrame, traces: pd.DataFrame, amsgrad: bool) -> np.ndarray:
    """Read x by step."""
    return np.stack(list(find_trace(runs, traces, optimizer__amsgrad=amsgrad)["x"]))[:, 0]


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the mean x at the end of each run."""
    ends = [float(read_path(runs, traces, amsgrad)[-300:].mean()) for amsgrad in (False, True)]
    return ExperimentResult(
        f"Adam goes to {ends[0]:+.2f}, the worst point of [-1, 1], and AMSGrad to {ends[1]:+.2f}, the"
        " minimum: the root of"
        " the averaged square makes the rare steep slope count for less than the two gentle ones; its"
        " maximum does not.",
        dict(zip((truth.quantity for truth in TRUTHS), ends, strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw x of both methods over the first 300 steps."""
    paths = {name: read_path(runs, traces, name == "amsgrad")[:301].tolist() for name in ("adam", "amsgrad")}
    curves = [Curve(name, list(range(301)), x) for name, x in paths.items()]
    return draw_chart("Reddi's example, lr 0.5/√t", curves, ChartAxis("step", 0, 300), ChartAxis("x", -1, 1))
