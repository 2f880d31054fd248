"""Convergence curves: the gap, or the loss, against steps, gradients or seconds."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import (
    CROSS_MARK,
    ChartSpec,
    draw_panels,
    has_bands,
    json_records,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style, linear_axis, log_axis

__all__ = ["AXES", "draw_convergence", "select_drawable"]

AXES = {"step": "step", "gradients": "gradients", "seconds": "seconds (modelled: steps × step time)"}


def select_drawable(curves: pd.DataFrame, against: str = "step") -> pd.DataFrame:
    """The rows of ``convergence_curves.convergence`` that log axes can show; ``y`` is ``gap`` or ``loss``.

    Gaps below the resolution of the dtype are raised to it. Where the minimum is unknown the loss is drawn: on a linear
    axis if there are no gaps and a loss is not positive, else only where positive. ``left``, if the curves have it,
    marks the point at which a diverging curve leaves the picture.
    """
    price = 1.0 if against == "step" else curves[against]
    known = curves["gap"].notna()
    table = curves.assign(optimizer=curves["solver"], x=curves["step"] * price, y=np.where(known, "gap", "loss"))
    table["gap"] = table["gap"].where(known, table["loss"])
    floor = table["floor"].fillna(0.0).where(known, -np.inf)
    for name in ("gap", "lo", "hi"):
        table[name] = table[name].clip(lower=floor)
    linear = not known.any()
    table = table[(table["x"] > 0) & np.isfinite(table["gap"]) & ((table["gap"] > 0) | linear)]
    names = ["problem", "optimizer", "configuration", "x", "gap", "lo", "hi", "y", "runs", "ended"]
    drawable: pd.DataFrame = table[[*names, *(["left"] if "left" in table else [])]].assign(
        lo=table["lo"].where((table["lo"] > 0) | linear), hi=table["hi"].where(np.isfinite(table["hi"]))
    )
    return drawable


def draw_convergence(table: pd.DataFrame, style: Style, against: str = "step") -> ChartSpec:
    """A line per optimizer with a band between its quartiles, one panel per problem."""
    names = table["optimizer"].unique()
    table = table.assign(lone=~table.duplicated(["problem", "optimizer", "configuration"], keep=False))
    measures = set(table["y"])
    title = {("gap",): "gap (f − f*) / (f₀ − f*)", ("loss",): "loss"}.get(tuple(measures), "gap, or loss")
    kind = "gap" if measures == {"gap"} else "number"
    axis = linear_axis if (table["gap"] <= 0).any() else log_axis
    y, detail = axis(alt.Y, "gap", title), alt.Detail("configuration:N")
    base = alt.Chart(named_data()).encode(x=log_axis(alt.X, "x", AXES[against]), color=style.colour_channel(names))
    band = base.mark_area(aria=False).encode(
        y=axis(alt.Y, "lo", title), y2=alt.Y2("hi:Q"), opacity=pick_opacity(0.13), detail=detail
    )
    line = base.mark_line(aria=False).encode(
        y=y, strokeDash=style.dash_channel(names), opacity=pick_opacity(), detail=detail
    )
    tooltip = tooltips(
        *("optimizer:N", "configuration:N", number_tooltip("x", against, "cost"), number_tooltip("gap", title, kind)),
        *(number_tooltip("lo", "lower quartile", kind), number_tooltip("hi", "upper quartile", kind), "runs:Q"),
    )
    hover = base.mark_point(size=90, opacity=0, filled=True).encode(y=alt.Y("gap:Q"), tooltip=tooltip)
    layers = [*([band] if has_bands(table["optimizer"], table["runs"] > 1) else []), line, hover]
    marked = base.encode(y=alt.Y("gap:Q"), opacity=pick_opacity())
    if table["lone"].any():  # a line of one point shows nothing
        layers.append(marked.transform_filter("datum.lone").mark_point(aria=False, size=40, filled=True))
    if "left" in table and table["left"].any():
        layers.append(marked.transform_filter("datum.left").mark_point(aria=False, **CROSS_MARK))
    return draw_panels(table, *layers, pick=True, rows=json_records(style.sort_grey_first(table)))
