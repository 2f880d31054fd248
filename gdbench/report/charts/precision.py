"""The gaps that each dtype attains."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tips import tip
from gdbench.report.charts.vega_lite import WIDTH, Drawn, data, layered, panels, records
from gdbench.report.style import Look, log_axis

__all__ = ["chart"]


def chart(table: pd.DataFrame, look: Look) -> Drawn:
    """A point for each optimizer and dtype at the smallest gap, joined; of problem, optimizer, dtype, attained."""
    base = alt.Chart(data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(look.optimizers)),
        x=log_axis(alt.X, "attained", "smallest gap attained", room=8),
    )
    line = base.mark_line(strokeWidth=1.5, color="#9aa0a6", aria=False).encode(detail=alt.Detail("optimizer:N"))
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        color=look.colours(table["optimizer"], legend=False),
        shape=alt.Shape(
            "dtype:N",
            title=None,
            sort=list(table["dtype"].unique()),
            legend=alt.Legend(orient="top", symbolFillColor="#808890", symbolStrokeColor="#808890"),
        ),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("dtype:N"),
            tip("attained", kind="gap"),
            alt.Tooltip("parted:Q"),
            alt.Tooltip("configuration:N"),
        ],
    )
    layers = layered(line, points, width=WIDTH, height={"step": 24})
    return Drawn(panels(layers, list(table["problem"].unique())), {"table": records(table)})
