"""Over how many decades of lr a method reads digits at most twice as slowly as at its best."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.truth import Finding, Truth

METHODS = ("gd", "adam")
SMALL = ("points=65", "steps=60", "objective.samples=150", "objective.hidden=8")
FRAGILE = ("best_step", "final_loss", "best_loss", "status_step", "status")
"""What depends on how matrix products are summed, where a large lr makes the path chaotic."""

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


def curve(runs: pd.DataFrame, optimizer: str) -> pd.Series:
    """Steps to the target, by lr; infinite where it is never reached."""
    rows = runs[runs["optimizer"] == optimizer].sort_values("lr").set_index("lr")
    return rows["steps_to_target"].astype(float).fillna(math.inf)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Widths in decades, and the middle of what is best."""
    steps = {name: curve(runs, name) for name in METHODS}
    decade = 8 / (len(steps["gd"]) - 1)
    widths = [decade * int((each <= 2 * each.min()).sum()) for each in steps.values()]
    wider = widths[1] - widths[0]
    best = [float(np.exp(np.log(each.index[each == each.min()].to_numpy()).mean())) for each in steps.values()]
    table = pd.DataFrame(
        {
            "optimizer": METHODS,
            "best lr": best,
            "fewest steps": [int(each.min()) for each in steps.values()],
            "decades": widths,
        }
    )
    return Finding(
        f"gd does well over {widths[0]:.2g} decades of lr and adam over {widths[1]:.2g}. That Adam needs less tuning"
        f" {claim(wider)}. What differs more is where: their best lrs lie {math.log10(best[0] / best[1]):.1f} decades"
        " apart, so one lr for both would compare nothing.",
        dict(zip((each.quantity for each in TRUTHS), (*widths, wider, best[0] / best[1]), strict=True)),
        table,
    )


def claim(wider: float) -> str:
    """Whether what Kingma and Ba say is so here, by how many decades Adam's range is the wider one."""
    if wider <= 0:
        return "is not so on this problem"
    return "is so here, but by less than a factor of two" if wider < OCTAVE else "is so on this problem"


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Steps to a loss of 0.5, by lr."""
    most = int(runs["steps"].iloc[0])
    steps = {name: curve(runs, name).clip(upper=most) for name in METHODS}
    curves = [Curve(name, each.index.tolist(), each.tolist()) for name, each in steps.items()]
    return chart(
        "Steps to a loss of 0.5 on digits", curves, Axis("lr", 1e-5, 1e3, log=True), Axis("steps", 1, most, log=True)
    )
