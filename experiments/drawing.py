"""Line charts, and maps of two colours, as small SVG files: what the pictures of all experiments share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 380, 64, 28, 214, 44
LINE = 15
"""Height of a line of words."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#7f7f7f", "#b8a800")
"""Okabe and Ito 2008: told apart by colour-blind readers too; the yellow is darkened."""
STYLE = """text{font:12px system-ui,sans-serif;fill:#444}path{fill:none;stroke-width:2}.grid{stroke:#ddd;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#bbb}.grid{stroke:#444}}"""


@dataclass(frozen=True)
class Curve:
    """Points joined by a line; the label, of one or more lines, stands beside its end."""

    label: str
    across: Sequence[float]
    up: Sequence[float]
    dash: str = ""


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from where to where; with ``log``, in decades."""

    name: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = field(default=())

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one; what is outside lies on the edge."""
        low, high, at = (math.log10(max(each, 1e-300)) if self.log else each for each in (self.low, self.high, value))
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def marks(self) -> list[float]:
        """The values that get a number: those asked for, else every so many decades, or fifths."""
        if self.ticks:
            return list(self.ticks)
        if not self.log:
            return [self.low + (self.high - self.low) * fifth / 5 for fifth in range(6)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**decade for decade in range(first, last + 1, max(1, (last - first + 4) // 5))]

    def words(self, value: float) -> str:
        """A number at the axis."""
        return f"1e{math.log10(value):.0f}" if self.log and not 0.01 <= value <= 1000 else f"{value:.6g}"


def chart(title: str, curves: Sequence[Curve], across: Axis, up: Axis) -> str:
    """The picture: a title, a grid, and curves with their labels at the right."""
    labels = _apart([_down(up, curve.up[-1]) for curve in curves], [curve.label.count("\n") + 1 for curve in curves])
    drawn = [_text(12, 10, title), *_frame(across, up)]
    for number, (curve, height) in enumerate(zip(curves, labels, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        points = [(_across(across, x), _down(up, y)) for x, y in _thinned(curve) if math.isfinite(y)]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn.append(f'<path d="M{way}" stroke="{colour}" stroke-dasharray="{curve.dash}"/>')
        for line, words in enumerate(curve.label.split("\n")):
            drawn.append(_text(WIDTH - RIGHT + 8, height + LINE * line, words, fill=colour))
    return page(drawn)


def maps(title: str, told: Mapping[str, npt.NDArray[np.bool_]]) -> str:
    """Squares beside each other, the first row of each at its foot, coloured where they hold, each with its words."""
    side = (WIDTH - 12 * (len(told) + 1)) / len(told)
    drawn = [_text(12, 10, title)]
    for number, (words, each) in enumerate(told.items()):
        left, pixel = 12 + number * (side + 12), side / len(each)
        drawn.append(f'<path d="{_runs(each, left, TOP + side, pixel)}" style="fill:{COLOURS[0]};stroke:none"/>')
        drawn.append(f'<path class="grid" d="M{left:.1f} {TOP}h{side:.1f}v{side:.1f}h-{side:.1f}z"/>')
        drawn += [_text(left, TOP + side + 12 + LINE * line, part) for line, part in enumerate(words.split("\n"))]
    lines = max(words.count("\n") + 1 for words in told)
    return page(drawn, height=round(TOP + side + 12 + LINE * lines))


def _runs(told: npt.NDArray[np.bool_], left: float, foot: float, pixel: float) -> str:
    """The neighbours in a row that hold, each group a rectangle."""
    way = []
    for row, line in enumerate(told):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
        for first, last in ends.reshape(-1, 2):
            way.append(
                f"M{left + pixel * first:.1f} {foot - pixel * (row + 1):.1f}"
                f"h{pixel * (last - first):.1f}v{pixel:.1f}h-{pixel * (last - first):.1f}z"
            )
    return "".join(way)


def page(drawn: Sequence[str], width: int = WIDTH, height: int = HEIGHT) -> str:
    """A whole SVG file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *drawn, "</svg>"]) + "\n"


def _thinned(curve: Curve) -> list[tuple[Any, Any]]:
    """At most some 500 points of a curve, the last one among them."""
    points = list(zip(curve.across, curve.up, strict=True))
    return [*points[:: max(1, len(points) // 500)], points[-1]]


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _down(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (axis.place(value) if math.isfinite(value) else 1) * (HEIGHT - TOP - BOTTOM)


def _frame(across: Axis, up: Axis) -> list[str]:
    """The grid, and the numbers and names of both axes."""
    marks = [(_down(up, value), up.words(value)) for value in up.marks()]
    return [
        *(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>' for y, _ in marks),
        *(_text(LEFT - 8, y, words, "end") for y, words in marks),
        *(_text(_across(across, x), HEIGHT - 26, across.words(x), "middle") for x in across.marks()),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 9, across.name, "middle"),
        _text(WIDTH - RIGHT, 10, up.name, "end"),
    ]


def _apart(heights: Sequence[float], lines: Sequence[int]) -> list[float]:
    """Where labels stand: beside their curve's end, or just below the label above."""
    placed, free = [0.0] * len(heights), float(TOP)
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        placed[number] = max(heights[number], free)
        free = placed[number] + LINE * lines[number]
    over = max(free - (HEIGHT - 2 * LINE), 0.0)
    return [max(height - over, float(TOP)) if over and len(set(placed)) == 1 else height for height in placed]


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = "") -> str:
    """Words, centred on a height."""
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    style = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}"{style}>{words}</text>'
