"""Tooltips whose numbers are written as in the report's tables.

A d3 format gives other digits and exponents than ``number_format``. So a number of a tooltip becomes a text by a Vega
expression where the chart is drawn, on the page and in notebooks alike.
"""

from __future__ import annotations

from typing import Any

import altair as alt

__all__ = ["KINDS", "format_tooltips", "number_tooltip", "tooltips"]

KINDS = {
    "number": "({size} == 0 ? '0' : {size} >= 9.9995e-5 && {size} < 9999.5 ? format({value}, '.4~r')"
    " : replace(format({value}, '.3~e'), /e\\+?/, 'e'))",
    "figure": "({size} == 0 ? '0' : {size} >= 9.995e-5 && {size} < 9995 ? format({value}, '.3~r')"
    " : replace(format({value}, '.2~e'), /e\\+?/, 'e'))",
    "gap": "replace(format({value}, '.1e'), /e([+-])(\\d)$/, 'e$10$2')",
    "cost": "(floor({value}) == {value} && {size} < 1e15 ? format({value}, ',') : {figure})",
    "microseconds": "({size} == 0 ? '0 ns' : {size} >= 999500 ? format({value} / 1e6, '.3r') + ' s' : {size} >= 999.5 ?"
    " format({value} / 1e3, '.3r') + ' ms' : {size} >= 0.9995 ? format({value}, '.3r') + ' µs' :"
    " format({value} * 1e3, '.3r') + ' ns')",
}
"""Vega expression of each kind of number: four digits, three digits, a gap, a cost (integers whole), a duration."""
MARK = "as the tables: "
"""Prefix of a format that ``format_tooltips`` replaces."""


def number_tooltip(field: str, title: str | None = None, kind: str = "number") -> alt.Tooltip:
    """The tooltip of a number of one of KINDS."""
    return alt.Tooltip(f"{field}:Q", title=title or field, format=f"{MARK}{kind}")


def tooltips(*fields: str | alt.Tooltip) -> list[alt.Tooltip]:
    """The tooltip of a point, names in Altair's shorthand; Altair is slow to infer a channel from a text by itself."""
    return [alt.Tooltip(field) if isinstance(field, str) else field for field in fields]


def format_tooltips(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer in which the numbers of tooltips are texts, calculated by transforms."""
    entries = layer.get("encoding", {}).get("tooltip")
    if not isinstance(entries, list):
        return layer
    texts, transforms = [], []
    for entry in entries:
        kind = str(entry.get("format", ""))
        if not kind.startswith(MARK):
            texts.append(entry)
            continue
        text = f"{entry['field']} as text"
        transforms.append({"calculate": _vega_expression(entry["field"], kind.removeprefix(MARK)), "as": text})
        others = {name: value for name, value in entry.items() if name != "format"}
        texts.append({**others, "field": text, "type": "nominal"})
    changed = {**layer, "encoding": {**layer["encoding"], "tooltip": texts}}
    return {**changed, "transform": [*layer.get("transform", []), *transforms]} if transforms else changed


def _vega_expression(field: str, kind: str) -> str:
    """The text of a field as a Vega expression; empty if it is missing."""
    value = f"datum['{field}']"
    names = {"value": value, "size": f"abs({value})"}
    text = KINDS[kind].format(**names, figure=KINDS["figure"].format(**names))
    return f"isValid({value}) ? replace({text}, '\\u2212', '-') : ''"
