"""Operations that foreach and fused save, by the number of tensors."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import ChartAxis, Curve, draw_chart
from experiments.lookup import find_run
from experiments.truth import ExperimentResult, Truth

IMPLS = ("torch", "foreach", "fused")
COUNTS = (1, 10, 40)
SMALL = ("timing.seconds=0.02",)
ALSO_EXACT = ("ops",)
RECURRENCE, READS = 7, 2
"""Adam's calls on m, v and x (lerp, mul, addcmul, sqrt, div, add, addcdiv), and reads of a step count."""
SOURCE = "torch/optim/adam.py"

TRUTHS = (
    Truth.about(
        "torch: operations that each further tensor adds beyond fused",
        RECURRENCE + 2,
        0,
        f"Adam's {RECURRENCE}, and a count of steps that is raised and read: {SOURCE}",
    ),
    Truth.about(
        "foreach: operations that each further tensor adds beyond fused",
        READS,
        0,
        f"0: documentation of torch.optim; {READS} where counts of steps lie on the CPU, each read twice: {SOURCE}",
    ),
    Truth(
        "foreach: operations beyond fused, 1 tensor",
        RECURRENCE - 1,
        math.inf,
        f"Adam's {RECURRENCE} calls in place of one: documentation of torch.optim",
    ),
)


def count_ops(runs: pd.DataFrame, impl: str, count: int) -> int:
    """Count the operations of one step."""
    return int(find_run(runs, impl=impl, objective__tensors=count)["ops"])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> ExperimentResult:
    """Compute the operations beyond those of fused, which are nearly those of the gradient alone."""
    beyond = {
        impl: [count_ops(runs, impl, count) - count_ops(runs, "fused", count) for count in COUNTS] for impl in IMPLS
    }
    per_tensor = {impl: (beyond[impl][2] - beyond[impl][0]) / 39 for impl in IMPLS}
    table = pd.DataFrame(
        {"tensors": COUNTS, **{impl: [count_ops(runs, impl, count) for count in COUNTS] for impl in IMPLS}}
    )
    return ExperimentResult(
        f"To update one more tensor takes the loop {per_tensor['torch']:.3g} more operations than fused, and foreach"
        f" {per_tensor['foreach']:.3g}. By the documentation foreach takes one call for all tensors, as fused does:"
        f" here it {'does not, for the counts of steps' if per_tensor['foreach'] else 'does'}. The table holds all"
        " operations of a step, those of the gradient included.",
        dict(
            zip(
                (truth.quantity for truth in TRUTHS),
                (per_tensor["torch"], per_tensor["foreach"], beyond["foreach"][0]),
                strict=True,
            )
        ),
        table,
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Draw the operations of a step, by the number of tensors."""
    curves = [Curve(impl, COUNTS, [count_ops(runs, impl, count) for count in COUNTS]) for impl in IMPLS]
    return draw_chart(
        "Adam, one step", curves, ChartAxis("tensors", 1, 100, log=True), ChartAxis("operations", 10, 1e4, log=True)
    )
