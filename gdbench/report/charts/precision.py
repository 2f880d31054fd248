"""The gaps that each dtype attains."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import WIDTH, ChartSpec, facet_by, json_records, layer_charts, named_data
from gdbench.report.style import Style, log_axis

__all__ = ["draw_precision"]


def draw_precision(table: pd.DataFrame, style: Style) -> ChartSpec:
    """A point for each optimizer and dtype at the smallest gap, joined; of problem, optimizer, dtype, attained."""
    base = alt.Chart(named_data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(style.optimizers)),
        x=log_axis(alt.X, "attained", "smallest gap attained", room=8),
    )
    line = base.mark_line(strokeWidth=1.5, color="#9aa0a6", aria=False).encode(detail=alt.Detail("optimizer:N"))
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        color=style.colour_channel(table["optimizer"], legend=False),
        shape=alt.Shape(
            "dtype:N",
            title=None,
            sort=list(table["dtype"].unique()),
            legend=alt.Legend(orient="top", symbolFillColor="#808890", symbolStrokeColor="#808890"),
        ),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("dtype:N"),
            number_tooltip("attained", kind="gap"),
            alt.Tooltip("parted:Q"),
            alt.Tooltip("configuration:N"),
        ],
    )
    layers = layer_charts(line, points, width=WIDTH, height={"step": 24})
    return ChartSpec(facet_by(layers, list(table["problem"].unique())), {"table": json_records(table)})
