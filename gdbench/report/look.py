"""How every picture looks: one colour and one dash for each optimizer, axes that say what they are, two themes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt

__all__ = ["Look", "log_axis", "theme"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C8C8C", "#B8A900")
"""Okabe and Ito's eight; grey stands for their black, and a darker yellow for theirs, to be seen on black and white."""
DASHES = ((1, 0), (7, 2), (2, 2), (7, 2, 2, 2), (12, 3))
"""Coprime in number to the colours: forty optimizers get forty pairs."""
FIRST = ("gd", "momentum", "adam", "nesterov", "rmsprop", "lbfgs", "armijo", "adagrad")
"""Optimizers that have the same colour in every report."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True)
class Look:
    """The optimizers of a report, in the order in which colours are given out."""

    optimizers: tuple[str, ...]

    @classmethod
    def of(cls, optimizers: Iterable[str]) -> Look:
        """Known optimizers first, the others by name."""
        there = set(optimizers)
        return cls((*(name for name in FIRST if name in there), *sorted(there - set(FIRST))))

    def place(self, optimizer: str) -> int:
        """Which pair of colour and dash an optimizer has; known ones their own, others the first that is free."""
        if optimizer in FIRST:
            return FIRST.index(optimizer)
        others = [name for name in self.optimizers if name not in FIRST]
        taken = {FIRST.index(name) for name in self.optimizers if name in FIRST}
        free = [place for place in range(len(FIRST) + len(others)) if place not in taken]
        return free[others.index(optimizer)]

    def colour(self, optimizer: str) -> str:
        """The colour of an optimizer."""
        return COLOURS[self.place(optimizer) % len(COLOURS)]

    def dash(self, optimizer: str) -> tuple[int, ...]:
        """The dash of an optimizer."""
        return DASHES[self.place(optimizer) % len(DASHES)]

    def colours(self, there: Iterable[str], legend: bool = True, symbol: str = "stroke") -> alt.Color:
        """The colour channel, for the optimizers that a figure shows."""
        names = self.among(there)
        scale = alt.Scale(domain=names, range=[self.colour(name) for name in names])
        shown = alt.Legend(
            title=None, orient="top", columns=8, symbolType=symbol, symbolStrokeWidth=2.5, labelLimit=180
        )
        return alt.Color("optimizer:N", scale=scale, legend=shown if legend else None)

    def dashes(self, there: Iterable[str], legend: bool = True) -> alt.StrokeDash:
        """The dash channel, for the optimizers that a figure shows."""
        names = self.among(there)
        scale = alt.Scale(domain=names, range=[list(self.dash(name)) for name in names])
        return alt.StrokeDash(
            "optimizer:N", scale=scale, legend=alt.Legend(title=None, orient="top") if legend else None
        )

    def among(self, there: Iterable[str]) -> list[str]:
        """Those of the optimizers that are there, in order."""
        found = set(there)
        return [name for name in self.optimizers if name in found]


def log_axis(channel: Any, field: str, title: str | None, base: float = 10, reverse: bool = False) -> Any:
    """An axis on a log scale that ends where the data end, labelled at 1, 2 and 5."""
    round_ones = base != 10
    axis = alt.Axis(
        tickCount=6,
        labelExpr=POWERS if round_ones else f"{ROUND} ? {POWERS} : ''",
        labelOverlap="greedy",
        gridOpacity=1 if round_ones else alt.condition(ROUND, alt.value(1), alt.value(0)),
    )
    return channel(
        f"{field}:Q", title=title, scale=alt.Scale(type="log", base=base, nice=False, reverse=reverse), axis=axis
    )


POWERS = (
    "(datum.value >= 0.01 && datum.value < 1e5"
    " ? format(datum.value, ',~g') : replace(format(datum.value, '.0e'), /e\\+?/, 'e'))"
)
"""1e-4, 0.01, 1, 1,000, 1e6: as the tables write numbers."""
ROUND = "indexof([1, 2, 5, 10], round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))) >= 0"
"""Whether a tick is 1, 2 or 5 times a power of ten."""


def theme(dark: bool) -> dict[str, Any]:
    """Vega-Lite's configuration: quiet grid, no frame, text that can be read on the page's background."""
    ink, soft, line = ("#e6e6e6", "#a8adb3", "#33383e") if dark else ("#1c1e21", "#5b6068", "#e3e5e8")
    return {
        "background": "#15171a" if dark else "#ffffff",
        "font": FONT,
        "view": {"stroke": None},
        "axisX": {"grid": False},
        "axis": {
            "labelColor": soft, "titleColor": soft, "gridColor": line, "domainColor": line, "tickColor": line,
            "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 8,
        },
        "legend": {"labelColor": ink, "titleColor": soft, "labelFontSize": 12,
                   "symbolSize": 220, "symbolOpacity": 1, "offset": 12},
        "header": {"labelColor": ink, "labelFontSize": 12, "labelFontWeight": 600, "labelPadding": 6, "title": None},
        "title": {"color": ink, "fontSize": 13, "fontWeight": 600, "anchor": "start", "offset": 10},
        "text": {"color": soft, "fontSize": 11},
        "rule": {"color": soft},
        "line": {"strokeWidth": 2},
        "range": {"heatmap": ["#08306b", "#2e7ebc", "#a6cee3", "#f3e9d2"]},
        "concat": {"spacing": 28},
        "facet": {"spacing": 26},
    }  # fmt: skip
