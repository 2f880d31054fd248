"""Tuning of training runs: a metric against learning rate, and the best metric of k trials."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from gdbench.report.charts.tooltips import number_tooltip, tooltips
from gdbench.report.charts.vega_lite import ChartSpec, draw_lines, has_bands
from gdbench.report.style import Style, linear_axis, log_axis

__all__ = ["draw_best_metric", "draw_metric_by_lr"]

BY_LR_TOOLTIP = ("optimizer:N", "configuration:N", alt.Tooltip("split:N", title="data"))


def draw_metric_by_lr(table: pd.DataFrame, style: Style, title: str, logarithmic: bool) -> ChartSpec:
    """The median ``value`` at each lr with a band from the lowest to the highest of its seeds, per problem."""
    band = (_value_axis("lo", title, logarithmic), "hi") if has_bands(table["optimizer"], table["seeds"] > 1) else None
    tooltip = tooltips(
        *(*BY_LR_TOOLTIP, number_tooltip("value", title), number_tooltip("lo", "lowest of its seeds")),
        *(number_tooltip("hi", "highest of its seeds"), "seeds:Q"),
    )
    x, y = log_axis(alt.X, "lr", "learning rate"), _value_axis("value", title, logarithmic)
    return draw_lines(table, style, x, y, tooltip, band)


def draw_best_metric(table: pd.DataFrame, style: Style, title: str, logarithmic: bool) -> ChartSpec:
    """The median best value of k configurations, one panel per problem, where ``median`` is finite."""
    tooltip = tooltips("optimizer:N", "k:Q", number_tooltip("median", title))
    x = log_axis(alt.X, "k", "trials (configurations drawn at random)")
    shown = table[np.isfinite(table["median"])]
    return draw_lines(shown, style, x, _value_axis("median", title, logarithmic), tooltip)


def _value_axis(field: str, title: str, logarithmic: bool) -> Any:
    return (log_axis if logarithmic else linear_axis)(alt.Y, field, title)
