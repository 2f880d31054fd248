"""What a step takes, and how time to target splits into steps and cost."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tips import tip
from gdbench.report.charts.vega_lite import HEIGHT, WIDTH, Drawn, data, layered, panels, records
from gdbench.report.number_format import seconds
from gdbench.report.style import Look, log_axis

__all__ = ["split_chart", "spoken", "step_chart"]

SHAPES = {"manual": "circle", "torch": "square", "foreach": "triangle-up", "fused": "diamond", "compiled": "cross"}

STEP_TIME = "time of a step, µs"


def _shape(there: pd.Series) -> alt.Shape:
    names = [name for name in SHAPES if name in set(there)]
    scale = alt.Scale(domain=names, range=[SHAPES[name] for name in names])
    return alt.Shape(
        "impl:N",
        title=None,
        scale=scale,
        legend=alt.Legend(orient="top", symbolFillColor="#808890", symbolStrokeColor="#808890"),
    )


def step_chart(table: pd.DataFrame, look: Look) -> Drawn:
    """The median step time of each optimizer and impl with its quartiles, a panel for each problem; in microseconds."""
    scaled = table.assign(**{name: table[name] * 1e6 for name in ("step_s", "step_s_lo", "step_s_hi")})
    impls = [name for name in SHAPES if name in set(table["impl"])]
    offset = alt.YOffset("impl:N", sort=impls)
    y = alt.Y("optimizer:N", title=None, sort=list(look.optimizers))
    base = alt.Chart(data()).encode(y=y, yOffset=offset, color=look.colours(table["optimizer"], legend=False))
    bars = base.mark_rule(strokeWidth=2, aria=False).encode(
        x=log_axis(alt.X, "step_s_lo", STEP_TIME, room=8), x2=alt.X2("step_s_hi:Q")
    )
    points = base.mark_point(filled=True, size=60).encode(
        x=log_axis(alt.X, "step_s", STEP_TIME, room=8),
        shape=_shape(table["impl"]),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("impl:N"),
            tip("step_s", "step", "microseconds"),
            tip("step_time_ratio", "vs reference", "figure"),
            tip("vs_manual", "vs manual", "figure"),
            alt.Tooltip("noise:Q", format=".0%"),
        ],
    )
    layers = layered(bars, points, width=WIDTH, height={"step": 13 if len(impls) > 1 else 22})
    return Drawn(panels(layers, list(table["problem"].unique())), {"table": records(scaled)})


def split_chart(table: pd.DataFrame, look: Look) -> Drawn:
    """Steps to the target against the time of a step; on a grey diagonal the time to the target is the same."""
    there = look.among(table["optimizer"])
    base = alt.Chart(data())
    x, y = log_axis(alt.X, "steps", "steps to target", room=12), log_axis(alt.Y, "step_us", STEP_TIME, room=12)
    lines = base.transform_filter("datum.kind == 'line'").mark_line(
        color="#9aa0a6", strokeWidth=1, strokeDash=[2, 3], clip=True, aria=False
    )
    lines = lines.encode(x=x, y=y, detail=alt.Detail("time:N"))
    words = (
        base.transform_filter("datum.kind == 'label'")
        .mark_text(align="left", dx=3, dy=-3, fontSize=10)
        .encode(x=x, y=y, text=alt.Text("time:N"))
    )
    points = (
        base.transform_filter("datum.kind == 'run'")
        .mark_point(size=80)
        .encode(
            x=x,
            y=y,
            color=look.colours(there, symbol="circle"),
            fill=look.fills(there),
            opacity=alt.OpacityValue(1),
            shape=_shape(table["impl"]),
            tooltip=[
                alt.Tooltip("optimizer:N"),
                alt.Tooltip("impl:N"),
                alt.Tooltip("configuration:N"),
                alt.Tooltip("steps:Q"),
                tip("step_us", "step", "microseconds"),
                alt.Tooltip("time:N", title="to target"),
            ],
        )
    )
    layers = layered(lines, words, points, width=WIDTH, height=HEIGHT)
    rows = [*records(table.assign(kind="run")), *_diagonals(table)]
    return Drawn(panels(layers, list(table["problem"].unique())), {"table": rows})


def _diagonals(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Lines of equal time, a decade apart, within each problem's box."""
    rows: list[dict[str, Any]] = []
    for problem, group in table.groupby("problem", sort=False):
        (left, right), (low, high) = _wider(group["steps"]), _wider(group["step_us"])
        for power in range(int(np.ceil(np.log10(left * low))), int(np.floor(np.log10(right * high))) + 1):
            time = 10.0**power
            first, last = max(left, time / high), min(right, time / low)
            ends: list[dict[str, Any]] = [
                {"problem": problem, "kind": "line", "time": spoken(time), "steps": at, "step_us": time / at}
                for at in (first, last)
            ]
            rows += [*ends, {**ends[1], "kind": "label"}]
    return rows


def _wider(values: pd.Series) -> tuple[float, float]:
    return float(values.min()) / 1.3, float(values.max()) * 1.3


def spoken(microseconds: float) -> str:
    """A time in words, a round one without zeros behind the point."""
    return seconds(microseconds * 1e-6).replace(".00", "").replace(".0", "")
