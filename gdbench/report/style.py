"""How every picture looks: one colour and one dash for each optimizer, axes that say what they are, two themes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

__all__ = ["Style", "interpolate_colour", "log_axis", "vega_theme"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C8C8C", "#B8A900")
"""Okabe and Ito's eight; grey stands for their black, and a darker yellow for theirs, to be seen on black and white."""
DASHES = ((1, 0), (7, 2), (2, 2), (7, 2, 2, 2), (12, 3))
"""Coprime in number to the colours: forty optimizers get forty pairs."""
SEQUENTIAL = ("#0d0887", "#4c02a1", "#7e03a8", "#a92395", "#cc4778", "#e56b5d", "#f89540")
"""Colours of numbers in order, between which others are mixed: plasma without its yellow, which white swallows."""
KNOWN = ("gd", "momentum", "adam", "nesterov", "rmsprop", "lbfgs", "armijo", "adagrad")
"""Optimizers that have the same colour in every report."""
MAX_COLOURED = 12
"""Optimizers that have a colour of their own in one report; of more, the best have."""
GREY = "rgba(128, 134, 140, 0.5)"
"""The colour of the others: half transparent, to be quiet on black and on white."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True)
class Style:
    """The optimizers of a report, those with a colour of their own before the grey ones."""

    optimizers: tuple[str, ...]
    coloured: int
    columns: int = field(default=8, kw_only=True)
    """How many entries of the legend stand beside each other."""
    pairs: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict, kw_only=True)
    """The colour and the dash of those that do not have the usual ones."""

    @classmethod
    def assign(cls, optimizers: Iterable[str], best: Iterable[str] = ()) -> Style:
        """Known optimizers first, the others by name; of more than MOST the first of ``best`` have colours."""
        there = _sort_known_first(optimizers)
        if len(there) <= MAX_COLOURED:
            return cls(tuple(there), len(there))
        chosen = list(dict.fromkeys([*(name for name in best if name in there), *there]))[:MAX_COLOURED]
        return cls((*_sort_known_first(chosen), *(name for name in there if name not in chosen)), MAX_COLOURED)

    @property
    def leaders(self) -> tuple[str, ...]:
        """The optimizers that have a colour of their own."""
        return self.optimizers[: self.coloured]

    def colour_and_dash(self, optimizer: str) -> tuple[str, tuple[int, ...]]:
        """The colour and the dash of an optimizer: known ones have their own, others the first that is free."""
        leaders = self.leaders
        if optimizer in self.pairs:
            return self.pairs[optimizer]
        if optimizer not in leaders:
            return GREY, (1, 0)
        if optimizer in KNOWN:
            place = KNOWN.index(optimizer)
        else:
            others = [name for name in leaders if name not in KNOWN]
            taken = {KNOWN.index(name) for name in leaders if name in KNOWN}
            free = [place for place in range(len(KNOWN) + len(others)) if place not in taken]
            place = free[others.index(optimizer)]
        return COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]

    def sort_grey_first(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table with the grey optimizers first, so that they lie behind the others."""
        return table.loc[table["optimizer"].isin(self.leaders).sort_values(kind="stable").index]

    def colour_channel(self, there: Iterable[str], legend: bool = True, symbol: str = "stroke") -> alt.Color:
        """The colour channel, for the optimizers that a figure shows."""
        names = self.select_present(there)
        scale = alt.Scale(domain=names, range=[self.colour_and_dash(name)[0] for name in names])
        shown = alt.Legend(
            title=None,
            orient="top",
            columns=self.columns,
            symbolType=symbol,
            symbolStrokeWidth=2.5,
            labelLimit=180,
            values=self._legend_names(names),
        )
        return alt.Color("optimizer:N", scale=scale, legend=shown if legend else None)

    def dash_channel(self, there: Iterable[str], legend: bool = True) -> alt.StrokeDash:
        """The dash channel, for the optimizers that a figure shows."""
        names = self.select_present(there)
        scale = alt.Scale(domain=names, range=[list(self.colour_and_dash(name)[1]) for name in names])
        shown = alt.Legend(title=None, orient="top", values=self._legend_names(names))
        return alt.StrokeDash("optimizer:N", scale=scale, legend=shown if legend else None)

    def fill_channel(self, there: Iterable[str]) -> alt.Fill:
        """The channel that fills points, for the optimizers that a figure shows."""
        names = self.select_present(there)
        fills = ["transparent" if self.is_hollow(name) else self.colour_and_dash(name)[0] for name in names]
        shown = alt.Legend(title=None, orient="top", values=self._legend_names(names))
        return alt.Fill("optimizer:N", scale=alt.Scale(domain=names, range=fills), legend=shown)

    def is_hollow(self, optimizer: str) -> bool:
        """Whether the points of an optimizer are drawn as rings."""
        return False

    def _legend_names(self, names: list[str]) -> list[str]:
        """Those of the names that a legend shows."""
        return [name for name in names if name in self.leaders]

    def select_present(self, there: Iterable[str]) -> list[str]:
        """Those of the optimizers that are there, in order."""
        found = set(there)
        return [name for name in self.optimizers if name in found]


def interpolate_colour(place: float, group: int) -> tuple[str, tuple[int, ...]]:
    """The colour of a number at a place from 0 to 1 among others, and the dash of the group that it belongs to."""
    below = min(int(place * (len(SEQUENTIAL) - 1)), len(SEQUENTIAL) - 2)
    share = place * (len(SEQUENTIAL) - 1) - below
    ends = [[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in SEQUENTIAL[below : below + 2]]
    mixed = (round(low + share * (high - low)) for low, high in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed), DASHES[group % len(DASHES)]


def _sort_known_first(names: Iterable[str]) -> list[str]:
    there = set(names)
    return [*(name for name in KNOWN if name in there), *sorted(there - set(KNOWN))]


def log_axis(
    channel: Any, field: str, title: str | None, base: float = 10, reverse: bool = False, room: int = 0
) -> Any:
    """An axis on a log scale that ends where the data end, or so many pixels on, labelled at 1, 2 and 5."""
    round_ones = base != 10
    axis = alt.Axis(
        tickCount=6,
        labelExpr=POWERS if round_ones else f"{ROUND} ? {POWERS} : ''",
        labelOverlap="greedy",
        labelSeparation=4,
        gridOpacity=1 if round_ones else alt.condition(ROUND, alt.value(1), alt.value(0)),
    )
    scale = alt.Scale(type="log", base=base, nice=False, reverse=reverse, padding=room)
    return channel(f"{field}:Q", title=title, scale=scale, axis=axis)


POWERS = (
    "(datum.value >= 0.01 && datum.value < 1e5"
    " ? format(datum.value, ',~g') : replace(format(datum.value, '.0e'), /e\\+?/, 'e'))"
)
"""1e-4, 0.01, 1, 1,000, 1e6: as the tables write numbers."""
ROUND = "indexof([1, 2, 5, 10], round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))) >= 0"
"""Whether a tick is 1, 2 or 5 times a power of ten."""


def vega_theme(dark: bool) -> dict[str, Any]:
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
        "title": {"color": ink, "subtitleColor": soft, "fontSize": 13, "fontWeight": 600,
                  "anchor": "start", "offset": 10},
        "text": {"color": soft, "fontSize": 11},
        "rule": {"color": soft},
        "line": {"strokeWidth": 2},
        "range": {"heatmap": ["#08306b", "#2e7ebc", "#a6cee3", "#f3e9d2"]},
        "concat": {"spacing": 28},
        "facet": {"spacing": 26},
    }  # fmt: skip
