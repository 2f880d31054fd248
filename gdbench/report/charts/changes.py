"""What an optimizer pays on one side over what it pays on the other."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import WIDTH, ChartSpec, facet_by, json_records, layer_charts, named_data
from gdbench.report.style import Style, log_axis

__all__ = ["draw_ratios"]


def draw_ratios(table: pd.DataFrame, style: Style, cost: str) -> ChartSpec:
    """A point for each optimizer at ``ratio`` with ``lo`` to ``hi``, left of the line at 1 where b pays less."""
    title = f"{cost} to target, b over a"
    base = alt.Chart(named_data())
    rows = base.encode(
        y=alt.Y("optimizer:N", title=None, sort=list(style.optimizers)),
        color=style.colour_channel(table["optimizer"], legend=False),
    )
    one = base.mark_rule(color="#808890", strokeDash=[3, 3], aria=False).encode(x=alt.XDatum(1, type="quantitative"))
    bars = rows.mark_rule(strokeWidth=2, aria=False).encode(
        x=log_axis(alt.X, "lo", title, base=2, room=10), x2=alt.X2("hi:Q")
    )
    points = rows.mark_point(filled=True, size=80, opacity=1).encode(
        x=log_axis(alt.X, "ratio", title, base=2, room=10), tooltip=TOOLTIP
    )
    drawing = layer_charts(one, bars, points, width=WIDTH, height={"step": 24})
    return ChartSpec(facet_by(drawing, list(table["problem"].unique())), {"table": json_records(table)})


TOOLTIP = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("outcome:N", title="b is"),
    number_tooltip("a", kind="cost"),
    number_tooltip("b", kind="cost"),
    number_tooltip("ratio", kind="figure"),
    number_tooltip("lo", "from", "figure"),
    number_tooltip("hi", "to", "figure"),
    alt.Tooltip("configuration_a:N", title="a at"),
    alt.Tooltip("configuration_b:N", title="b at"),
]
