"""Final loss against learning rate, for problems on which no run reaches a target."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_lines, has_bands
from gdbench.report.style import Style, log_axis

__all__ = ["draw_final_losses"]

TOOLTIP = tooltips(
    "optimizer:N",
    "configuration:N",
    number_tooltip("final_loss", "final loss"),
    number_tooltip("final_loss_lo", "lowest of its seeds"),
    number_tooltip("final_loss_hi", "highest of its seeds"),
    number_tooltip("best_loss", "best loss"),
    alt.Tooltip("n:Q", title="seeds"),
)


def draw_final_losses(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The median final loss of the standings at each lr, with a band from the lowest to the highest of its seeds.

    The axis is logarithmic if all losses are positive.
    """
    with_band = has_bands(table["solver"], table["n"] > 1)
    is_positive = bool((table["final_loss_lo" if with_band else "final_loss"] > 0).all())
    band = (_loss_axis("final_loss_lo", is_positive), "final_loss_hi") if with_band else None
    x, y = log_axis(alt.X, "lr", "learning rate"), _loss_axis("final_loss", is_positive)
    return draw_lines(table.assign(optimizer=table["solver"]), style, x, y, TOOLTIP, band)


def _loss_axis(field: str, logarithmic: bool) -> Any:
    if logarithmic:
        return log_axis(alt.Y, field, "final loss")
    return alt.Y(f"{field}:Q", title="final loss", scale=alt.Scale(zero=False))
