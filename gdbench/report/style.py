"""Style of the charts: a colour and a dash per optimizer, log axes, and a light and a dark theme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

__all__ = ["Style", "interpolate_colour", "linear_axis", "log_axis", "vega_theme"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C8C8C", "#B8A900")
"""The palette of Okabe and Ito; grey replaces its black and a darker yellow its yellow, for contrast on both themes."""
DASHES = ((1, 0), (7, 2), (2, 2), (7, 2, 2, 2), (12, 3))
"""Their number is coprime to that of the colours: 40 optimizers get 40 pairs."""
SEQUENTIAL = ("#0d0887", "#4c02a1", "#7e03a8", "#a92395", "#cc4778", "#e56b5d", "#f89540")
"""Sequential colour scale, interpolated linearly: plasma without its yellow, which is too light on white."""
KNOWN = ("gd", "momentum", "adam", "nesterov", "rmsprop", "lbfgs", "armijo", "adagrad")
"""Optimizers with the same colour in every report."""
MAX_COLOURED = 12
"""Optimizers with a colour of their own in one report; of more, the best ones have it."""
GREY = "rgba(128, 134, 140, 0.5)"
"""The colour of the others; half transparent, so that it works on both themes."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

Dash = tuple[int, ...]


@dataclass(frozen=True)
class Style:
    """The optimizers of a report, coloured ones before grey ones."""

    optimizers: tuple[str, ...]
    coloured: int
    columns: int = field(default=8, kw_only=True)
    """Legend entries per row."""
    pairs: Mapping[str, tuple[str, Dash]] = field(default_factory=dict, kw_only=True)
    """Colour and dash of optimizers that differ from the default."""

    @classmethod
    def assign(cls, optimizers: Iterable[str], best: Iterable[str] = ()) -> Style:
        """The style of some optimizers, known ones first; of more than MAX_COLOURED those of ``best`` get colours."""
        names = _sort_known_first(optimizers)
        if len(names) <= MAX_COLOURED:
            return cls(tuple(names), len(names))
        chosen = list(dict.fromkeys([*(name for name in best if name in names), *names]))[:MAX_COLOURED]
        return cls((*_sort_known_first(chosen), *(name for name in names if name not in chosen)), MAX_COLOURED)

    @property
    def leaders(self) -> tuple[str, ...]:
        """The optimizers with a colour of their own."""
        return self.optimizers[: self.coloured]

    def colour_and_dash(self, optimizer: str) -> tuple[str, Dash]:
        """The colour and dash of an optimizer: fixed for known ones, else the first free pair."""
        leaders = self.leaders
        if optimizer in self.pairs:
            return self.pairs[optimizer]
        if optimizer not in leaders:
            return GREY, (1, 0)
        if optimizer in KNOWN:
            place = KNOWN.index(optimizer)
        else:
            others = [name for name in leaders if name not in KNOWN]
            used = {KNOWN.index(name) for name in leaders if name in KNOWN}
            free = [place for place in range(len(KNOWN) + len(others)) if place not in used]
            place = free[others.index(optimizer)]
        return COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]

    def is_hollow(self, optimizer: str) -> bool:
        """Whether the points of an optimizer are drawn as rings."""
        return False

    def sort_grey_first(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table with grey optimizers first, so that they are drawn behind the others."""
        return table.loc[table["optimizer"].isin(self.leaders).sort_values(kind="stable").index]

    def select_present(self, present: Iterable[str]) -> list[str]:
        """The optimizers that occur in ``present``, in the order of the style."""
        names = set(present)
        return [name for name in self.optimizers if name in names]

    def colour_channel(self, present: Iterable[str], legend: bool = True, symbol: str = "stroke") -> alt.Color:
        """Vega-Lite's colour channel for the optimizers of a figure."""
        names = self.select_present(present)
        look = {"columns": self.columns, "symbolType": symbol, "symbolStrokeWidth": 2.5, "labelLimit": 180}
        scale = alt.Scale(domain=names, range=[self.colour_and_dash(name)[0] for name in names])
        return alt.Color("optimizer:N", scale=scale, legend=self._legend(names, **look) if legend else None)

    def dash_channel(self, present: Iterable[str]) -> alt.StrokeDash:
        """Vega-Lite's dash channel for the optimizers of a figure."""
        names = self.select_present(present)
        scale = alt.Scale(domain=names, range=[list(self.colour_and_dash(name)[1]) for name in names])
        return alt.StrokeDash("optimizer:N", scale=scale, legend=self._legend(names))

    def fill_channel(self, present: Iterable[str]) -> alt.Fill:
        """Vega-Lite's fill channel for the optimizers of a figure."""
        names = self.select_present(present)
        fills = ["transparent" if self.is_hollow(name) else self.colour_and_dash(name)[0] for name in names]
        return alt.Fill("optimizer:N", scale=alt.Scale(domain=names, range=fills), legend=self._legend(names))

    def _legend(self, names: list[str], **settings: Any) -> alt.Legend:
        """A legend of the coloured optimizers."""
        return alt.Legend(title=None, orient="top", values=[name for name in names if name in self.leaders], **settings)


def interpolate_colour(place: float, group: int) -> tuple[str, Dash]:
    """The colour at a place in [0, 1] of the sequential scale, and the dash of a group."""
    below = min(int(place * (len(SEQUENTIAL) - 1)), len(SEQUENTIAL) - 2)
    share = place * (len(SEQUENTIAL) - 1) - below
    ends = [[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in SEQUENTIAL[below : below + 2]]
    mixed = (round(low + share * (high - low)) for low, high in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed), DASHES[group % len(DASHES)]


def _sort_known_first(names: Iterable[str]) -> list[str]:
    present = set(names)
    return [*(name for name in KNOWN if name in present), *sorted(present - set(KNOWN))]


def linear_axis(channel: Any, field: str, title: str) -> Any:
    """An axis for numbers of any sign, which need not begin at 0."""
    axis = alt.Axis(tickCount=6, labelOverlap="greedy", labelSeparation=4)
    return channel(f"{field}:Q", title=title, scale=alt.Scale(zero=False, nice=False), axis=axis)


def log_axis(
    channel: Any, field: str, title: str | None, base: float = 10, reverse: bool = False, room: int = 0
) -> Any:
    """A log-scaled axis that ends at the data, or ``room`` pixels beyond, labelled at 1, 2 and 5 times powers of 10."""
    is_other_base = base != 10
    axis = alt.Axis(
        tickCount=6,
        labelExpr=POWERS if is_other_base else f"{ROUND} ? {POWERS} : ''",
        labelOverlap="greedy",
        labelSeparation=4,
        gridOpacity=1 if is_other_base else alt.condition(ROUND, alt.value(1), alt.value(0)),
    )
    scale = alt.Scale(type="log", base=base, nice=False, reverse=reverse, padding=room)
    return channel(f"{field}:Q", title=title, scale=scale, axis=axis)


POWERS = (
    "(datum.value >= 0.01 && datum.value < 1e5"
    " ? format(datum.value, ',~g') : replace(format(datum.value, '.0e'), /e\\+?/, 'e'))"
)
"""Vega expression of an axis label, as the tables write numbers: 1e-4, 0.01, 1, 1,000, 1e6."""
ROUND = "indexof([1, 2, 5, 10], round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))) >= 0"
"""Vega expression: whether a tick is 1, 2 or 5 times a power of ten."""


def vega_theme(dark: bool) -> dict[str, Any]:
    """Vega-Lite's configuration: light grid, no frame, text that is legible on the page's background."""
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
