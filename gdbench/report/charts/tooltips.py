"""What a point tells when it is hovered over: numbers written as the tables write them.

A format of d3's writes other digits and exponents than ``units`` does. So a number of a tooltip is a text, which an
expression of Vega's makes of it where the chart is drawn, for the page and for notebooks alike.
"""

from __future__ import annotations

from typing import Any

import altair as alt

__all__ = ["KINDS", "format_tooltips", "number_tooltip"]

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
"""What writes each kind of number: ``units.number``, three digits, a gap, steps or gradients or seconds, a time."""
MARK = "as the tables: "
"""Begins a format that ``format_tooltips`` is to carry out."""


def number_tooltip(field: str, title: str | None = None, kind: str = "number") -> alt.Tooltip:
    """A number that is told as the tables write this kind of it."""
    return alt.Tooltip(f"{field}:Q", title=title or field, format=f"{MARK}{kind}")


def format_tooltips(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer whose tooltips are texts that it makes of its numbers."""
    tips = layer.get("encoding", {}).get("tooltip")
    if not isinstance(tips, list):
        return layer
    written, transforms = [], []
    for entry in tips:
        kind = str(entry.get("format", "")).removeprefix(MARK)
        if kind == entry.get("format", ""):
            written.append(entry)
            continue
        text = f"{entry['field']} as text"
        transforms.append({"calculate": _vega_expression(entry["field"], kind), "as": text})
        others = {name: value for name, value in entry.items() if name != "format"}
        written.append({**others, "field": text, "type": "nominal"})
    encoding = {**layer["encoding"], "tooltip": written}
    changed = {**layer, "encoding": encoding}
    return {**changed, "transform": [*layer.get("transform", []), *transforms]} if transforms else changed


def _vega_expression(field: str, kind: str) -> str:
    """The text of a field, by Vega's expressions; nothing where it is missing."""
    value = f"datum['{field}']"
    names = {"value": value, "size": f"abs({value})"}
    figure = KINDS["figure"].format(**names)
    text = KINDS[kind].format(**names, figure=figure)
    return f"isValid({value}) ? replace({text}, '\\u2212', '-') : ''"
