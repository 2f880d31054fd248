"""The gap against steps, gradients or seconds."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import (
    CROSS_MARK,
    HEIGHT,
    MAX_BANDS,
    PICK,
    WIDTH,
    ChartSpec,
    facet_by,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style, log_axis

__all__ = ["AXES", "draw_convergence", "has_bands", "select_drawable"]

AXES = {"step": "step", "gradients": "gradients", "seconds": "seconds (modelled: steps × step time)"}


def select_drawable(curves: pd.DataFrame, against: str = "step") -> pd.DataFrame:
    """The rows of ``convergence_curves.convergence`` that log axes can show; ``y`` says what is drawn, gap or loss.

    Gaps below the resolution are drawn at it. Where a minimum is unknown the loss is drawn: on a linear axis if no
    gap is drawn beside it and one is not positive, else if it is positive. ``left``, where the curves have it, marks
    the point at which a curve left the picture.
    """
    price = 1.0 if against == "step" else curves[against]
    known = curves["gap"].notna()
    table = curves.assign(optimizer=curves["solver"], x=curves["step"] * price, y=np.where(known, "gap", "loss"))
    table["gap"] = table["gap"].where(known, table["loss"])
    floor = table["floor"].fillna(0.0).where(known, -np.inf)
    for name in ("gap", "lo", "hi"):
        table[name] = table[name].clip(lower=floor)
    linear = not known.any()
    shown = table[(table["x"] > 0) & np.isfinite(table["gap"]) & ((table["gap"] > 0) | linear)]
    names = ["problem", "optimizer", "configuration", "x", "gap", "lo", "hi", "y", "runs", "ended"]
    names += ["left"] if "left" in shown else []
    drawable: pd.DataFrame = shown[names].assign(
        lo=shown["lo"].where((shown["lo"] > 0) | linear), hi=shown["hi"].where(np.isfinite(shown["hi"]))
    )
    return drawable


def has_bands(table: pd.DataFrame) -> bool:
    """Whether bands are drawn: where there are several seeds, and no more optimizers than bands can be told apart."""
    return bool((table["runs"] > 1).any()) and table["optimizer"].nunique() <= MAX_BANDS


def draw_convergence(table: pd.DataFrame, style: Style, against: str = "step") -> ChartSpec:
    """A line for each optimizer with its quartile band, a panel for each problem."""
    there = table["optimizer"].unique()
    table = table.assign(lone=~table.duplicated(["problem", "optimizer", "configuration"], keep=False))
    losses = set(table["y"])
    title = "gap (f − f*) / (f₀ − f*)" if losses == {"gap"} else "loss" if losses == {"loss"} else "gap, or loss"
    kind = "gap" if losses == {"gap"} else "number"
    axis = _linear_axis if (table["gap"] <= 0).any() else log_axis
    base = alt.Chart(named_data()).encode(x=log_axis(alt.X, "x", AXES[against]), color=style.colour_channel(there))
    band = base.mark_area(aria=False).encode(
        y=axis(alt.Y, "lo", title),
        y2=alt.Y2("hi:Q"),
        opacity=pick_opacity(0.13),
        detail=alt.Detail("configuration:N"),
    )
    line = base.mark_line(aria=False).encode(
        y=axis(alt.Y, "gap", title),
        strokeDash=style.dash_channel(there),
        opacity=pick_opacity(),
        detail=alt.Detail("configuration:N"),
    )
    hover = base.mark_point(size=90, opacity=0, filled=True).encode(
        y=alt.Y("gap:Q"),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("configuration:N"),
            number_tooltip("x", against, "cost"),
            number_tooltip("gap", title, kind),
            number_tooltip("lo", "lower quartile", kind),
            number_tooltip("hi", "upper quartile", kind),
            alt.Tooltip("runs:Q"),
        ],
    )
    layers = [*([band] if has_bands(table) else []), line, hover]
    if table["lone"].any():  # a line of one point shows nothing
        points = base.transform_filter("datum.lone").mark_point(aria=False, size=40, filled=True)
        layers.append(points.encode(y=alt.Y("gap:Q"), opacity=pick_opacity()))
    if "left" in table and table["left"].any():
        layers.append(
            base.transform_filter("datum.left")
            .mark_point(aria=False, **CROSS_MARK)
            .encode(y=alt.Y("gap:Q"), opacity=pick_opacity())
        )
    drawing = layer_charts(*layers, params=[PICK], width=WIDTH, height=HEIGHT)
    return ChartSpec(
        facet_by(drawing, list(table["problem"].unique())), {"table": json_records(style.sort_grey_first(table))}
    )


def _linear_axis(channel: Any, field: str, title: str) -> Any:
    """An axis for losses of any sign, that need not begin at 0."""
    return channel(f"{field}:Q", title=title, scale=alt.Scale(zero=False, nice=False))
