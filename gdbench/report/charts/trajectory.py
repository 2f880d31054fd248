"""Paths on objectives of two coordinates over contours, up to a step chosen by a slider."""

from __future__ import annotations

from typing import Any

import altair as alt
import contourpy
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import (
    CROSS_MARK,
    PICK,
    ChartSpec,
    json_records,
    layer_charts,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style

__all__ = ["compute_contours", "draw_paths"]

SIDE = 380
TOOLTIP = tooltips("optimizer:N", "configuration:N", "step:Q", *map(number_tooltip, ("x", "y", "loss")))

Box = dict[str, tuple[float, float]]


def compute_contours(grid: pd.DataFrame, levels: int = 12) -> pd.DataFrame:
    """Contour lines (line, point, x, y) at ``levels`` quantiles of the finite values of a grid (x, y, value)."""
    wide = grid.pivot(index="y", columns="x", values="value")
    value = np.ma.masked_invalid(wide.to_numpy(float))
    finite = value.compressed()
    quantiles: Any = np.unique(np.quantile(finite, (np.arange(levels) + 0.5) / levels)) if finite.size else []
    generator = contourpy.contour_generator(wide.columns.to_numpy(float), wide.index.to_numpy(float), value)
    lines: list[Any] = [line for level in quantiles for line in generator.lines(level)]
    rows = [(number, place, *point) for number, line in enumerate(lines) for place, point in enumerate(line.tolist())]
    return pd.DataFrame(rows, columns=["line", "point", "x", "y"])


def draw_paths(
    paths: pd.DataFrame,
    contours: pd.DataFrame,
    style: Style,
    minimisers: pd.DataFrame,
    box: Box,
    ends: pd.DataFrame | None = None,
) -> ChartSpec:
    """Paths (optimizer, step, x, y) over contours and minimisers, up to the slider's step.

    ``ends`` are the points at which diverging runs leave the picture; they are marked.
    """
    names = style.select_present(paths["optimizer"])
    last = int(paths["step"].max())
    bind = {"input": "range", "min": 0, "max": last, "step": 1, "name": "up to step "}
    slider = {"name": "upto", "value": last, "bind": bind}
    plane: dict[str, Any] = {
        "x": _plane_axis(alt.X, "x", "first coordinate", box),
        "y": _plane_axis(alt.Y, "y", "second coordinate", box),
    }
    coloured: dict[str, Any] = {**plane, "color": style.colour_channel(names), "opacity": pick_opacity()}
    # Contours end at the box; to clip each of them takes longer than all else in a picture.
    ground = alt.Chart(named_data("contours")).mark_line(
        strokeWidth=0.7, color="#808890", strokeOpacity=0.55, aria=False
    )
    ground = ground.encode(**plane, detail=alt.Detail("line:N"), order=alt.Order("point:Q"))
    stars = alt.Chart(named_data("minimisers")).mark_point(
        shape="cross", size=110, filled=True, color="#808890", clip=True
    )
    base = alt.Chart(named_data()).transform_filter("datum.step <= upto").encode(**coloured)
    path = base.mark_line(clip=True, aria=False, strokeWidth=1.6)
    path = path.encode(strokeDash=style.dash_channel(names), order=alt.Order("step:Q"))
    dots = base.mark_point(clip=True, filled=True, size=20).encode(tooltip=TOOLTIP)
    layers = [ground, stars.encode(**plane), path, dots]
    datasets = {"table": style.sort_grey_first(paths), "contours": contours, "minimisers": minimisers}
    if ends is not None and len(ends):
        crosses = alt.Chart(named_data("ends")).transform_filter("datum.step <= upto")
        layers.append(crosses.mark_point(aria=False, **CROSS_MARK).encode(**coloured))
        datasets["ends"] = ends
    chart = layer_charts(*layers, params=[PICK, slider], width=SIDE, height=SIDE)
    return ChartSpec(chart, {name: json_records(table) for name, table in datasets.items()})


def _plane_axis(channel: type, name: str, title: str, box: Box) -> Any:
    scale = alt.Scale(domain=list(box[name]), nice=False)
    return channel(f"{name}:Q", title=title, scale=scale, axis=alt.Axis(grid=False))
