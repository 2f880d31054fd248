"""Cost to the target against learning rate, alone and as a heatmap with a second setting."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import (
    HEIGHT,
    WIDTH,
    ChartSpec,
    draw_panels,
    facet_by,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import POWERS, Style, log_axis

__all__ = ["draw_heatmap", "draw_sensitivity", "select_limits"]

NOT_REACHED = "no run stays at the target"
"""Text of an empty panel."""
SHADES = alt.Scale(domain=[0, 1], range=[0.05, 0.32])
DIVERGED_TOOLTIP = [
    number_tooltip("at", "learning rate"),
    alt.Tooltip("share:Q", title="share of runs that diverged", format=".0%"),
]
SHORT_NUMBER = "replace(format(datum.value, '.2~g'), /e\\u2212?-?0*/, 'e-')"
"""Vega expression of an axis label with two digits."""


def _compute_diverged_shares(table: pd.DataFrame) -> pd.DataFrame:
    """The share of runs that diverged at each lr of each problem, for the interval ``lr`` to ``right`` around it."""
    shares = table.groupby(["problem", "lr"], sort=True)[["diverged", "runs"]].sum().reset_index()
    shares["share"] = shares["diverged"] / shares["runs"]
    logs = np.log10(shares["lr"])
    before = logs.groupby(shares["problem"]).shift(1)
    after = logs.groupby(shares["problem"]).shift(-1)
    shares["at"] = shares["lr"]
    shares["lr"] = 10 ** ((logs + before.fillna(logs)) / 2)
    shares["right"] = 10 ** ((logs + after.fillna(logs)) / 2)
    return shares[shares["share"] > 0]


def draw_sensitivity(table: pd.DataFrame, style: Style, cost: str = "gradients") -> ChartSpec:
    """The lowest cost at each lr, of ``analysis.lr_sensitivity``; grey where runs diverged, dotted at 2/L."""
    names = style.select_present(table["solver"])
    base = alt.Chart(named_data()).encode(x=log_axis(alt.X, "lr", "learning rate"))
    opacity = alt.Opacity("share:Q", legend=None, scale=SHADES)
    shade = _filter_kind(base, "diverged").mark_rect(color="#808890", aria=False)
    shade = shade.encode(x2=alt.X2("right:Q"), opacity=opacity, tooltip=DIVERGED_TOOLTIP)
    rule = _filter_kind(base, "limit").mark_rule(strokeDash=[3, 3], size=1.2)
    rule = rule.encode(tooltip=[number_tooltip("lr", "2/L")])
    lines = _filter_kind(base, "cost").encode(
        y=log_axis(alt.Y, "cost", f"{cost} to target"), color=style.colour_channel(names), opacity=pick_opacity()
    )
    line = lines.mark_line(aria=False).encode(strokeDash=style.dash_channel(names))
    points = lines.mark_point(size=34).encode(
        fill=style.fill_channel(names),
        tooltip=tooltips(
            *("optimizer:N", number_tooltip("lr", "learning rate"), alt.Tooltip("others:N", title="other settings")),
            *(number_tooltip("cost", cost, "cost"), "solved:Q", "runs:Q"),
        ),
    )
    text = _filter_kind(alt.Chart(named_data()), "none").mark_text(text=NOT_REACHED, fontSize=12, aria=False)
    text = text.encode(x=alt.value(WIDTH / 2), y=alt.value(HEIGHT / 2))
    rows = _tag_rows(style.sort_grey_first(table.assign(optimizer=table["solver"])))
    return draw_panels(table, shade, rule, line, points, text, pick=True, rows=rows)


def _filter_kind(base: alt.Chart, kind: str) -> alt.Chart:
    return base.transform_filter(f"datum.kind == '{kind}'")


def _tag_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of each ``kind``: points of lines, intervals in which runs diverged, 2/L within the swept range."""
    best = table.sort_values("cost", kind="stable").drop_duplicates(["problem", "optimizer", "lr"]).sort_index()
    best = best[np.isfinite(best["cost"])]
    kinds = {
        "cost": best,
        "diverged": _compute_diverged_shares(table),
        "limit": select_limits(table),
        "none": table.loc[~table["problem"].isin(best["problem"]), ["problem"]].drop_duplicates(),
    }
    return [row for kind, rows in kinds.items() for row in json_records(rows.assign(kind=kind))]


def select_limits(table: pd.DataFrame) -> pd.DataFrame:
    """The ``lr`` of 2/L of each ``problem`` that states an L, where the swept range reaches it: the dotted lines."""
    limits = table.groupby("problem", sort=False).agg(smoothness=("smoothness", "first"), most=("lr", "max"))
    limits = limits.assign(lr=2 / limits["smoothness"]).reset_index()
    return limits.loc[limits["lr"] <= limits["most"], ["problem", "lr"]]


def draw_heatmap(table: pd.DataFrame) -> ChartSpec:
    """Gradients over lr and another setting, of columns panel, lr, other, cost; empty where the target was missed."""
    rows = json_records(table)
    axis = alt.Axis(labelExpr=SHORT_NUMBER, labelOverlap="greedy", labelSeparation=6, labelAngle=0)
    x = alt.X("lr:O", title="learning rate", sort=sorted({row["lr"] for row in rows}), axis=axis)
    y = alt.Y("other:N", title=None, sort=list(dict.fromkeys(table["other"])))
    colour = alt.Color(
        "cost:Q",
        title="gradients to target",
        scale=alt.Scale(type="log", scheme="viridis"),
        legend=alt.Legend(orient="top", gradientLength=180, labelExpr=POWERS),
    )
    base = alt.Chart(named_data()).encode(x=x, y=y)  # one for both layers: a facet wants the same data
    cells = base.mark_rect(stroke=None).encode(
        color=alt.condition("isValid(datum.cost)", colour, alt.value("transparent")),
        tooltip=tooltips(
            *(number_tooltip("lr"), alt.Tooltip("other:N", title="other settings")),
            *(
                number_tooltip("cost", "gradients", "cost"),
                "solved:Q",
                alt.Tooltip("diverged:Q", title="diverged"),
                "runs:Q",
            ),
        ),
    )
    marks = base.transform_filter("datum.diverged > datum.runs / 2").mark_text(text="×", fontSize=11)
    chart = layer_charts(cells, marks, width=WIDTH + 40)
    return ChartSpec(facet_by(chart, list(table["panel"].unique()), "panel"), {"table": rows})
