"""Whether the worst case of gradient descent is met."""

from __future__ import annotations

import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import trace
from experiments.truth import Finding, Truth

COUNTS = (1, 5, 10, 50)

TRUTHS = tuple(
    Truth.about(f"f - f* after N = {n}", 1 / (4 * n + 2), 1e-13, "L R²/(4N + 2): Drori, Teboulle 2014") for n in COUNTS
)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """The loss after as many steps as the function was made for."""
    losses = [float(trace(runs, traces, objective__iterations=n)["loss"][n]) for n in COUNTS]
    met = all(each.holds(loss) for each, loss in zip(TRUTHS, losses, strict=True))
    return Finding(
        f"It {'does: the bound is met and cannot be lowered' if met else 'does not'}. After {COUNTS[-1]} steps"
        f" {losses[-1]:.6f} L R² is left.",
        dict(zip((each.quantity for each in TRUTHS), losses, strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """The loss on each of the functions, and the bound that each touches once."""
    steps = list(range(61))
    losses = {n: trace(runs, traces, objective__iterations=n)["loss"].tolist() for n in COUNTS}
    curves = [Curve(f"worst for {n} steps", steps, each) for n, each in losses.items()]
    bound = Curve("bound", steps, [1 / (4 * step + 2) for step in steps], dash=(5, 4))
    return chart("Gradient descent, lr 1/L", [*curves, bound], Axis("step", 0, 60), Axis("f - f*", 1e-3, 1, log=True))
