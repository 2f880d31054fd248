"""The width, in decades of lr, of the range in which a method needs at most twice its fewest steps on digits."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.truth import ExperimentResult, Truth

METHODS = ("gd", "adam")
SMALL = ("points=65", "steps=60", "objective.samples=150", "objective.hidden=8")
FRAGILE = ("best_step", "final_loss", "best_loss", "status_step", "status")
"""Columns that depend on the summation order of matrix products, because a large lr makes trajectories chaotic."""

OCTAVE = math.log10(2)

TRUTHS = (
    Truth(
        "gd: decades of lr within twice its fewest steps", OCTAVE, math.inf, "halving lr doubles the steps, no worse"
    ),
    Truth(
        "adam: decades of lr within twice its fewest steps", OCTAVE, math.inf, "halving lr doubles the steps, no worse"
    ),
    Truth(
        "adam: decades of lr beyond those of gd",
        0,
        math.inf,
        "its hyper-parameters need little tuning: Kingma, Ba 2015, abstract",
    ),
    Truth(
        "best lr of gd over that of adam",
        1,
        math.inf,
        "Adam moves a coordinate by about lr, gd by lr times a slope below 1: Kingma, Ba 2015, 2.1",
    ),
)


def read_curve(runs: pd.DataFrame, optimizer: str) -> pd.Series:
    """Read the steps to the target by lr; infinite where it is never reached."""
    rows = runs[runs["optimizer"] == optimizer].sort_values("lr").set_index("lr")
    return rows["steps_to_target"].astype(float).fillna(math.inf)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the widths in decades, and the geometric mean of the best lrs."""
    steps = {name: read_curve(runs, name) for name in METHODS}
    decade = 8 / (len(steps["gd"]) - 1)
    widths = [decade * int((counts <= 2 * counts.min()).sum()) for counts in steps.values()]
    wider = widths[1] - widths[0]
    best = [float(np.exp(np.log(counts.index[counts == counts.min()].to_numpy()).mean())) for counts in steps.values()]
    table = pd.DataFrame(
        {
            "optimizer": METHODS,
            "best lr": best,
            "fewest steps": [int(counts.min()) for counts in steps.values()],
            "decades": widths,
        }
    )
    return ExperimentResult(
        f"gd does well over {widths[0]:.2g} decades of lr and adam over {widths[1]:.2g}. That Adam needs less tuning"
        f" {word_claim(wider)}. What differs more is where: their best lrs lie {math.log10(best[0] / best[1]):.1f}"
        " decades apart, so one lr for both would compare nothing.",
        dict(zip((truth.quantity for truth in TRUTHS), (*widths, wider, best[0] / best[1]), strict=True)),
        table,
    )


def word_claim(wider: float) -> str:
    """Word whether Kingma and Ba's claim holds here, by the decades by which Adam's range is wider."""
    if wider <= 0:
        return "is not so on this problem"
    return "is so here, but by less than a factor of two" if wider < OCTAVE else "is so on this problem"


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the steps to a loss of 0.5 by lr."""
    most = int(runs["steps"].iloc[0])
    steps = {name: read_curve(runs, name).clip(upper=most) for name in METHODS}
    curves = [Curve(name, counts.index.tolist(), counts.tolist()) for name, counts in steps.items()]
    return draw_chart(
        "Steps to a loss of 0.5 on digits",
        curves,
        ChartAxis("lr", 1e-5, 1e3, log=True),
        ChartAxis("steps", 1, most, log=True),
    )
