"""Training curves: a loss or a metric against steps, epochs, gradients or seconds, on train and held-out data."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from gdbench.report.charts.convergence import AXES
from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import (
    HEIGHT,
    MAX_BANDS,
    WIDTH,
    ChartSpec,
    draw_panels,
    json_records,
    named_data,
    pick_opacity,
)
from gdbench.report.style import Style, linear_axis, log_axis

__all__ = ["CURVE_AXES", "draw_training_curves", "list_banded_splits"]

CURVE_AXES = {"step": AXES["step"], "epochs": "epochs", "gradients": AXES["gradients"], "seconds": AXES["seconds"]}
"""Titles of the axes against which curves are drawn."""
SPLIT_DASHES = {"train": (1, 0), "held-out": (6, 4)}
"""Dash of a curve by the data on which it is measured."""


def list_banded_splits(table: pd.DataFrame) -> list[str]:
    """The splits whose bands are drawn: where several seeds are, all that few lines have, else the last."""
    splits = [split for split in SPLIT_DASHES if split in set(table["split"])]
    optimizers = table["optimizer"].nunique()
    if not (table["runs"] > 1).any() or optimizers > MAX_BANDS:
        return []
    return splits if optimizers * len(splits) <= MAX_BANDS else splits[-1:]


def draw_training_curves(table: pd.DataFrame, style: Style, against: str, title: str, logarithmic: bool) -> ChartSpec:
    """A line per optimizer and split over ``x`` with a band between its quartiles, one panel per problem.

    Where both splits are drawn the dash tells them apart, else the optimizers; points where some differ by rings.
    """
    names = table["optimizer"].unique()
    axis = log_axis if logarithmic else linear_axis
    detail = [alt.Detail("configuration:N"), alt.Detail("split:N")]
    has_rings = any(map(style.is_hollow, names))
    base = alt.Chart(named_data()).encode(
        x=linear_axis(alt.X, "x", CURVE_AXES[against]), color=style.colour_channel(names)
    )
    line = base.mark_line(aria=False).encode(
        y=axis(alt.Y, "value", title),
        strokeDash=_split_channel() if table["split"].nunique() > 1 else style.dash_channel(names),
        opacity=pick_opacity(),
        detail=detail,
    )
    tooltip = tooltips(
        *("optimizer:N", "configuration:N", alt.Tooltip("split:N", title="data"), number_tooltip("x", against, "cost")),
        *(number_tooltip("value", title), number_tooltip("lo", "lower quartile")),
        *(number_tooltip("hi", "upper quartile"), "runs:Q"),
    )
    hover = base.mark_point(size=90, opacity=0, filled=True).encode(y=alt.Y("value:Q"), tooltip=tooltip)
    bands = [_draw_band(base, axis(alt.Y, "lo", title), detail, split) for split in list_banded_splits(table)]
    rings = base.mark_point(size=30).encode(y=alt.Y("value:Q"), fill=style.fill_channel(names), opacity=pick_opacity())
    layers = [*bands, line, *([rings] if has_rings else []), hover]
    width, height = (2 * WIDTH, HEIGHT + 40) if table["problem"].nunique() == 1 else (WIDTH, HEIGHT)
    rows = json_records(style.sort_grey_first(table))
    return draw_panels(table, *layers, pick=True, rows=rows, width=width, height=height)


def _draw_band(base: Any, y: Any, detail: list[Any], split: str) -> Any:
    """The bands of one split; those of train are fainter, behind those of held-out."""
    opacity = pick_opacity(0.16 if split == "held-out" else 0.1)
    area = base.transform_filter(f"datum.split == '{split}'").mark_area(aria=False)
    return area.encode(y=y, y2=alt.Y2("hi:Q"), opacity=opacity, detail=detail)


def _split_channel() -> alt.StrokeDash:
    scale = alt.Scale(domain=list(SPLIT_DASHES), range=[list(dash) for dash in SPLIT_DASHES.values()])
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=2.5, symbolStrokeColor="gray")
    return alt.StrokeDash("split:N", scale=scale, legend=legend)
