"""Steps to each target."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_lines
from gdbench.report.style import Style, log_axis

__all__ = ["draw_steps_to_target"]

TOOLTIP = tooltips("optimizer:N", "configuration:N", number_tooltip("target"), number_tooltip("steps", kind="cost"))


def draw_steps_to_target(table: pd.DataFrame, style: Style) -> ChartSpec:
    """A line per optimizer over the targets from 1e-1 down, one panel per problem; ``steps`` must be finite."""
    target = log_axis(alt.X, "target", "target (relative gap)", reverse=True)
    return draw_lines(table, style, target, log_axis(alt.Y, "steps", "steps to target"), TOOLTIP)
