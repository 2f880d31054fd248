"""Steps to each target of the ladder."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.parts import HEIGHT, WIDTH, Drawn, data, faded, layered, panels, picking, records
from gdbench.report.look import Look, log_axis

__all__ = ["chart"]


def chart(table: pd.DataFrame, look: Look) -> Drawn:
    """A line for each optimizer over targets from 1e-1 down, a panel for each problem, of finite ``steps``."""
    there, pick = look.among(table["optimizer"]), picking()
    target = log_axis(alt.X, "target", "target (relative gap)", reverse=True)
    base = alt.Chart(data()).encode(
        x=target, y=log_axis(alt.Y, "steps", "steps to target"), color=look.colours(there), opacity=faded(pick)
    )
    line = base.mark_line(aria=False).encode(strokeDash=look.dashes(there))
    points = base.mark_point(filled=True, size=34).encode(
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("configuration:N"),
            alt.Tooltip("target:Q", format=".0e"),
            alt.Tooltip("steps:Q", format=",~g"),
        ]
    )
    layers = layered(line, points, params=[pick], width=WIDTH, height=HEIGHT)
    return Drawn(panels(layers, list(table["problem"].unique())), {"table": records(look.behind(table))})
