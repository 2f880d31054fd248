"""Line charts and two-colour maps as small SVG files, in the style of the report's charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from gdbench.report.charts.vega_lite import named_data
from gdbench.report.render_images import render_svg
from gdbench.report.style import COLOURS, POWERS, vega_theme

WIDTH, HEIGHT = 460, 300
POINTS = 250
"""The number of points, about, to which longer curves are thinned."""


@dataclass(frozen=True)
class Curve:
    """Points joined by a line, with a label in the legend."""

    label: str
    across: Sequence[float]
    up: Sequence[float]
    dash: tuple[int, ...] = (1, 0)


@dataclass(frozen=True)
class ChartAxis:
    """Title, limits and scale of an axis; points outside of the limits are drawn on the edge."""

    name: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = field(default=())

    def channel(self, kind: Any, column: str) -> Any:
        """Build Altair's x or y encoding."""
        scale = alt.Scale(type="log" if self.log else "linear", domain=[self.low, self.high], nice=False)
        axis = alt.Axis(values=self.tick_values(), labelExpr=POWERS if self.log else alt.Undefined, labelOverlap=False)
        return kind(f"{column}:Q", title=self.name, scale=scale, axis=axis)

    def tick_values(self) -> list[float]:
        """List the values with a label: ``ticks``, else some decades, or fifths of the range."""
        if self.ticks:
            return list(self.ticks)
        if not self.log:
            return [self.low + (self.high - self.low) * fifth / 5 for fifth in range(6)]
        first, last = (round(np.log10(end)) for end in (self.low, self.high))
        return [10.0**decade for decade in range(first, last + 1, max(1, (last - first + 4) // 5))]


def draw_chart(title: str, curves: Sequence[Curve], across: ChartAxis, up: ChartAxis) -> str:
    """Draw curves with a title, a grid and a legend at the right, as SVG."""
    names = [curve.label for curve in curves]
    beside = alt.Legend(title=None, orient="right", labelLimit=0, symbolType="stroke", symbolStrokeWidth=2.5)
    colours = alt.Scale(domain=names, range=list(islice(COLOURS, len(names))))
    dashes = alt.Scale(domain=names, range=[list(curve.dash) for curve in curves])
    lines = (
        alt.Chart(named_data(), title=title, width=WIDTH, height=HEIGHT)
        .mark_line(aria=False)
        .encode(
            x=across.channel(alt.X, "x"),
            y=up.channel(alt.Y, "y"),
            color=alt.Color("curve:N", scale=colours, legend=beside),
            strokeDash=alt.StrokeDash("curve:N", scale=dashes, legend=beside),
        )
    )
    return _render_svg(lines, [row for curve in curves for row in _point_rows(curve, up)])


def draw_maps(title: str, images: Mapping[str, npt.NDArray[np.bool_]]) -> str:
    """Draw square images beside each other, coloured where they are true, with the first row at the bottom, as SVG."""
    side = next(iter(images.values())).shape[0]
    scale = alt.Scale(domain=[0, side], nice=False)
    squares = (
        alt.Chart(named_data(), title=title, width=205, height=205)
        .mark_rect(color=COLOURS[0], stroke=COLOURS[0], strokeWidth=0.5, aria=False)
        .encode(
            x=alt.X("left:Q", scale=scale, axis=None),
            x2="right:Q",
            y=alt.Y("foot:Q", scale=scale, axis=None),
            y2="head:Q",
            facet=alt.Facet(
                "map:N", title=None, sort=list(images), header=alt.Header(labelLimit=0), columns=len(images)
            ),
        )
    )
    rows = [{"map": label, **rectangle} for label, image in images.items() for rectangle in _rectangles(image)]
    return _render_svg(squares, rows)


def _render_svg(chart: alt.Chart, rows: list[dict[str, Any]]) -> str:
    spec = chart.to_dict(validate=False)
    view = {"view": {"stroke": "#c8ccd1"}} if "facet" in spec.get("encoding", {}) else {}
    look = {"config": {**vega_theme(dark=False), **view}, "padding": _padding(rows)}
    return render_svg({**spec, "datasets": {"table": rows}, **look}) + "\n"


def _padding(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Compute the padding; it is larger at the right, because a reader's font may be wider than the one measured."""
    longest = max(len(row.get("curve", "")) for row in rows)
    return {"left": 10, "top": 10, "bottom": 10, "right": 10 + 1.3 * longest}


def _point_rows(curve: Curve, up: ChartAxis) -> list[dict[str, Any]]:
    """Build the rows of the finite points of a curve, thinned but with the last one."""
    points = list(zip(curve.across, curve.up, strict=True))
    thinned = [*points[:: max(1, len(points) // POINTS)], points[-1]]
    return [
        {"curve": curve.label, "x": float(x), "y": float(f"{min(max(y, up.low), up.high):.4g}")}
        for x, y in thinned
        if np.isfinite(y)
    ]


def _rectangles(image: npt.NDArray[np.bool_]) -> list[dict[str, int]]:
    """Build a rectangle for each group of neighbours in a row that are true."""
    rectangles = []
    for row, line in enumerate(image):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
        spans = ends.reshape(-1, 2).tolist()
        rectangles += [{"left": left, "right": right, "foot": row, "head": row + 1} for left, right in spans]
    return rectangles
