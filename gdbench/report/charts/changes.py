"""Ratio of the costs of each optimizer on two sides."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_panels, named_data
from gdbench.report.style import Style, log_axis

__all__ = ["draw_ratios"]

TOOLTIP = tooltips(
    "optimizer:N",
    alt.Tooltip("outcome:N", title="b is"),
    number_tooltip("a", kind="cost"),
    number_tooltip("b", kind="cost"),
    number_tooltip("ratio", kind="figure"),
    number_tooltip("lo", "from", "figure"),
    number_tooltip("hi", "to", "figure"),
    alt.Tooltip("configuration_a:N", title="a at"),
    alt.Tooltip("configuration_b:N", title="b at"),
)


def draw_ratios(table: pd.DataFrame, style: Style, cost: str) -> ChartSpec:
    """A point per optimizer at ``ratio`` with its interval ``lo`` to ``hi``; left of 1 b costs less."""
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
    return draw_panels(table, one, bars, points, height={"step": 24})
