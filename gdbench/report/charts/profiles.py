"""Across problems: performance and data profiles, ECDF of runtimes, ranks, and the best of k trials."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import (
    HEIGHT,
    MAX_BANDS,
    PICK,
    WIDTH,
    ChartSpec,
    draw_lines,
    facet_by,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style, log_axis

__all__ = ["draw_best_of_k", "draw_ecdf", "draw_profiles", "draw_ranks", "has_bands"]

SHARE = alt.Scale(domain=[0, 1], nice=False)


def draw_profiles(table: pd.DataFrame, style: Style, across: str = "ratio") -> ChartSpec:
    """Step functions of share over ``ratio`` or ``cost``, a panel for each of ``view``; failures never arrive."""
    title = {"ratio": "within this factor of the best", "cost": "gradients"}[across]
    ends = table.groupby("view")[across].transform("max") * 1.05
    last = table.groupby(["view", "optimizer"], sort=False).tail(1)
    whole = pd.concat([table, last.assign(**{across: ends[last.index]})], ignore_index=True)
    there = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(
        x=log_axis(alt.X, across, title, base=2 if across == "ratio" else 10),
        y=alt.Y("share:Q", title="share of problems", scale=SHARE, axis=alt.Axis(format="%", tickCount=5)),
        color=style.colour_channel(there),
        opacity=pick_opacity(),
    )
    line = base.mark_line(interpolate="step-after", aria=False).encode(strokeDash=style.dash_channel(there))
    points = base.mark_point(size=60, opacity=0, filled=True).encode(
        opacity=alt.OpacityValue(0),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            number_tooltip(across, kind="figure" if across == "ratio" else "cost"),
            alt.Tooltip("share:Q", format=".0%"),
            alt.Tooltip("problems:Q"),
        ],
    )
    layers = layer_charts(line, points, params=[PICK], width=WIDTH + 90, height=HEIGHT + 20)
    return ChartSpec(
        facet_by(layers, list(table["view"].unique()), "view"), {"table": json_records(style.sort_grey_first(whole))}
    )


def has_bands(table: pd.DataFrame) -> bool:
    """Whether an ECDF's bands are drawn: where there are any, and no more than can be told apart."""
    return bool(table["lo"].notna().any()) and table["optimizer"].nunique() <= MAX_BANDS


def draw_ecdf(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The share of (problem, target, run) reached within a cost, with its bootstrap band."""
    there = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(x=log_axis(alt.X, "cost", "gradients"), color=style.colour_channel(there))
    y = alt.Y("share:Q", title="share of targets reached", scale=SHARE, axis=alt.Axis(format="%", tickCount=5))
    band = base.mark_area(interpolate="step-after", aria=False).encode(
        y=alt.Y("lo:Q", scale=SHARE, title="share of targets reached"),
        y2=alt.Y2("hi:Q"),
        opacity=pick_opacity(0.15 if len(there) <= 3 else 0.07),
    )
    line = base.mark_line(interpolate="step-after", aria=False).encode(
        y=y, strokeDash=style.dash_channel(there), opacity=pick_opacity()
    )
    points = base.mark_point(size=60, filled=True, opacity=0).encode(
        y=y,
        opacity=alt.OpacityValue(0),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            number_tooltip("cost", kind="cost"),
            alt.Tooltip("share:Q", format=".0%"),
        ],
    )
    layers = [*([band] if has_bands(table) else []), line, points]
    drawing = layer_charts(*layers, params=[PICK], width=2 * WIDTH, height=HEIGHT + 40)
    return ChartSpec(drawing, {"table": json_records(style.sort_grey_first(table))})


def draw_ranks(table: pd.DataFrame, style: Style, difference: float) -> ChartSpec:
    """Average ranks with half the critical difference to each side: what overlaps is not told apart."""
    ranks = table.assign(
        optimizer=table["solver"], lo=table["rank"] - difference / 2, hi=table["rank"] + difference / 2
    )
    base = alt.Chart(named_data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(ranks["optimizer"])),
        color=style.colour_channel(ranks["optimizer"], legend=False),
    )
    axis = alt.Axis(tickMinStep=1)
    rule = base.mark_rule(strokeWidth=2, aria=False, clip=True).encode(
        x=alt.X(
            "lo:Q",
            title="average rank (1 is best)",
            scale=alt.Scale(domain=[1, max(len(ranks), 2)], nice=False),
            axis=axis,
        ),
        x2=alt.X2("hi:Q"),
    )
    point = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("rank:Q"), tooltip=[alt.Tooltip("optimizer:N"), alt.Tooltip("rank:Q", format=".2f")]
    )
    layers = layer_charts(rule, point, width=2 * WIDTH, height={"step": 22})
    return ChartSpec(layers, {"table": json_records(ranks.drop(columns=["solver", "p"]))})


def draw_best_of_k(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The median best of k configurations, a panel for each problem, of finite ``median``."""
    k = log_axis(alt.X, "k", "trials (configurations drawn at random)")
    shown = table[np.isfinite(table["median"])]
    return draw_lines(shown, style, k, log_axis(alt.Y, "median", "gradients to target"), BEST_OF_K_TOOLTIP)


BEST_OF_K_TOOLTIP = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("k:Q"),
    number_tooltip("median", kind="cost"),
    alt.Tooltip("reached:Q", format=".0%"),
]
