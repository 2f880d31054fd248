"""Time of a step, and time to target split into number of steps and time of each."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_panels, json_records, named_data
from gdbench.report.number_format import format_seconds
from gdbench.report.style import Style, log_axis

__all__ = ["draw_step_times", "draw_time_split", "format_round_time"]

SHAPES = {"manual": "circle", "torch": "square", "foreach": "triangle-up", "fused": "diamond", "compiled": "cross"}
STEP_TIME = "time of a step, µs"


def _shape_channel(impls: pd.Series) -> alt.Shape:
    names = [name for name in SHAPES if name in set(impls)]
    scale = alt.Scale(domain=names, range=[SHAPES[name] for name in names])
    legend = alt.Legend(orient="top", symbolFillColor="#808890", symbolStrokeColor="#808890")
    return alt.Shape("impl:N", title=None, scale=scale, legend=legend)


def draw_step_times(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The median step time of each optimizer and impl with its quartiles, in microseconds, one panel per problem."""
    scaled = table.assign(**{name: table[name] * 1e6 for name in ("step_s", "step_s_lo", "step_s_hi")})
    impls = [name for name in SHAPES if name in set(table["impl"])]
    base = alt.Chart(named_data()).encode(
        y=alt.Y("optimizer:N", title=None, sort=list(style.optimizers)),
        yOffset=alt.YOffset("impl:N", sort=impls),
        color=style.colour_channel(table["optimizer"], legend=False),
    )
    bars = base.mark_rule(strokeWidth=2, aria=False).encode(
        x=log_axis(alt.X, "step_s_lo", STEP_TIME, room=8), x2=alt.X2("step_s_hi:Q")
    )
    points = base.mark_point(filled=True, size=60).encode(
        x=log_axis(alt.X, "step_s", STEP_TIME, room=8),
        shape=_shape_channel(table["impl"]),
        tooltip=tooltips(
            *("optimizer:N", "impl:N", number_tooltip("step_s", "step", "microseconds")),
            *(
                number_tooltip("step_time_ratio", "vs reference", "figure"),
                number_tooltip("vs_manual", "vs manual", "figure"),
            ),
            alt.Tooltip("noise:Q", format=".0%"),
        ),
    )
    return draw_panels(scaled, bars, points, height={"step": 13 if len(impls) > 1 else 22})


def draw_time_split(table: pd.DataFrame, style: Style) -> ChartSpec:
    """Steps to the target against the time of a step; along a dotted diagonal the time to target is constant."""
    base = alt.Chart(named_data()).encode(
        x=log_axis(alt.X, "steps", "steps to target", room=12), y=log_axis(alt.Y, "step_us", STEP_TIME, room=12)
    )
    lines = base.transform_filter("datum.kind == 'line'").mark_line(
        color="#9aa0a6", strokeWidth=1, strokeDash=[2, 3], clip=True, aria=False
    )
    lines = lines.encode(detail=alt.Detail("time:N"))
    labels = base.transform_filter("datum.kind == 'label'").mark_text(align="left", dx=3, dy=-3, fontSize=10)
    labels = labels.encode(text=alt.Text("time:N"))
    names = style.select_present(table["optimizer"])
    points = base.transform_filter("datum.kind == 'run'").mark_point(size=80)
    points = points.encode(
        color=style.colour_channel(names, symbol="circle"),
        fill=style.fill_channel(names),
        opacity=alt.OpacityValue(1),
        shape=_shape_channel(table["impl"]),
        tooltip=tooltips(
            *("optimizer:N", "impl:N", "configuration:N", "steps:Q"),
            *(number_tooltip("step_us", "step", "microseconds"), alt.Tooltip("time:N", title="to target")),
        ),
    )
    rows = [*json_records(table.assign(kind="run")), *_equal_time_lines(table)]
    return draw_panels(table, lines, labels, points, rows=rows)


def _equal_time_lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Lines of equal time to target, a decade apart, within the range of each problem."""
    rows: list[dict[str, Any]] = []
    for problem, group in table.groupby("problem", sort=False):
        (left, right), (low, high) = _widen_range(group["steps"]), _widen_range(group["step_us"])
        for power in range(int(np.ceil(np.log10(left * low))), int(np.floor(np.log10(right * high))) + 1):
            time = 10.0**power
            common = {"problem": problem, "kind": "line", "time": format_round_time(time)}
            ends = [
                {**common, "steps": x, "step_us": time / x} for x in (max(left, time / high), min(right, time / low))
            ]
            rows += [*ends, {**ends[1], "kind": "label"}]
    return rows


def _widen_range(values: pd.Series) -> tuple[float, float]:
    return float(values.min()) / 1.3, float(values.max()) * 1.3


def format_round_time(microseconds: float) -> str:
    """A time with its unit, a round one without trailing zeros."""
    return format_seconds(microseconds * 1e-6).replace(".00", "").replace(".0", "")
