"""Comparisons across problems: performance and data profiles, runtime ECDF, average ranks, best of k trials."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import (
    HEIGHT,
    PICK,
    WIDTH,
    ChartSpec,
    draw_lines,
    draw_panels,
    has_bands,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style, log_axis

__all__ = ["draw_best_of_k", "draw_ecdf", "draw_profiles", "draw_ranks", "stack_views"]

VIEWS = ("learning rate tuned per problem", "one learning rate for all problems")
SHARE = alt.Scale(domain=[0, 1], nice=False)
PERCENT = alt.Axis(format="%", tickCount=5)
SHARE_TOOLTIP = alt.Tooltip("share:Q", format=".0%")


def stack_views(
    tuned: pd.DataFrame, one_lr: pd.DataFrame, compute: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """A profile in both VIEWS, distinguished by the column ``view``."""
    tables = [compute(table).assign(view=view) for view, table in zip(VIEWS, (tuned, one_lr), strict=True)]
    return pd.concat(tables, ignore_index=True).assign(optimizer=lambda table: table["solver"])


def draw_profiles(table: pd.DataFrame, style: Style, across: str = "ratio") -> ChartSpec:
    """Step functions of ``share`` over ``ratio`` or ``cost``, one panel per ``view``; failures never arrive."""
    title = {"ratio": "within this factor of the best", "cost": "gradients"}[across]
    ends = table.groupby("view")[across].transform("max") * 1.05
    last = table.groupby(["view", "optimizer"], sort=False).tail(1)
    extended = pd.concat([table, last.assign(**{across: ends[last.index]})], ignore_index=True)
    names = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(
        x=log_axis(alt.X, across, title, base=2 if across == "ratio" else 10),
        y=alt.Y("share:Q", title="share of problems", scale=SHARE, axis=PERCENT),
        color=style.colour_channel(names),
        opacity=pick_opacity(),
    )
    line = base.mark_line(interpolate="step-after", aria=False).encode(strokeDash=style.dash_channel(names))
    cost = number_tooltip(across, kind="figure" if across == "ratio" else "cost")
    points = base.mark_point(size=60, opacity=0, filled=True).encode(
        opacity=alt.OpacityValue(0), tooltip=tooltips("optimizer:N", cost, SHARE_TOOLTIP, "problems:Q")
    )
    rows = json_records(style.sort_grey_first(extended))
    size = {"width": WIDTH + 90, "height": HEIGHT + 20}
    return draw_panels(table, line, points, field="view", pick=True, rows=rows, **size)


def draw_ecdf(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The share of (problem, target, run) reached within a cost, with its bootstrap band."""
    names = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(
        x=log_axis(alt.X, "cost", "gradients"), color=style.colour_channel(names), opacity=pick_opacity()
    )
    title = "share of targets reached"
    y = alt.Y("share:Q", title=title, scale=SHARE, axis=PERCENT)
    band = base.mark_area(interpolate="step-after", aria=False).encode(
        y=alt.Y("lo:Q", scale=SHARE, title=title),
        y2=alt.Y2("hi:Q"),
        opacity=pick_opacity(0.15 if len(names) <= 3 else 0.07),
    )
    line = base.mark_line(interpolate="step-after", aria=False).encode(y=y, strokeDash=style.dash_channel(names))
    points = base.mark_point(size=60, filled=True, opacity=0).encode(
        y=y,
        opacity=alt.OpacityValue(0),
        tooltip=tooltips("optimizer:N", number_tooltip("cost", kind="cost"), SHARE_TOOLTIP),
    )
    layers = [*([band] if has_bands(table["optimizer"], table["lo"].notna()) else []), line, points]
    chart = layer_charts(*layers, params=[PICK], width=2 * WIDTH, height=HEIGHT + 40)
    return ChartSpec(chart, {"table": json_records(style.sort_grey_first(table))})


def draw_ranks(table: pd.DataFrame, style: Style, difference: float) -> ChartSpec:
    """Average ranks with half the critical difference to each side: overlapping bars are statistically tied."""
    ranks = table.assign(
        optimizer=table["solver"], lo=table["rank"] - difference / 2, hi=table["rank"] + difference / 2
    )
    base = alt.Chart(named_data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(ranks["optimizer"])),
        color=style.colour_channel(ranks["optimizer"], legend=False),
    )
    scale = alt.Scale(domain=[1, max(len(ranks), 2)], nice=False)
    x = alt.X("lo:Q", title="average rank (1 is best)", scale=scale, axis=alt.Axis(tickMinStep=1))
    rule = base.mark_rule(strokeWidth=2, aria=False, clip=True).encode(x=x, x2=alt.X2("hi:Q"))
    point = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("rank:Q"), tooltip=tooltips("optimizer:N", alt.Tooltip("rank:Q", format=".2f"))
    )
    chart = layer_charts(rule, point, width=2 * WIDTH, height={"step": 22})
    return ChartSpec(chart, {"table": json_records(ranks.drop(columns=["solver", "p"]))})


def draw_best_of_k(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The median lowest cost of k configurations, one panel per problem, where ``median`` is finite."""
    x = log_axis(alt.X, "k", "trials (configurations drawn at random)")
    y = log_axis(alt.Y, "median", "gradients to target")
    tooltip = tooltips(
        "optimizer:N", "k:Q", number_tooltip("median", kind="cost"), alt.Tooltip("reached:Q", format=".0%")
    )
    return draw_lines(table[np.isfinite(table["median"])], style, x, y, tooltip)
