"""A measure along the commits of a branch."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import WIDTH, ChartSpec, draw_panels, json_records, named_data
from gdbench.report.style import COLOURS

__all__ = ["draw_trend"]

HEIGHT = 96
TOOLTIP = tooltips("commit:N", "subject:N", alt.Tooltip("day:N", title="on"), number_tooltip("value", kind="cost"))
CHANGE_TOOLTIP = tooltips(
    *(alt.Tooltip("commit:N", title="since"), "subject:N"),
    *(alt.Tooltip("base:N", title="from"), alt.Tooltip("head:N", title="to")),
)


def draw_trend(points: pd.DataFrame, changes: pd.DataFrame, title: str) -> ChartSpec:
    """``value`` against the ``number`` of a commit, one panel per series, with a dashed line at each change."""
    machines = list(points["fingerprint"].unique())
    colours = alt.Scale(domain=machines, range=list(np.resize(COLOURS, len(machines))))
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=WIDTH) if len(machines) > 1 else None
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("number:Q", title="commit, oldest first", scale=alt.Scale(zero=False, nice=False, padding=6), axis=axis)
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False, padding=8), axis=alt.Axis(tickCount=4, format=",~g"))
    base = alt.Chart(named_data()).encode(x=x)
    rules = base.transform_filter("datum.kind == 'change'").mark_rule(color="#808890", strokeDash=[4, 3], size=1.5)
    values = base.transform_filter("datum.kind == 'value'").encode(
        y=y, color=alt.Color("fingerprint:N", scale=colours, legend=legend)
    )
    line = values.mark_line(strokeWidth=1.5, aria=False)
    dots = values.mark_point(filled=True, size=26, opacity=1).encode(tooltip=TOOLTIP)
    rows = [*json_records(points.assign(kind="value")), *json_records(changes.assign(kind="change"))]
    layers = rules.encode(tooltip=CHANGE_TOOLTIP), line, dots
    return draw_panels(points, *layers, field="series", rows=rows, height=HEIGHT)
