"""Training curves: a loss or a metric against steps, on train and on held-out data."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_panels, has_bands, json_records, named_data, pick_opacity
from gdbench.report.style import Style, linear_axis, log_axis

__all__ = ["draw_training_curves", "has_curve_bands"]

SPLIT_DASHES = {"train": (1, 0), "held-out": (6, 4)}
"""Dash of a curve by the data on which it is measured."""


def has_curve_bands(table: pd.DataFrame) -> bool:
    """Whether bands are drawn: several seeds, and few enough lines."""
    return has_bands(table["optimizer"] + table["split"], table["runs"] > 1)


def draw_training_curves(table: pd.DataFrame, style: Style, title: str, logarithmic: bool) -> ChartSpec:
    """A line per optimizer and split with a band between its quartiles, one panel per problem.

    Where both splits are drawn the dash tells them apart, else the optimizers.
    """
    names = table["optimizer"].unique()
    axis = log_axis if logarithmic else linear_axis
    detail = [alt.Detail("configuration:N"), alt.Detail("split:N")]
    base = alt.Chart(named_data()).encode(x=linear_axis(alt.X, "step", "step"), color=style.colour_channel(names))
    line = base.mark_line(aria=False).encode(
        y=axis(alt.Y, "value", title),
        strokeDash=_split_channel() if table["split"].nunique() > 1 else style.dash_channel(names),
        opacity=pick_opacity(),
        detail=detail,
    )
    band = base.mark_area(aria=False).encode(
        y=axis(alt.Y, "lo", title), y2=alt.Y2("hi:Q"), opacity=pick_opacity(0.13), detail=detail
    )
    tooltip = tooltips(
        *("optimizer:N", "configuration:N", alt.Tooltip("split:N", title="data"), number_tooltip("step", kind="cost")),
        *(number_tooltip("value", title), number_tooltip("lo", "lower quartile")),
        *(number_tooltip("hi", "upper quartile"), "runs:Q"),
    )
    hover = base.mark_point(size=90, opacity=0, filled=True).encode(y=alt.Y("value:Q"), tooltip=tooltip)
    layers = [*([band] if has_curve_bands(table) else []), line, *_hollow_points(base, style, names), hover]
    return draw_panels(table, *layers, pick=True, rows=json_records(style.sort_grey_first(table)))


def _hollow_points(base: Any, style: Style, names: Any) -> list[Any]:
    """Points of the lines where some optimizers share a colour and differ by rings."""
    if not any(map(style.is_hollow, names)):
        return []
    points = base.mark_point(size=30).encode(y=alt.Y("value:Q"), fill=style.fill_channel(names), opacity=pick_opacity())
    return [points]


def _split_channel() -> alt.StrokeDash:
    scale = alt.Scale(domain=list(SPLIT_DASHES), range=[list(dash) for dash in SPLIT_DASHES.values()])
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=2.5, symbolStrokeColor="gray")
    return alt.StrokeDash("split:N", scale=scale, legend=legend)
