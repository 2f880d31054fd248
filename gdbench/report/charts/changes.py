"""What an optimizer pays on one side over what it pays on the other."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.tips import tip
from gdbench.report.charts.vega_lite import WIDTH, Drawn, data, layered, panels, records
from gdbench.report.style import Look, log_axis

__all__ = ["chart"]


def chart(table: pd.DataFrame, look: Look, cost: str) -> Drawn:
    """A point for each optimizer at ``ratio`` with ``lo`` to ``hi``, left of the line at 1 where b pays less."""
    title = f"{cost} to target, b over a"
    base = alt.Chart(data())
    rows = base.encode(
        y=alt.Y("optimizer:N", title=None, sort=list(look.optimizers)),
        color=look.colours(table["optimizer"], legend=False),
    )
    one = base.mark_rule(color="#808890", strokeDash=[3, 3], aria=False).encode(x=alt.XDatum(1, type="quantitative"))
    bars = rows.mark_rule(strokeWidth=2, aria=False).encode(
        x=log_axis(alt.X, "lo", title, base=2, room=10), x2=alt.X2("hi:Q")
    )
    points = rows.mark_point(filled=True, size=80, opacity=1).encode(
        x=log_axis(alt.X, "ratio", title, base=2, room=10), tooltip=TOLD
    )
    drawing = layered(one, bars, points, width=WIDTH, height={"step": 24})
    return Drawn(panels(drawing, list(table["problem"].unique())), {"table": records(table)})


TOLD = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("outcome:N", title="b is"),
    tip("a", kind="cost"),
    tip("b", kind="cost"),
    tip("ratio", kind="figure"),
    tip("lo", "from", "figure"),
    tip("hi", "to", "figure"),
    alt.Tooltip("configuration_a:N", title="a at"),
    alt.Tooltip("configuration_b:N", title="b at"),
]
