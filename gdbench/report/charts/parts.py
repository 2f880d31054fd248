"""What the charts share: data that is held once a chart, panels, a legend that picks, and what a figure is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from gdbench.report.look import theme

__all__ = [
    "BANDS",
    "PANELS",
    "Drawn",
    "Figure",
    "columns",
    "data",
    "faded",
    "layered",
    "panels",
    "picking",
    "records",
    "specification",
]

PANELS = 9
"""Problems that a picture shows; the page lets its reader choose others."""
BANDS = 6
"""Optimizers whose bands are drawn; of more they hide each other."""
WIDTH, HEIGHT = 250, 190


class Drawn(NamedTuple):
    """A chart and the data that it names; apart, because Altair copies what it holds again and again."""

    chart: Any
    datasets: dict[str, list[dict[str, Any]]]

    def whole(self) -> Any:
        """One chart that holds its data, as a notebook shows it."""
        return self.chart.properties(datasets=self.datasets)


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
    chart: Drawn | None = None
    """Null where there is nothing to draw; ``rule`` then says why."""
    tab: str = ""
    """What it is called among figures of one group, of which the page shows one at a time."""
    group: str = ""
    coloured: bool = True
    """Whether its colours are those of the optimizers."""


def data(name: str = "table") -> alt.NamedData:
    """The data of that name in the chart's ``datasets``."""
    return alt.NamedData(name=name)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: what is not finite is null."""
    columns = {str(name): [_plain(value) for value in table[name].tolist()] for name in table}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return None if value is None or value is pd.NA else value


def picking() -> alt.Parameter:
    """A click on a legend entry shows that optimizer alone; a click elsewhere all of them."""
    return alt.selection_point(fields=["optimizer"], bind="legend", name="pick")


def faded(pick: alt.Parameter, shown: float = 1.0) -> Any:
    """The opacity of what is picked, and of the rest."""
    return alt.OpacityValue(shown * 0.12, condition={"param": pick.name, "value": shown})


def layered(*layers: alt.Chart, params: Sequence[alt.Parameter], width: float, height: Any) -> Any:
    """Layers over each other, of which the first carries the parameters: Altair copies a whole chart to add one."""
    first, *others = layers
    return alt.layer(first.add_params(*params), *others, width=width, height=height)


def panels(chart: Any, names: Sequence[str], field: str = "problem") -> Any:
    """One panel for each problem; a chart of one panel says its name too."""
    if len(names) == 1:
        return chart.properties(title=names[0])
    header = alt.Header(title=None, labelLimit=WIDTH, labelAnchor="start")
    return chart.facet(
        facet=alt.Facet(f"{field}:N", sort=list(names), header=header), columns=columns(len(names))
    ).resolve_scale(x="independent", y="independent")


def columns(count: int) -> int:
    """How many panels stand beside each other on a wide page."""
    return min(count, 2 if count in (2, 4) else 3)


def specification(figure: Figure, panels: bool = False) -> dict[str, Any]:
    """The chart as Vega-Lite, with its data and the light theme; of ``panels`` as many as a picture shows."""
    assert figure.chart is not None
    spec: dict[str, Any] = figure.chart.chart.to_dict(validate=False)
    facet = spec.get("facet", {})
    datasets = figure.chart.datasets
    if panels and len(facet.get("sort", [])) > PANELS:
        facet["sort"] = facet["sort"][:PANELS]
        kept = set(facet["sort"])
        datasets = {**datasets, "table": [row for row in datasets["table"] if row[facet["field"]] in kept]}
    return {**spec, "datasets": datasets, "config": theme(False)}
