"""Cost to the target against lr, and over two axes at once."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.parts import HEIGHT, WIDTH, Drawn, data, faded, panels, picking, records
from gdbench.report.look import POWERS, Look, log_axis

__all__ = ["breaking", "chart", "grid_chart"]


def breaking(table: pd.DataFrame) -> pd.DataFrame:
    """For each problem and lr the share of runs that broke, and the stretch of the axis that the lr stands for."""
    shares = table.groupby(["problem", "lr"], sort=True)[["broke", "runs"]].sum().reset_index()
    shares["share"] = shares["broke"] / shares["runs"]
    logs = np.log10(shares["lr"])
    before = logs.groupby(shares["problem"]).shift(1)
    after = logs.groupby(shares["problem"]).shift(-1)
    shares["left"] = 10 ** ((logs + before.fillna(logs)) / 2)
    shares["right"] = 10 ** ((logs + after.fillna(logs)) / 2)
    return shares[shares["share"] > 0]


def chart(table: pd.DataFrame, look: Look, cost: str = "gradients") -> Drawn:
    """The best over other numbers at each lr, of ``analysis.sensitivity``; grey where runs broke; 2/L as a line."""
    table = table.assign(optimizer=table["solver"]).sort_values("cost")
    best = table.drop_duplicates(["problem", "optimizer", "lr"]).sort_values(["problem", "optimizer", "lr"])
    there, pick = look.among(best["optimizer"]), picking()
    shown = best[np.isfinite(best["cost"])]
    problems = list(table["problem"].unique())
    limits = best[["problem", "smoothness"]].drop_duplicates("problem")
    limits = limits.assign(limit=2 / limits["smoothness"]).dropna()
    highest = table.groupby("problem")["lr"].agg(["min", "max"])
    limits = limits[[row.limit <= highest["max"][row.problem] for row in limits.itertuples()]]
    rows = [*records(shown.assign(kind="cost")), *records(breaking(table).assign(kind="broke"))]
    rows += records(limits.assign(kind="limit"))
    x = log_axis(alt.X, "lr", "learning rate")
    base = alt.Chart(data()).encode(x=x)
    shade = (
        base.transform_filter("datum.kind == 'broke'")
        .mark_rect(color="#808890", aria=False)
        .encode(
            x=log_axis(alt.X, "left", "learning rate"),
            x2="right:Q",
            opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.05, 0.32])),
            tooltip=[
                alt.Tooltip("lr:Q", format=".3~g"),
                alt.Tooltip("share:Q", title="share of runs that broke", format=".0%"),
            ],
        )
    )
    rule = (
        base.transform_filter("datum.kind == 'limit'")
        .mark_rule(strokeDash=[3, 3], size=1.2)
        .encode(
            x=log_axis(alt.X, "limit", "learning rate"), tooltip=[alt.Tooltip("limit:Q", title="2/L", format=".3~g")]
        )
    )
    lines = base.transform_filter("datum.kind == 'cost'").encode(
        y=log_axis(alt.Y, "cost", f"{cost} to target"), color=look.colours(there), opacity=faded(pick)
    )
    line = lines.mark_line(aria=False).encode(strokeDash=look.dashes(there))
    points = lines.mark_point(filled=True, size=34).encode(
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("lr:Q", format=".3~g"),
            alt.Tooltip("others:N", title="with"),
            alt.Tooltip("cost:Q", title=cost, format=".4~g"),
            alt.Tooltip("solved:Q"),
            alt.Tooltip("runs:Q"),
        ]
    )
    layers = alt.layer(shade, rule, line, points).add_params(pick).properties(width=WIDTH, height=HEIGHT)
    return Drawn(panels(layers, problems), {"table": rows})


def grid_chart(table: pd.DataFrame, cost: str = "gradients") -> Drawn:
    """Cost over lr and another axis, of a table with panel, lr, other, cost: dark is cheap, empty is unsolved."""
    rows = records(table)
    lrs = sorted(table["lr"].unique())
    x = alt.X(
        "lr:O", title="learning rate", sort=lrs, axis=alt.Axis(labelExpr=SHORT, labelOverlap="greedy", labelAngle=0)
    )
    cells = (
        alt.Chart(data())
        .mark_rect(stroke=None)
        .encode(
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
                alt.Tooltip("lr:Q", format=".3~g"),
                alt.Tooltip("other:N", title="with"),
                alt.Tooltip("cost:Q", title=cost, format=".4~g"),
                alt.Tooltip("solved:Q"),
                alt.Tooltip("broke:Q"),
                alt.Tooltip("runs:Q"),
            ],
        )
    )
    marks = (
        alt.Chart(data())
        .transform_filter("datum.broke > datum.runs / 2")
        .mark_text(text="×", fontSize=11)
        .encode(x=x, y=alt.Y("other:N", sort=list(dict.fromkeys(table["other"]))))
    )
    layers = alt.layer(cells, marks).properties(width=WIDTH + 40)
    return Drawn(panels(layers, list(table["panel"].unique()), "panel"), {"table": rows})


SHORT = "replace(format(datum.value, '.2~g'), /e\\u2212?-?0*/, 'e-')"
