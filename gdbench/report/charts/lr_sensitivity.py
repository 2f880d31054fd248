"""Cost to the target against lr, and over two axes at once."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import (
    HEIGHT,
    PICK,
    WIDTH,
    ChartSpec,
    facet_by,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import POWERS, Style, log_axis

__all__ = ["diverged_shares", "draw_heatmap", "draw_sensitivity"]


def diverged_shares(table: pd.DataFrame) -> pd.DataFrame:
    """For each problem and lr the share of runs that broke, and the stretch, ``lr`` to ``right``, it stands for."""
    shares = table.groupby(["problem", "lr"], sort=True)[["broke", "runs"]].sum().reset_index()
    shares["share"] = shares["broke"] / shares["runs"]
    logs = np.log10(shares["lr"])
    before = logs.groupby(shares["problem"]).shift(1)
    after = logs.groupby(shares["problem"]).shift(-1)
    shares["at"] = shares["lr"]
    shares["lr"] = 10 ** ((logs + before.fillna(logs)) / 2)
    shares["right"] = 10 ** ((logs + after.fillna(logs)) / 2)
    return shares[shares["share"] > 0]


def draw_sensitivity(table: pd.DataFrame, style: Style, cost: str = "gradients") -> ChartSpec:
    """The best over other numbers at each lr, of ``analysis.lr_sensitivity``; grey where runs broke; 2/L as a line."""
    there = style.select_present(table["solver"])
    base = alt.Chart(named_data()).encode(x=log_axis(alt.X, "lr", "learning rate"))
    shade = _filter_kind(base, "broke").mark_rect(color="#808890", aria=False)
    shade = shade.encode(
        x2=alt.X2("right:Q"), opacity=alt.Opacity("share:Q", legend=None, scale=SHADES), tooltip=DIVERGED_TOOLTIP
    )
    rule = _filter_kind(base, "limit").mark_rule(strokeDash=[3, 3], size=1.2).encode(tooltip=LIMIT_TOOLTIP)
    lines = _filter_kind(base, "cost").encode(
        y=log_axis(alt.Y, "cost", f"{cost} to target"), color=style.colour_channel(there), opacity=pick_opacity()
    )
    line = lines.mark_line(aria=False).encode(strokeDash=style.dash_channel(there))
    points = lines.mark_point(size=34).encode(
        fill=style.fill_channel(there), tooltip=[*TOOLTIP[:3], number_tooltip("cost", cost, "cost"), *TOOLTIP[3:]]
    )
    words = _filter_kind(alt.Chart(named_data()), "none").mark_text(text=NOT_REACHED, fontSize=12, aria=False)
    words = words.encode(x=alt.value(WIDTH / 2), y=alt.value(HEIGHT / 2))
    layers = layer_charts(shade, rule, line, points, words, params=[PICK], width=WIDTH, height=HEIGHT)
    return ChartSpec(
        facet_by(layers, list(table["problem"].unique())),
        {"table": _rows(style.sort_grey_first(table.assign(optimizer=table["solver"])))},
    )


def _filter_kind(base: alt.Chart, kind: str) -> alt.Chart:
    return base.transform_filter(f"datum.kind == '{kind}'")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The points of the lines, the stretches where runs broke, and 2/L where it lies within what was tried."""
    best = table.sort_values("cost", kind="stable").drop_duplicates(["problem", "optimizer", "lr"]).sort_index()
    limits = table.groupby("problem", sort=False).agg(smoothness=("smoothness", "first"), most=("lr", "max"))
    limits = limits.assign(lr=2 / limits["smoothness"]).reset_index()
    kinds = {
        "cost": best[np.isfinite(best["cost"])],
        "broke": diverged_shares(table),
        "limit": limits.loc[limits["lr"] <= limits["most"], ["problem", "lr"]],
        "none": limits.loc[~limits["problem"].isin(best.loc[np.isfinite(best["cost"]), "problem"]), ["problem"]],
    }
    return [row for kind, rows in kinds.items() for row in json_records(rows.assign(kind=kind))]


NOT_REACHED = "no run stays at the target"
"""What stands in a panel in which nothing is drawn."""
SHADES = alt.Scale(domain=[0, 1], range=[0.05, 0.32])
DIVERGED_TOOLTIP = [
    number_tooltip("at", "learning rate"),
    alt.Tooltip("share:Q", title="share of runs that broke", format=".0%"),
]
LIMIT_TOOLTIP = [number_tooltip("lr", "2/L")]
TOOLTIP = [
    alt.Tooltip("optimizer:N"),
    number_tooltip("lr", "learning rate"),
    alt.Tooltip("others:N"),
    alt.Tooltip("solved:Q"),
    alt.Tooltip("runs:Q"),
]


def draw_heatmap(table: pd.DataFrame, cost: str = "gradients") -> ChartSpec:
    """Cost over lr and another axis, of a table with panel, lr, other, cost: dark is cheap, empty is unsolved."""
    rows = json_records(table)
    lrs = sorted({row["lr"] for row in rows})
    x = alt.X(
        "lr:O",
        title="learning rate",
        sort=lrs,
        axis=alt.Axis(labelExpr=SHORT_NUMBER, labelOverlap="greedy", labelSeparation=6, labelAngle=0),
    )
    base = alt.Chart(named_data())  # one for both layers: a facet wants the same data
    cells = base.mark_rect(stroke=None).encode(
        x=x,
        y=alt.Y("other:N", title=None, sort=list(dict.fromkeys(table["other"]))),
        color=alt.condition(
            "isValid(datum.cost)",
            alt.Color(
                "cost:Q",
                title=f"{cost} to target",
                scale=alt.Scale(type="log", scheme="viridis"),
                legend=alt.Legend(orient="top", gradientLength=180, labelExpr=POWERS),
            ),
            alt.value("transparent"),
        ),
        tooltip=[
            number_tooltip("lr"),
            alt.Tooltip("other:N", title="with"),
            number_tooltip("cost", cost, "cost"),
            alt.Tooltip("solved:Q"),
            alt.Tooltip("broke:Q"),
            alt.Tooltip("runs:Q"),
        ],
    )
    marks = (
        base.transform_filter("datum.broke > datum.runs / 2")
        .mark_text(text="×", fontSize=11)
        .encode(x=x, y=alt.Y("other:N", sort=list(dict.fromkeys(table["other"]))))
    )
    layers = layer_charts(cells, marks, width=WIDTH + 40)
    return ChartSpec(facet_by(layers, list(table["panel"].unique()), "panel"), {"table": rows})


SHORT_NUMBER = "replace(format(datum.value, '.2~g'), /e\\u2212?-?0*/, 'e-')"
