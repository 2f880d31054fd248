"""Steps to each target of the ladder."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tips import tip
from gdbench.report.charts.vega_lite import Drawn, lines
from gdbench.report.style import Look, log_axis

__all__ = ["chart"]


def chart(table: pd.DataFrame, look: Look) -> Drawn:
    """A line for each optimizer over targets from 1e-1 down, a panel for each problem, of finite ``steps``."""
    target = log_axis(alt.X, "target", "target (relative gap)", reverse=True)
    return lines(table, look, target, log_axis(alt.Y, "steps", "steps to target"), TOLD)


TOLD = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("configuration:N"),
    tip("target"),
    tip("steps", kind="cost"),
]
