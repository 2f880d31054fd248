"""The smallest gap that each dtype attains."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_panels, named_data
from gdbench.report.style import Style, log_axis

__all__ = ["draw_precision"]


def draw_precision(table: pd.DataFrame, style: Style) -> ChartSpec:
    """A point per optimizer and dtype at the smallest gap, those of an optimizer joined by a line.

    Columns of the table: problem, optimizer, dtype, attained, parted, configuration.
    """
    base = alt.Chart(named_data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(style.optimizers)),
        x=log_axis(alt.X, "attained", "smallest gap attained", room=8),
    )
    line = base.mark_line(strokeWidth=1.5, color="#9aa0a6", aria=False).encode(detail=alt.Detail("optimizer:N"))
    legend = alt.Legend(orient="top", symbolFillColor="#808890", symbolStrokeColor="#808890")
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        color=style.colour_channel(table["optimizer"], legend=False),
        shape=alt.Shape("dtype:N", title=None, sort=list(table["dtype"].unique()), legend=legend),
        tooltip=tooltips(
            "optimizer:N", "dtype:N", number_tooltip("attained", kind="gap"), "parted:Q", "configuration:N"
        ),
    )
    return draw_panels(table, line, points, height={"step": 24})
