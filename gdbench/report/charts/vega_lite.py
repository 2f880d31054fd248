"""What the charts share: data that is held once a chart, layers, panels, a legend that picks, and what a figure is.

Altair makes the layers; they are put together here as the JSON that they are, because Altair copies a whole chart for
each step of putting one together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import format_tooltips
from gdbench.report.style import Style, vega_theme

__all__ = [
    "CROSS_MARK",
    "MAX_BANDS",
    "MAX_PANELS",
    "PICK",
    "ChartSpec",
    "Figure",
    "count_columns",
    "draw_lines",
    "facet_by",
    "image_specification",
    "json_records",
    "layer_charts",
    "named_data",
    "page_specification",
    "pick_opacity",
]

MAX_PANELS = 9
"""Problems that a picture shows; the page lets its reader choose others."""
MAX_BANDS = 6
"""Optimizers whose bands are drawn; of more they hide each other."""
WIDTH, HEIGHT = 250, 190
CROSS_MARK: dict[str, Any] = {"shape": "cross", "angle": 45, "size": 110, "filled": True}
"""The mark of a line that ends where its run leaves the picture."""
PICK: dict[str, Any] = {
    "name": "pick",
    "select": {"type": "point", "fields": ["optimizer"]},
    "bind": "legend",
    "views": ["first"],
}
"""A click on a legend entry shows that optimizer alone; a click elsewhere all of them."""


class ChartSpec(NamedTuple):
    """A chart as Vega-Lite, and the data that it names."""

    chart: dict[str, Any]
    datasets: dict[str, list[dict[str, Any]]]

    def to_altair(self) -> Any:
        """Altair's chart that holds its data, as a notebook shows it."""
        kind = alt.FacetChart if "facet" in self.chart else alt.LayerChart
        return kind.from_dict({**self.chart, "datasets": self.datasets}, validate=False)


@dataclass
class Figure:
    """A chart with all that is said about it."""

    name: str
    """What its files are called."""
    title: str
    rule: str
    """How to read it, by which definition, and how many runs of how many it speaks for."""
    table: pd.DataFrame
    """The numbers that are drawn, or would be."""
    chart: ChartSpec | None = None
    """Null where there is nothing to draw; ``rule`` then says why."""
    tab: str = ""
    """What it is called among figures of one group, of which the page shows one at a time."""
    group: str = ""
    coloured: bool = True
    """Whether its colours are those of the optimizers."""


def named_data(name: str = "table") -> alt.NamedData:
    """The data of that name in the chart's ``datasets``."""
    return alt.NamedData(name=name)


def json_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: what is not finite is null."""
    columns = {str(name): [_plain(value) for value in table[name].tolist()] for name in table}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return None if value is None or value is pd.NA else value


def pick_opacity(shown: float = 1.0) -> Any:
    """The opacity of what is picked, and of the rest."""
    return alt.OpacityValue(shown * 0.12, condition={"param": PICK["name"], "value": shown})


def layer_charts(
    *layers: alt.Chart, width: float, height: Any = None, params: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Layers over each other; a click is looked for in the first."""
    told = [format_tooltips(layer.to_dict(validate=False, context={"top_level": False})) for layer in layers]
    told[0]["name"] = PICK["views"][0]
    size = {"width": width} if height is None else {"width": width, "height": height}
    return {"layer": told, **size, "params": list(params)}


def facet_by(chart: dict[str, Any], names: Sequence[str], field: str = "problem") -> dict[str, Any]:
    """One panel for each problem of ``data()``; a chart of one panel says its name too."""
    if len(names) == 1:
        return {**chart, "title": names[0]}
    header = {"title": None, "labelLimit": WIDTH, "labelAnchor": "start"}
    layers = [{name: each for name, each in layer.items() if name != "data"} for layer in chart["layer"]]
    return {
        "data": named_data().to_dict(),
        "facet": {"field": field, "type": "nominal", "sort": list(names), "header": header},
        "spec": {**{name: each for name, each in chart.items() if name != "params"}, "layer": layers},
        "params": chart["params"],
        "columns": count_columns(len(names)),
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def draw_lines(
    table: pd.DataFrame, style: Style, x: Any, y: Any, told: Sequence[alt.Tooltip], band: tuple[Any, str] | None = None
) -> ChartSpec:
    """A line with points for each optimizer, a panel for each problem; ``told`` is what a point tells when hovered.

    ``band`` is the axis of the lower end of a band behind each line, and the column of its upper end.
    """
    there = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(x=x, y=y, color=style.colour_channel(there), opacity=pick_opacity())
    line = base.mark_line(aria=False).encode(strokeDash=style.dash_channel(there))
    points = base.mark_point(size=30).encode(fill=style.fill_channel(there), tooltip=list(told))
    layers = [line, points]
    if band is not None:
        area = base.mark_area(aria=False).encode(y=band[0], y2=alt.Y2(f"{band[1]}:Q"), opacity=pick_opacity(0.13))
        layers.insert(0, area)
    drawing = layer_charts(*layers, params=[PICK], width=WIDTH, height=HEIGHT)
    return ChartSpec(
        facet_by(drawing, list(table["problem"].unique())), {"table": json_records(style.sort_grey_first(table))}
    )


def count_columns(count: int) -> int:
    """How many panels stand beside each other on a wide page."""
    return min(count, 2 if count in (2, 4) else 3)


def page_specification(figure: Figure) -> dict[str, Any]:
    """The chart as Vega-Lite, with its data and the light theme."""
    assert figure.chart is not None
    return {
        "$schema": alt.SCHEMA_URL,
        **figure.chart.chart,
        "datasets": figure.chart.datasets,
        "config": vega_theme(False),
    }


def image_specification(figure: Figure) -> dict[str, Any]:
    """``page_specification`` of at most PANELS panels, without what only a page needs: invisible marks and tooltips."""
    spec: dict[str, Any] = {**_without_interaction(page_specification(figure)), "config": vega_theme(False)}
    inner = spec.get("spec", spec)
    inner["layer"] = [each for each in inner["layer"] if each["mark"].get("opacity") != 0]
    for each in inner["layer"]:
        each["mark"]["aria"] = False
    spec["params"] = [each for each in spec["params"] if each["name"] != PICK["name"]]
    if len(spec.get("facet", {}).get("sort", [])) > MAX_PANELS:
        facet = spec["facet"]
        facet["sort"] = facet["sort"][:MAX_PANELS]
        kept = set(facet["sort"])
        table = [row for row in spec["datasets"]["table"] if row[facet["field"]] in kept]
        spec["datasets"] = {**spec["datasets"], "table": table}
    return spec


def _without_interaction(node: Any) -> Any:
    """A copy without tooltips, and with the opacity that a mark has while nothing is picked."""
    if isinstance(node, list):
        return [_without_interaction(each) for each in node]
    if not isinstance(node, dict):
        return node
    condition = node.get("condition")
    if isinstance(condition, dict) and condition.get("param") == PICK["name"]:
        return {"value": condition["value"]}
    return {
        name: each if name == "datasets" else _without_interaction(each)
        for name, each in node.items()
        if name not in ("tooltip", "config")
    }
