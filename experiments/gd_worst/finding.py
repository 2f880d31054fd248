"""Whether the worst-case bound of gradient descent is attained."""

from __future__ import annotations

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_trace
from experiments.truth import ExperimentResult, Truth

COUNTS = (1, 5, 10, 50)

TRUTHS = tuple(
    Truth.about(f"f - f* after N = {n}", 1 / (4 * n + 2), 1e-13, "L R²/(4N + 2): Drori, Teboulle 2014") for n in COUNTS
)


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Read the loss after the number of steps for which the function is the worst."""
    losses = [float(find_trace(runs, traces, objective__iterations=n)["loss"][n]) for n in COUNTS]
    met = all(truth.holds(loss) for truth, loss in zip(TRUTHS, losses, strict=True))
    return ExperimentResult(
        f"It {'does: the bound is met and cannot be lowered' if met else 'does not'}. After {COUNTS[-1]} steps"
        f" {losses[-1]:.6f} L R² is left.",
        dict(zip((truth.quantity for truth in TRUTHS), losses, strict=True)),
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the loss on each of the functions, and the bound that each attains once."""
    steps = list(range(61))
    losses = {n: find_trace(runs, traces, objective__iterations=n)["loss"].tolist() for n in COUNTS}
    curves = [Curve(f"worst for {n} steps", steps, path) for n, path in losses.items()]
    bound = Curve("bound", steps, [1 / (4 * step + 2) for step in steps], dash=(5, 4))
    return draw_chart(
        "Gradient descent, lr 1/L", [*curves, bound], ChartAxis("step", 0, 60), ChartAxis("f - f*", 1e-3, 1, log=True)
    )
