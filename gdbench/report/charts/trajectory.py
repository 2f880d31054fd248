"""Paths on objectives of two coordinates, over contours, up to a step that the reader slides to."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
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

__all__ = ["contour_lines", "draw_paths"]

SIDE = 380
Box = dict[str, tuple[float, float]]
Point = tuple[float, float]


def contour_lines(grid: pd.DataFrame, levels: int = 12) -> pd.DataFrame:
    """Lines (line, point, x, y) of equal value, at so many quantiles of the values of a grid of x, y, value.

    Each square of the grid is cut into two triangles, in which the values are taken as linear.
    """
    wide = grid.pivot(index="y", columns="x", values="value")
    x, y, value = wide.columns.to_numpy(float), wide.index.to_numpy(float), wide.to_numpy(float)
    points = np.dstack([*np.meshgrid(x, y), value])
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]
    triangles = np.concatenate([np.stack([a, b, c], 2).reshape(-1, 3, 3), np.stack([d, c, b], 2).reshape(-1, 3, 3)])
    finite = value[np.isfinite(value)]
    shares = (np.arange(levels) + 0.5) / levels
    chosen = np.unique(np.quantile(finite, shares)).tolist() if finite.size else []
    lines = [line for level in chosen for line in _joined(_pieces(triangles, level))]
    rows = [(number, place, *point) for number, line in enumerate(lines) for place, point in enumerate(line)]
    return pd.DataFrame(rows, columns=["line", "point", "x", "y"])


def _pieces(triangles: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.float64]:
    """Where a level crosses the sides of triangles: one piece (x, y, x2, y2) in each that it crosses."""
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], 2)  # [triangle, side, end, xyz]
    with np.errstate(invalid="ignore", divide="ignore"):
        above = ends[..., 2] > level
        crossed = (above[..., 0] != above[..., 1]) & np.isfinite(ends[..., 2]).all(-1)
        share = (level - ends[..., 0, 2]) / (ends[..., 1, 2] - ends[..., 0, 2])
        points = ends[..., 0, :2] + share[..., None] * (ends[..., 1, :2] - ends[..., 0, :2])
    whole = crossed.sum(1) == 2
    pieces: npt.NDArray[np.float64] = points[whole][crossed[whole]].reshape(-1, 4)
    return pieces


def _joined(pieces: npt.NDArray[np.float64]) -> list[list[Point]]:
    """Pieces that share ends, as lines that are as long as they get."""
    ends: dict[Point, set[Point]] = {}
    for first, second in _rounded(pieces):
        if first != second:
            ends.setdefault(first, set()).add(second)
            ends.setdefault(second, set()).add(first)
    lines = []
    for start in sorted(ends, key=lambda each: len(ends[each]) != 1):  # open lines from an end, then closed ones
        while ends[start]:
            line = [start]
            while ends[line[-1]]:
                after = ends[line[-1]].pop()
                ends[after].discard(line[-1])
                line.append(after)
            lines.append(line)
    return lines


def _rounded(pieces: npt.NDArray[np.float64]) -> list[tuple[Point, Point]]:
    """The two ends of each piece, so that an end that two triangles share is one point."""
    if not len(pieces):
        return []
    unit = np.maximum(np.ptp(pieces.reshape(-1, 2), axis=0), 1e-300) * 1e-6
    points = (np.round(pieces.reshape(-1, 2) / unit) * unit).reshape(-1, 2, 2)
    return [((a[0], a[1]), (b[0], b[1])) for a, b in points.tolist()]


def draw_paths(
    paths: pd.DataFrame,
    lines: pd.DataFrame,
    style: Style,
    minimisers: pd.DataFrame,
    box: Box,
    ends: pd.DataFrame | None = None,
) -> ChartSpec:
    """Paths of optimizer, step, x, y over contours and minimisers; the slider's step ends them.

    ``ends`` are rows of paths at which a run leaves the picture, and are marked.
    """
    there = style.select_present(paths["optimizer"])
    last = int(paths["step"].max())
    words = {"input": "range", "min": 0, "max": last, "step": 1, "name": "up to step "}
    slider = {"name": "upto", "value": last, "bind": words}
    plane: dict[str, Any] = {
        "x": _plane_axis(alt.X, "x", "first coordinate", box),
        "y": _plane_axis(alt.Y, "y", "second coordinate", box),
    }
    # Contours end at the box; to clip each of them takes longer than all else in a picture.
    ground = alt.Chart(named_data("contours")).mark_line(
        strokeWidth=0.7, color="#808890", strokeOpacity=0.55, aria=False
    )
    stars = alt.Chart(named_data("minimisers")).mark_point(
        shape="cross", size=110, filled=True, color="#808890", clip=True
    )
    base = alt.Chart(named_data()).transform_filter("datum.step <= upto")
    base = base.encode(**plane, color=style.colour_channel(there), opacity=pick_opacity())
    path = base.mark_line(clip=True, aria=False, strokeWidth=1.6).encode(
        strokeDash=style.dash_channel(there), order=alt.Order("step:Q")
    )
    dots = base.mark_point(clip=True, filled=True, size=20).encode(tooltip=TOOLTIP)
    ground = ground.encode(**plane, detail=alt.Detail("line:N"), order=alt.Order("point:Q"))
    drawn = [ground, stars.encode(**plane), path, dots]
    datasets = {"table": style.sort_grey_first(paths), "contours": lines, "minimisers": minimisers}
    if ends is not None and len(ends):
        crosses = (
            alt.Chart(named_data("ends")).transform_filter("datum.step <= upto").mark_point(aria=False, **CROSS_MARK)
        )
        drawn.append(crosses.encode(**plane, color=style.colour_channel(there), opacity=pick_opacity()))
        datasets["ends"] = ends
    layers = layer_charts(*drawn, params=[PICK, slider], width=SIDE, height=SIDE)
    return ChartSpec(layers, {name: json_records(table) for name, table in datasets.items()})


TOOLTIP = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("configuration:N"),
    alt.Tooltip("step:Q"),
    number_tooltip("x"),
    number_tooltip("y"),
    number_tooltip("loss"),
]


def _plane_axis(channel: type, name: str, title: str, box: Box) -> alt.X | alt.Y:
    scale = alt.Scale(domain=list(box[name]), nice=False)
    made: alt.X | alt.Y = channel(f"{name}:Q", title=title, scale=scale, axis=alt.Axis(grid=False))
    return made
