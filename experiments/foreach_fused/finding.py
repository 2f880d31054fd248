"""What foreach and fused save as the number of tensors grows."""

from __future__ import annotations

import math

import pandas as pd

from experiments.drawing import Axis, Curve, chart
from experiments.lookup import one
from experiments.truth import Finding, Truth

IMPLS = ("torch", "foreach", "fused")
COUNTS = (1, 10, 40)
SMALL = ("timing.seconds=0.02",)
ALSO_EXACT = ("ops",)
RECURRENCE, READS = 7, 2
"""Adam's calls that touch m, v and x: lerp, mul, addcmul, sqrt, div, add, addcdiv; and reads of a count of steps."""
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


def ops(runs: pd.DataFrame, impl: str, count: int) -> int:
    """Operations in one step."""
    return int(one(runs, impl=impl, objective__tensors=count)["ops"])


def find(runs: pd.DataFrame, traces: pd.DataFrame) -> Finding:
    """Operations beyond those of fused, which are nearly those of the gradient alone."""
    beyond = {impl: [ops(runs, impl, count) - ops(runs, "fused", count) for count in COUNTS] for impl in IMPLS}
    each = {impl: (beyond[impl][2] - beyond[impl][0]) / 39 for impl in IMPLS}
    table = pd.DataFrame({"tensors": COUNTS, **{impl: [ops(runs, impl, count) for count in COUNTS] for impl in IMPLS}})
    return Finding(
        f"To update one more tensor takes the loop {each['torch']:.3g} more operations than fused, and foreach"
        f" {each['foreach']:.3g}. By the documentation foreach takes one call for all tensors, as fused does: here it"
        f" {'does not, for the counts of steps' if each['foreach'] else 'does'}. The table holds all operations of a"
        " step, those of the gradient included.",
        dict(
            zip(
                (truth.quantity for truth in TRUTHS),
                (each["torch"], each["foreach"], beyond["foreach"][0]),
                strict=True,
            )
        ),
        table,
    )


def draw(runs: pd.DataFrame, traces: pd.DataFrame) -> str:
    """Operations of a step, by the number of tensors."""
    curves = [Curve(impl, COUNTS, [ops(runs, impl, count) for count in COUNTS]) for impl in IMPLS]
    return chart("Adam, one step", curves, Axis("tensors", 1, 100, log=True), Axis("operations", 10, 1e4, log=True))
