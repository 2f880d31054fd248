"""Final loss against lr, for problems on which no run reaches a target."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip
from gdbench.report.charts.vega_lite import MAX_BANDS, ChartSpec, draw_lines
from gdbench.report.style import Style, log_axis

__all__ = ["draw_final_losses", "has_bands"]

TOOLTIP = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("configuration:N"),
    number_tooltip("final_loss", "final loss"),
    number_tooltip("final_loss_lo", "lowest of its seeds"),
    number_tooltip("final_loss_hi", "highest of its seeds"),
    number_tooltip("best_loss", "best loss"),
    alt.Tooltip("n:Q", title="seeds"),
]


def has_bands(table: pd.DataFrame) -> bool:
    """Whether bands are drawn: where there are several seeds, and no more optimizers than bands can be told apart."""
    return bool((table["n"] > 1).any()) and table["solver"].nunique() <= MAX_BANDS


def draw_final_losses(table: pd.DataFrame, style: Style) -> ChartSpec:
    """The median final loss at each lr, with the lowest and the highest of its seeds as a band, of the standings.

    On a log axis where all losses are above 0.
    """
    x = log_axis(alt.X, "lr", "learning rate")
    has_band = has_bands(table)
    above_0 = bool((table["final_loss_lo" if has_band else "final_loss"] > 0).all())
    band = (_loss_axis("final_loss_lo", above_0), "final_loss_hi") if has_band else None
    drawable = table.assign(optimizer=table["solver"])
    return draw_lines(drawable, style, x, _loss_axis("final_loss", above_0), TOOLTIP, band)


def _loss_axis(field: str, logarithmic: bool) -> Any:
    """The axis of a loss: both ends of a band and the line share it."""
    if logarithmic:
        return log_axis(alt.Y, field, "final loss")
    return alt.Y(f"{field}:Q", title="final loss", scale=alt.Scale(zero=False))
