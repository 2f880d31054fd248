"""List of sweeps: as a table for the terminal and as CSV; and results of SQL queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.errors import format_count
from gdbench.report.escaping import escape_csv_table
from gdbench.report.number_format import format_value
from gdbench.report.result_text import format_result
from gdbench.report.table_cells import shorten_numbers
from gdbench.report.terminal.column_fitting import UNLIMITED, Column, FittedTable, describe_dropped, fit_columns
from gdbench.report.terminal.sweep_table import STYLES

__all__ = ["TEXTS", "query_columns", "render_sql_result", "render_sweeps", "sweeps_as_csv"]

WRAP_WIDTHS = {"best": 24, "statuses": 14, "note": 14}
"""Columns that are wrapped before any is dropped, and their least widths."""
OPTIONAL_COLUMNS = ("machine", "note", "when", "commit", "cells", "tags", "statuses", "best", "runs")
"""Columns in the order in which a narrow terminal drops them."""
STATUSES = {rf"\S+ {status}": style for status, style in STYLES.items()}
RIGHT = ("cells", "runs")
TEXTS = ("statuses", "best")
"""Columns that exist only as texts of the list; queries can filter by them."""
CAPTION_COLUMNS = ("commit", "machine")
"""Columns that go to the caption if all sweeps share their value."""
MAX_ROWS = 100
"""Rows of a query's result that are printed."""


def render_sweeps(table: pd.DataFrame, of: int, outputs: Path, width: int) -> RenderableType:
    """One line per sweep, shared values above, notes below; ``of`` is the number of sweeps that match the query."""
    cells = _text_columns(table)
    shared = [name for name in CAPTION_COLUMNS if len(set(cells[name])) == 1 and cells[name][0] and len(table) > 1]
    fitted = _fit_table({name: texts for name, texts in cells.items() if any(texts) and name not in shared}, width)
    caption = " · ".join([f"{format_count(of, 'sweep')} in {outputs}", *(cells[name][0] for name in shared)])
    lines = [*map(Text, _closing_lines(table, of, fitted))]
    lines += [Text(line, style="dim") for line in describe_dropped([fitted])]
    return Group(Text(caption, style="bold"), Text(), fitted, Text(), *lines)


def query_columns(table: pd.DataFrame) -> pa.Table:
    """The columns of TEXTS, for queries."""
    cells = _text_columns(table)
    return pa.table({name: pa.array(cells[name], pa.string()) for name in TEXTS})


def _text_columns(table: pd.DataFrame) -> dict[str, list[str]]:
    rows: list[Any] = list(table.itertuples())
    return {
        "sweep": [str(row.folder) for row in rows],
        "when": ["" if _is_dated(row) else _format_time(row.when) for row in rows],
        "name": [str(row.name) if row.name and not str(row.folder).endswith(str(row.name)) else "" for row in rows],
        "tags": [" ".join(row.tags) for row in rows],
        "commit": [f"{row.commit[:7]}{'*' if not pd.isna(row.dirty) and row.dirty else ''}" for row in rows],
        "machine": [str(row.machine) for row in rows],
        "cells": [f"{row.cells}{f' of {row.planned}' if row.ended < row.planned else ''}" for row in rows],
        "runs": [f"{row.runs:,}" for row in rows],
        "statuses": [", ".join(f"{n:,} {status}" for status, n in row.statuses.items()) for row in rows],
        "best": [_format_best(row) for row in rows],
        "note": [str(row.note).splitlines()[0] if row.note else "" for row in rows],
    }


def _is_dated(row: Any) -> bool:
    """Whether the folder's name begins with the day of the sweep."""
    return str(row.folder).startswith(_format_time(row.when).partition(" ")[0])


def _format_time(when: pd.Timestamp) -> str:
    return f"{when.to_pydatetime().astimezone():%Y-%m-%d %H:%M}"


def _format_best(row: Any) -> str:
    """The best configuration on the sweep's first problem, with its result."""
    if row.fault:
        return "cannot be read"
    if not isinstance(row.best_run_id, str):
        return ""
    result = format_result(row.best_value, row.best_measure) + (", left again" if row.best_outcome == "left" else "")
    impl = "" if row.best_impl == "manual" else f" ({row.best_impl})"
    tied = f" ({row.best_tied} of its configurations tie)" if row.best_tied > 1 else ""
    configuration = shorten_numbers(row.best_configuration)
    return f"{row.best_optimizer}{impl} {configuration}{tied}, {result} on {row.best_problem}"


def _fit_table(cells: dict[str, list[str]], width: int) -> FittedTable:
    ranks = {name: len(OPTIONAL_COLUMNS) - place for place, name in enumerate(OPTIONAL_COLUMNS)}
    columns = [
        Column(
            name,
            texts,
            is_text=name not in RIGHT,
            drop_rank=ranks.get(name),
            wrap_width=WRAP_WIDTHS.get(name),
            highlights=STATUSES if name == "statuses" else {},
        )
        for name, texts in cells.items()
    ]
    return fit_columns(columns, width)


def _closing_lines(table: pd.DataFrame, of: int, fitted: FittedTable) -> list[str]:
    rows: list[Any] = list(table.itertuples())
    lines = [f"{row.folder}: {row.fault}." for row in rows if row.fault]
    if table["dirty"].fillna(False).any() and "commit" not in fitted.dropped:
        lines.append("* with uncommitted changes.")
    if of > len(table):
        lines.append(f"{of - len(table):,} more: --limit 0 shows all.")
    return lines


def render_sql_result(table: pd.DataFrame, width: int = UNLIMITED) -> RenderableType:
    """The result of an SQL query, one line per row."""
    columns = [
        Column(
            str(name),
            [_format_cell(value) for value in table[name].head(MAX_ROWS)],
            table[name].dtype.kind not in "iuf",
        )
        for name in table
    ]
    more = len(table) - MAX_ROWS
    note = [Text(f" … and {more:,} more: --csv or --json has all", style="dim")] if more > 0 else []
    return Group(fit_columns(columns, width), *note)


def _format_cell(value: Any) -> str:
    return str(value) if isinstance(value, (dict, list)) or not pd.api.types.is_scalar(value) else format_value(value)


# ------------------------------------------------------------------------------------------------------- for scripts


def sweeps_as_csv(table: pd.DataFrame) -> str:
    """A line per sweep; tags separated by spaces, statuses as in ``3 target, 1 failed``."""
    cells = _text_columns(table)
    flat = table.assign(tags=cells["tags"], statuses=cells["statuses"])
    return escape_csv_table(flat).to_csv(index=False, lineterminator="\n")
