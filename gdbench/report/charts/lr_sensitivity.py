"""Cost to the target against lr, and over two axes at once."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tips import tip
from gdbench.report.charts.vega_lite import HEIGHT, PICK, WIDTH, Drawn, data, faded, layered, panels, records
from gdbench.report.style import POWERS, Look, log_axis

__all__ = ["breaking", "chart", "grid_chart"]


def breaking(table: pd.DataFrame) -> pd.DataFrame:
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


def chart(table: pd.DataFrame, look: Look, cost: str = "gradients") -> Drawn:
    """The best over other numbers at each lr, of ``analysis.lr_sensitivity``; grey where runs broke; 2/L as a line."""
    there = look.among(table["solver"])
    base = alt.Chart(data()).encode(x=log_axis(alt.X, "lr", "learning rate"))
    shade = _of_kind(base, "broke").mark_rect(color="#808890", aria=False)
    shade = shade.encode(x2=alt.X2("right:Q"), opacity=alt.Opacity("share:Q", legend=None, scale=SHADES), tooltip=BROKE)
    rule = _of_kind(base, "limit").mark_rule(strokeDash=[3, 3], size=1.2).encode(tooltip=LIMIT)
    lines = _of_kind(base, "cost").encode(
        y=log_axis(alt.Y, "cost", f"{cost} to target"), color=look.colours(there), opacity=faded()
    )
    line = lines.mark_line(aria=False).encode(strokeDash=look.dashes(there))
    points = lines.mark_point(size=34).encode(
        fill=look.fills(there), tooltip=[*TOLD[:3], tip("cost", cost, "cost"), *TOLD[3:]]
    )
    words = _of_kind(alt.Chart(data()), "none").mark_text(text=UNREACHED, fontSize=12, aria=False)
    words = words.encode(x=alt.value(WIDTH / 2), y=alt.value(HEIGHT / 2))
    layers = layered(shade, rule, line, points, words, params=[PICK], width=WIDTH, height=HEIGHT)
    return Drawn(
        panels(layers, list(table["problem"].unique())),
        {"table": _rows(look.behind(table.assign(optimizer=table["solver"])))},
    )


def _of_kind(base: alt.Chart, kind: str) -> alt.Chart:
    return base.transform_filter(f"datum.kind == '{kind}'")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The points of the lines, the stretches where runs broke, and 2/L where it lies within what was tried."""
    best = table.sort_values("cost", kind="stable").drop_duplicates(["problem", "optimizer", "lr"]).sort_index()
    limits = table.groupby("problem", sort=False).agg(smoothness=("smoothness", "first"), most=("lr", "max"))
    limits = limits.assign(lr=2 / limits["smoothness"]).reset_index()
    kinds = {
        "cost": best[np.isfinite(best["cost"])],
        "broke": breaking(table),
        "limit": limits.loc[limits["lr"] <= limits["most"], ["problem", "lr"]],
        "none": limits.loc[~limits["problem"].isin(best.loc[np.isfinite(best["cost"]), "problem"]), ["problem"]],
    }
    return [row for kind, rows in kinds.items() for row in records(rows.assign(kind=kind))]


UNREACHED = "no run stays at the target"
"""What stands in a panel in which nothing is drawn."""
SHADES = alt.Scale(domain=[0, 1], range=[0.05, 0.32])
BROKE = [tip("at", "learning rate"), alt.Tooltip("share:Q", title="share of runs that broke", format=".0%")]
LIMIT = [tip("lr", "2/L")]
TOLD = [
    alt.Tooltip("optimizer:N"),
    tip("lr", "learning rate"),
    alt.Tooltip("others:N"),
    alt.Tooltip("solved:Q"),
    alt.Tooltip("runs:Q"),
]


def grid_chart(table: pd.DataFrame, cost: str = "gradients") -> Drawn:
    """Cost over lr and another axis, of a table with panel, lr, other, cost: dark is cheap, empty is unsolved."""
    rows = records(table)
    lrs = sorted({row["lr"] for row in rows})
    x = alt.X(
        "lr:O",
        title="learning rate",
        sort=lrs,
        axis=alt.Axis(labelExpr=SHORT, labelOverlap="greedy", labelSeparation=6, labelAngle=0),
    )
    base = alt.Chart(data())  # one for both layers: a facet wants the same data
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
            tip("lr"),
            alt.Tooltip("other:N", title="with"),
            tip("cost", cost, "cost"),
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
    layers = layered(cells, marks, width=WIDTH + 40)
    return Drawn(panels(layers, list(table["panel"].unique()), "panel"), {"table": rows})


SHORT = "replace(format(datum.value, '.2~g'), /e\\u2212?-?0*/, 'e-')"
