"""A section of the report, and what several sections draw on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from gdbench.report.charts.vega_lite import MAX_BANDS, Figure
from gdbench.report.report_data import ReportTable

__all__ = ["Landscape", "Section", "describe_band"]


Landscape = Callable[[pd.Series, dict[str, tuple[float, float]]], "tuple[pd.DataFrame, pd.DataFrame] | None"]
"""The values of a run's objective on a grid of the box, and its minimisers; None where they cannot be had."""


@dataclass
class Section:
    """A part of the page."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)


def describe_band(table: pd.DataFrame, what: str) -> str:
    """What a band says, or where to find it."""
    return (
        f"; band: {what}"
        if table["optimizer"].nunique() <= MAX_BANDS
        else f"; without bands, which the data have ({what})"
    )
