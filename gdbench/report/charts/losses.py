"""Final loss against lr, for problems on which no run reaches a target."""

from __future__ import annotations

import altair as alt
import pandas as pd

from gdbench.report.charts.parts import Drawn, lines
from gdbench.report.look import Look, log_axis

__all__ = ["chart"]

TOLD = [
    alt.Tooltip("optimizer:N"),
    alt.Tooltip("configuration:N"),
    alt.Tooltip("final_loss:Q", title="final loss", format=".4~g"),
    alt.Tooltip("final_loss_lo:Q", title="lowest of its seeds", format=".4~g"),
    alt.Tooltip("final_loss_hi:Q", title="highest of its seeds", format=".4~g"),
    alt.Tooltip("best_loss:Q", title="best loss", format=".4~g"),
    alt.Tooltip("n:Q", title="seeds"),
]


def chart(table: pd.DataFrame, look: Look) -> Drawn:
    """The median final loss at each lr, of the standings; on a log axis where all losses are above 0."""
    x = log_axis(alt.X, "lr", "learning rate")
    y = log_axis(alt.Y, "final_loss", "final loss") if (table["final_loss"] > 0).all() else LINEAR
    return lines(table.assign(optimizer=table["solver"]), look, x, y, TOLD)


LINEAR = alt.Y("final_loss:Q", title="final loss", scale=alt.Scale(zero=False))
