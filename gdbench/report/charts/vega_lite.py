"""Vega-Lite building blocks of the charts: named data, layers, panels, a clickable legend; and what a figure is.

Altair makes the layers; they are combined as plain JSON here, because Altair copies a whole chart at each step of
combining.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import format_tooltips
from gdbench.report.escaping import escape_control_codes
from gdbench.report.json_format import to_json_column
from gdbench.report.style import Style, vega_theme

__all__ = [
    *("CROSS_MARK", "MAX_BANDS", "MAX_PANELS", "PICK", "ChartSpec", "Figure", "draw_lines", "draw_panels", "facet_by"),
    "has_bands",
    *(
        "image_specification",
        "json_records",
        "layer_charts",
        "name_figure",
        "named_data",
        "page_specification",
        "pick_opacity",
    ),
]

MAX_PANELS = 9
"""Problems in an image; on the page the filter chooses others."""
MAX_BANDS = 6
"""Most optimizers for which bands are drawn; more would hide each other."""
WIDTH, HEIGHT = 250, 190
CROSS_MARK: dict[str, Any] = {"shape": "cross", "angle": 45, "size": 110, "filled": True}
"""Marks the point at which a diverging run leaves the picture."""
PICK: dict[str, Any] = {
    "name": "pick",
    "select": {"type": "point", "fields": ["optimizer"]},
    "bind": "legend",
    "views": ["first"],
}
"""Selection: a click on a legend entry highlights that optimizer; a click elsewhere resets it."""


class ChartSpec(NamedTuple):
    """A chart as Vega-Lite JSON, and the data sets that it names."""

    chart: dict[str, Any]
    datasets: dict[str, list[dict[str, Any]]]

    def to_altair(self) -> Any:
        """The Altair chart with its data, for a notebook."""
        kind = alt.FacetChart if "facet" in self.chart else alt.LayerChart
        return kind.from_dict({**self.chart, "datasets": self.datasets}, validate=False)


@dataclass
class Figure:
    """A chart with its title, caption and numbers."""

    name: str
    """Name of its files."""
    title: str
    rule: str
    """Caption: the definition of what is drawn, and how many runs of how many it covers."""
    table: pd.DataFrame
    """The numbers that are drawn."""
    chart: ChartSpec | None = None
    """None if there is nothing to draw; ``rule`` then says why."""
    tab: str = ""
    """Label among the figures of a group, of which the page shows one at a time."""
    group: str = ""
    coloured: bool = True
    """Whether its colours are those of the optimizers."""


def name_figure(kind: str, text: str) -> str:
    """The name of a figure's files from a text of any characters, as path-a-b."""
    return f"{kind}-{''.join(character if character.isalnum() else '-' for character in text)}"


def has_bands(optimizers: pd.Series, has_spread: pd.Series) -> bool:
    """Whether bands are drawn: some row has a spread to show, and there are at most MAX_BANDS optimizers."""
    return bool(has_spread.any()) and optimizers.nunique() <= MAX_BANDS


def named_data(name: str = "table") -> alt.NamedData:
    """A reference to one of the chart's ``datasets``."""
    return alt.NamedData(name=name)


def json_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON objects; numbers that are not finite become null."""
    columns = {str(name): to_json_column(table[name]) for name in table}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def pick_opacity(opacity: float = 1.0) -> Any:
    """The opacity channel: ``opacity`` for the picked optimizers, 12% of it for the others."""
    return alt.OpacityValue(opacity * 0.12, condition={"param": PICK["name"], "value": opacity})


def layer_charts(
    *layers: alt.Chart, width: float, height: Any = None, params: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Layers on top of each other; clicks are registered in the first."""
    dicts = [format_tooltips(layer.to_dict(validate=False, context={"top_level": False})) for layer in layers]
    dicts[0]["name"] = PICK["views"][0]
    size = {"width": width} if height is None else {"width": width, "height": height}
    return {"layer": dicts, **size, "params": list(params)}


def facet_by(chart: dict[str, Any], names: Sequence[str], field: str = "problem") -> dict[str, Any]:
    """One panel per value of ``field``; a single panel gets the value as its title."""
    if len(names) == 1:
        return {**chart, "title": names[0]}
    header = {"title": None, "labelLimit": WIDTH, "labelAnchor": "start"}
    layers = [{name: part for name, part in layer.items() if name != "data"} for layer in chart["layer"]]
    return {
        "data": named_data().to_dict(),
        "facet": {"field": field, "type": "nominal", "sort": list(names), "header": header},
        "spec": {**{name: part for name, part in chart.items() if name != "params"}, "layer": layers},
        "params": chart["params"],
        "columns": min(len(names), 2 if len(names) in (2, 4) else 3),
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def draw_panels(
    table: pd.DataFrame,
    *layers: alt.Chart,
    field: str = "problem",
    pick: bool = False,
    rows: list[dict[str, Any]] | None = None,
    width: float = WIDTH,
    height: Any = HEIGHT,
) -> ChartSpec:
    """Layers in one panel per value of ``field`` of a table; ``rows`` are the data if not those of the table."""
    chart = layer_charts(*layers, params=[PICK] if pick else (), width=width, height=height)
    rows = json_records(table) if rows is None else rows
    return ChartSpec(facet_by(chart, list(table[field].unique()), field), {"table": rows})


def draw_lines(
    table: pd.DataFrame, style: Style, x: Any, y: Any, tooltip: list[Any], band: tuple[Any, str] | None = None
) -> ChartSpec:
    """A line with points per optimizer, one panel per problem.

    ``band`` is the axis of the lower end of a band behind each line, and the column of its upper end.
    """
    names = style.select_present(table["optimizer"])
    base = alt.Chart(named_data()).encode(x=x, y=y, color=style.colour_channel(names), opacity=pick_opacity())
    line = base.mark_line(aria=False).encode(strokeDash=style.dash_channel(names))
    points = base.mark_point(size=30).encode(fill=style.fill_channel(names), tooltip=tooltip)
    layers = [line, points]
    if band is not None:
        area = base.mark_area(aria=False).encode(y=band[0], y2=alt.Y2(f"{band[1]}:Q"), opacity=pick_opacity(0.13))
        layers.insert(0, area)
    return draw_panels(table, *layers, pick=True, rows=json_records(style.sort_grey_first(table)))


def page_specification(figure: Figure) -> dict[str, Any]:
    """The Vega-Lite specification of a figure for the page, with its data and the light theme."""
    assert figure.chart is not None
    chart, datasets = figure.chart
    return {"$schema": alt.SCHEMA_URL, **chart, "datasets": datasets, "config": vega_theme(False)}


def image_specification(figure: Figure) -> dict[str, Any]:
    """The specification for an image: at most MAX_PANELS panels, without invisible marks, tooltips and selections.

    Its texts are printable: SVG is XML, which has no control characters, and the process that draws would abort.
    """
    spec: dict[str, Any] = {**_without_interaction(page_specification(figure)), "config": vega_theme(False)}
    inner = spec.get("spec", spec)
    inner["layer"] = [layer for layer in inner["layer"] if layer["mark"].get("opacity") != 0]
    for layer in inner["layer"]:
        layer["mark"]["aria"] = False
    spec["params"] = [param for param in spec["params"] if param["name"] != PICK["name"]]
    facet = spec.get("facet", {})
    if len(facet.get("sort", [])) > MAX_PANELS:
        facet["sort"] = facet["sort"][:MAX_PANELS]
        table = [row for row in spec["datasets"]["table"] if row[facet["field"]] in set(facet["sort"])]
        spec["datasets"] = {**spec["datasets"], "table": table}
    return _make_printable(spec)  # type: ignore[no-any-return]


def _make_printable(node: Any) -> Any:
    """A copy whose texts have no control codes; equal texts stay equal, in data as in domains."""
    if isinstance(node, list):
        return [_make_printable(part) for part in node]
    if isinstance(node, dict):
        return {name: _make_printable(part) for name, part in node.items()}
    return escape_control_codes(node) if isinstance(node, str) and not node.isprintable() else node


def _without_interaction(node: Any) -> Any:
    """A copy without tooltips, and with the opacity that a mark has while nothing is picked."""
    if isinstance(node, list):
        return [_without_interaction(part) for part in node]
    if not isinstance(node, dict):
        return node
    condition = node.get("condition")
    if isinstance(condition, dict) and condition.get("param") == PICK["name"]:
        return {"value": condition["value"]}
    return {
        name: part if name == "datasets" else _without_interaction(part)
        for name, part in node.items()
        if name not in ("tooltip", "config")
    }
