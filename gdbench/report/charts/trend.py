"""A measure along the commits of a branch."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import WIDTH, ChartSpec, facet_by, json_records, layer_charts, named_data
from gdbench.report.style import COLOURS

__all__ = ["draw_trend"]

HEIGHT = 96


def draw_trend(points: pd.DataFrame, changes: pd.DataFrame, title: str) -> ChartSpec:
    """``value`` against ``number``, the place of a commit, a panel for each series; a line where it ``changes``."""
    machines = list(points["fingerprint"].unique())
    colours = alt.Scale(domain=machines, range=list(np.resize(COLOURS, len(machines))))
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=WIDTH) if len(machines) > 1 else None
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("number:Q", title="commit, oldest first", scale=alt.Scale(zero=False, nice=False, padding=6), axis=axis)
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False, padding=8), axis=alt.Axis(tickCount=4, format=",~g"))
    base = alt.Chart(named_data()).encode(x=x)
    rules = base.transform_filter("datum.kind == 'change'").mark_rule(color="#808890", strokeDash=[4, 3], size=1.5)
    seen = base.transform_filter("datum.kind == 'seen'").encode(
        y=y, color=alt.Color("fingerprint:N", scale=colours, legend=legend)
    )
    line = seen.mark_line(strokeWidth=1.5, aria=False)
    dots = seen.mark_point(filled=True, size=26, opacity=1).encode(tooltip=TOOLTIP)
    rows = [*json_records(points.assign(kind="seen")), *json_records(changes.assign(kind="change"))]
    layers = layer_charts(rules.encode(tooltip=CHANGE_TOOLTIP), line, dots, width=WIDTH, height=HEIGHT)
    return ChartSpec(facet_by(layers, list(points["series"].unique()), "series"), {"table": rows})


TOOLTIP = [
    alt.Tooltip("commit:N"),
    alt.Tooltip("subject:N"),
    alt.Tooltip("day:N", title="on"),
    number_tooltip("value", kind="cost"),
]
CHANGE_TOOLTIP = [
    alt.Tooltip("commit:N", title="since"),
    alt.Tooltip("subject:N"),
    alt.Tooltip("base:N", title="from"),
    alt.Tooltip("head:N", title="to"),
]
