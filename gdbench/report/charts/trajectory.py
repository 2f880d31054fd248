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

__all__ = ["Ground", "bounding_box", "compute_contours", "draw_paths", "select_paths"]

SIDE = 380
TOOLTIP = tooltips("optimizer:N", "configuration:N", "step:Q", *map(number_tooltip, ("x", "y", "loss")))

Box = dict[str, tuple[float, float]]
Ground = tuple[pd.DataFrame, pd.DataFrame]
"""Values of an objective on a grid (x, y, value), and its minimisers (x, y)."""


def select_paths(runs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The finite recorded points of runs with two coordinates, of the first seed of each problem and solver."""
    points = traces[traces["x"].map(lambda x: x is not None and np.size(x) == 2)]
    first = runs.sort_values("seed", kind="stable").drop_duplicates(["problem", "solver"])
    table = points.merge(first[["run_id", "problem", "solver", "configuration"]], on="run_id")
    x = np.stack(table["x"].to_list()) if len(table) else np.empty((0, 2))
    table = table.assign(x=x[:, 0], y=x[:, 1], optimizer=table["solver"])
    finite = np.isfinite(table[["x", "y", "loss"]].to_numpy(float)).all(axis=1)
    paths: pd.DataFrame = table.loc[finite, ["problem", "optimizer", "configuration", "step", "x", "y", "loss"]]
    return paths


def bounding_box(paths: pd.DataFrame) -> Box:
    """The range of x and of y: the middle 96% of the points and the start, with a margin of a quarter."""
    box = {}
    for name in ("x", "y"):
        low, high = paths[name].quantile([0.02, 0.98])
        start = paths.loc[paths["step"] == 0, name]
        low, high = min(low, start.min()), max(high, start.max())
        margin = 0.25 * (high - low) or 1.0
        box[name] = (float(low - margin), float(high + margin))
    return box


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
    paths: pd.DataFrame, ground: Ground | None, style: Style, box: Box, ends: pd.DataFrame | None = None
) -> ChartSpec:
    """Paths (optimizer, step, x, y) over contours and minimisers, if these are known, up to the slider's step.

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
    contours = alt.Chart(named_data("contours")).mark_line(
        strokeWidth=0.7, color="#808890", strokeOpacity=0.55, aria=False
    )
    contours = contours.encode(**plane, detail=alt.Detail("line:N"), order=alt.Order("point:Q"))
    stars = alt.Chart(named_data("minimisers")).mark_point(
        shape="cross", size=110, filled=True, color="#808890", clip=True
    )
    base = alt.Chart(named_data()).transform_filter("datum.step <= upto").encode(**coloured)
    path = base.mark_line(clip=True, aria=False, strokeWidth=1.6)
    path = path.encode(strokeDash=style.dash_channel(names), order=alt.Order("step:Q"))
    dots = base.mark_point(clip=True, filled=True, size=20).encode(tooltip=TOOLTIP)
    layers = [contours, stars.encode(**plane), path, dots]
    datasets = {"table": json_records(style.sort_grey_first(paths))}
    datasets["contours"] = json_records(compute_contours(ground[0])) if ground else []
    datasets["minimisers"] = json_records(ground[1]) if ground else []
    if ends is not None and len(ends):
        crosses = alt.Chart(named_data("ends")).transform_filter("datum.step <= upto")
        layers.append(crosses.mark_point(aria=False, **CROSS_MARK).encode(**coloured))
        datasets["ends"] = json_records(ends)
    chart = layer_charts(*layers, params=[PICK, slider], width=SIDE, height=SIDE)
    return ChartSpec(chart, datasets)


def _plane_axis(channel: type, name: str, title: str, box: Box) -> Any:
    scale = alt.Scale(domain=list(box[name]), nice=False)
    return channel(f"{name}:Q", title=title, scale=scale, axis=alt.Axis(grid=False))
