"""Line charts, and maps of two colours, as small SVG files: drawn and coloured as the report's pictures are."""

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
"""Of a longer curve every so many points are drawn that about as many remain."""


@dataclass(frozen=True)
class Curve:
    """Points joined by a line; the label stands in the legend."""

    label: str
    across: Sequence[float]
    up: Sequence[float]
    dash: tuple[int, ...] = (1, 0)


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from where to where; with ``log``, in decades. What is outside is drawn on the edge."""

    name: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = field(default=())

    def channel(self, kind: Any, column: str) -> Any:
        """The axis as Altair's x or y."""
        scale = alt.Scale(type="log" if self.log else "linear", domain=[self.low, self.high], nice=False)
        shown = alt.Axis(values=self.marks(), labelExpr=POWERS if self.log else alt.Undefined, labelOverlap=False)
        return kind(f"{column}:Q", title=self.name, scale=scale, axis=shown)

    def marks(self) -> list[float]:
        """The values that get a number: those asked for, else every so many decades, or fifths."""
        if self.ticks:
            return list(self.ticks)
        if not self.log:
            return [self.low + (self.high - self.low) * fifth / 5 for fifth in range(6)]
        first, last = (round(np.log10(end)) for end in (self.low, self.high))
        return [10.0**decade for decade in range(first, last + 1, max(1, (last - first + 4) // 5))]


def chart(title: str, curves: Sequence[Curve], across: Axis, up: Axis) -> str:
    """The picture: a title, a grid, and curves with their labels at the right."""
    names = [each.label for each in curves]
    beside = alt.Legend(title=None, orient="right", labelLimit=0, symbolType="stroke", symbolStrokeWidth=2.5)
    colours = alt.Scale(domain=names, range=list(islice(COLOURS, len(names))))
    dashes = alt.Scale(domain=names, range=[list(each.dash) for each in curves])
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
    return _svg(lines, [row for each in curves for row in _rows(each, up)])


def maps(title: str, told: Mapping[str, npt.NDArray[np.bool_]]) -> str:
    """Squares beside each other, the first row of each at its foot, coloured where they hold, each with its words."""
    side = next(iter(told.values())).shape[0]
    scale = alt.Scale(domain=[0, side], nice=False)
    squares = (
        alt.Chart(named_data(), title=title, width=205, height=205)
        .mark_rect(color=COLOURS[0], stroke=COLOURS[0], strokeWidth=0.5, aria=False)
        .encode(
            x=alt.X("left:Q", scale=scale, axis=None),
            x2="right:Q",
            y=alt.Y("foot:Q", scale=scale, axis=None),
            y2="head:Q",
            facet=alt.Facet("map:N", title=None, sort=list(told), header=alt.Header(labelLimit=0), columns=len(told)),
        )
    )
    return _svg(squares, [{"map": words, **run} for words, each in told.items() for run in _runs(each)])


def _svg(drawn: alt.Chart, rows: list[dict[str, Any]]) -> str:
    spec = drawn.to_dict(validate=False)
    view = {"view": {"stroke": "#c8ccd1"}} if "facet" in spec.get("encoding", {}) else {}
    look = {"config": {**vega_theme(dark=False), **view}, "padding": _room(rows)}
    return render_svg({**spec, "datasets": {"table": rows}, **look}) + "\n"


def _room(rows: list[dict[str, Any]]) -> dict[str, float]:
    """More at the right, for the reader's letters may be wider than those that the legend was measured with."""
    longest = max(len(row.get("curve", "")) for row in rows)
    return {"left": 10, "top": 10, "bottom": 10, "right": 10 + 1.3 * longest}


def _rows(curve: Curve, up: Axis) -> list[dict[str, Any]]:
    """The finite points of a curve, thinned, the last one among them."""
    points = list(zip(curve.across, curve.up, strict=True))
    shown = [*points[:: max(1, len(points) // POINTS)], points[-1]]
    return [
        {"curve": curve.label, "x": float(x), "y": float(f"{min(max(y, up.low), up.high):.4g}")}
        for x, y in shown
        if np.isfinite(y)
    ]


def _runs(told: npt.NDArray[np.bool_]) -> list[dict[str, int]]:
    """The neighbours in a row that hold, each group a rectangle."""
    found = []
    for row, line in enumerate(told):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
        spans = ends.reshape(-1, 2).tolist()
        found += [{"left": left, "right": right, "foot": row, "head": row + 1} for left, right in spans]
    return found
