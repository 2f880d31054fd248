"""The list of sweeps in the terminal, as wide as that is, and as CSV or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.errors import format_count
from gdbench.report.best import amount
from gdbench.report.escaping import escape_csv_table
from gdbench.report.json_rows import as_json
from gdbench.report.number_format import number
from gdbench.report.table_cells import short
from gdbench.report.terminal.fitting import UNLIMITED, Column, FittedTable, describe_dropped, fit_columns
from gdbench.report.terminal.sweep_table import STYLES

__all__ = ["TEXTS", "answer_report", "sweeps_csv", "sweeps_json", "sweeps_report", "tabulate_texts"]

SENTENCES = {"best": 24, "statuses": 14, "note": 14}
"""Columns that may go on in further lines before one is left out, and how narrow they may get."""
DISPENSABLE = ("machine", "note", "when", "commit", "cells", "tags", "statuses", "best", "runs")
"""Columns that a narrow terminal does without, the first of them first."""
STATUSES = {rf"\S+ {status}": style for status, style in STYLES.items()}
RIGHT = ("cells", "runs")
TEXTS = ("statuses", "best")
"""Columns that are put together for the list alone, and can be asked for by what it says."""
SHARED = ("commit", "machine")
"""What is told once, above the table, where all sweeps have it in common."""


def sweeps_report(table: pd.DataFrame, of: int, outputs: Path, width: int) -> RenderableType:
    """One line a sweep, what they share above, and below what is not shown; ``of`` is how many fulfil the query."""
    cells = _cells(table)
    shared = [name for name in SHARED if len(set(cells[name])) == 1 and cells[name][0] and len(table) > 1]
    told = {name: column for name, column in cells.items() if any(column) and name not in shared}
    fitted = _table(told, width)
    caption = " · ".join([f"{format_count(of, 'sweep')} in {outputs}", *(cells[name][0] for name in shared)])
    lines = [*map(Text, _closing(table, of, fitted)), *(Text(line, style="dim") for line in describe_dropped([fitted]))]
    return Group(Text(caption, style="bold"), Text(), fitted, Text(), *lines)


def tabulate_texts(table: pd.DataFrame) -> pa.Table:
    """The texts of ``TEXTS``, as a query reads them."""
    cells = _cells(table)
    return pa.table({name: pa.array(cells[name], pa.string()).dictionary_encode() for name in TEXTS})


def _cells(table: pd.DataFrame) -> dict[str, list[str]]:
    rows: list[Any] = list(table.itertuples())
    return {
        "sweep": [str(row.folder) for row in rows],
        "when": [_when(row.when) if not _dated(row) else "" for row in rows],
        "name": [str(row.name) if row.name and not str(row.folder).endswith(str(row.name)) else "" for row in rows],
        "tags": [" ".join(row.tags) for row in rows],
        "commit": [f"{row.commit[:7]}{'*' if not pd.isna(row.dirty) and row.dirty else ''}" for row in rows],
        "machine": [str(row.machine) for row in rows],
        "cells": [f"{row.cells}{f' of {row.planned}' if row.ended < row.planned else ''}" for row in rows],
        "runs": [f"{row.runs:,}" for row in rows],
        "statuses": [", ".join(f"{n:,} {status}" for status, n in row.statuses.items()) for row in rows],
        "best": [_best(row) for row in rows],
        "note": [str(row.note).splitlines()[0] if row.note else "" for row in rows],
    }


def _dated(row: Any) -> bool:
    """Whether the folder's name tells when the sweep began."""
    return str(row.folder).startswith(_when(row.when).partition(" ")[0])


def _when(when: pd.Timestamp) -> str:
    return f"{when.to_pydatetime().astimezone():%Y-%m-%d %H:%M}"


def _best(row: Any) -> str:
    """Who was best, and by what number; where there are several problems, on the first of them."""
    if row.fault:
        return "cannot be read"
    if not isinstance(row.best_run_id, str):
        return ""
    result = amount(row.best_value, row.best_measure) + (", left again" if row.best_outcome == "left" else "")
    impl = "" if row.best_impl == "manual" else f" ({row.best_impl})"
    tied = f" ({row.best_tied} tie)" if row.best_tied > 1 else ""
    return f"{row.best_optimizer}{impl} {short(row.best_configuration)}{tied}, {result} on {row.best_problem}"


def _table(told: dict[str, list[str]], width: int) -> FittedTable:
    ranks = {name: len(DISPENSABLE) - place for place, name in enumerate(DISPENSABLE)}
    columns = [
        Column(
            name,
            cells,
            is_text=name not in RIGHT,
            rank=ranks.get(name),
            narrowest=SENTENCES.get(name),
            highlights=STATUSES if name == "statuses" else {},
        )
        for name, cells in told.items()
    ]
    return fit_columns(columns, width)


def _closing(table: pd.DataFrame, of: int, fitted: FittedTable) -> list[str]:
    rows: list[Any] = list(table.itertuples())
    lines = [f"{row.folder}: {row.fault}." for row in rows if row.fault]
    if table["dirty"].fillna(False).any() and "commit" not in fitted.dropped:
        lines.append("* with changes that were not committed.")
    if of > len(table):
        lines.append(f"{of - len(table):,} more: --limit 0 shows all.")
    return lines


ROWS = 100
"""Rows of an answer that are shown."""


def answer_report(found: pd.DataFrame, width: int = UNLIMITED) -> RenderableType:
    """What a statement of SQL gave, one line a row."""
    columns = [
        Column(str(name), [_plain(value) for value in found[name].head(ROWS)], found[name].dtype.kind not in "iuf")
        for name in found
    ]
    more = (
        [Text(f" … and {len(found) - ROWS:,} more: --csv or --json has all", style="dim")] if len(found) > ROWS else []
    )
    return Group(fit_columns(columns, width), *more)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return str(value) if isinstance(value, (dict, list)) or not pd.isna(value) else ""


# ------------------------------------------------------------------------------------------------------- for scripts


def sweeps_json(table: pd.DataFrame) -> str:
    """A list of objects, one a sweep; ``tags`` is a list, ``statuses`` an object."""
    plain = json.loads(as_json(table.drop(columns=["tags", "statuses"])))
    held = zip(plain, table["tags"], table["statuses"], strict=True)
    return json.dumps([{**row, "tags": list(tags), "statuses": dict(statuses)} for row, tags, statuses in held])


def sweeps_csv(table: pd.DataFrame) -> str:
    """A line a sweep; tags with blanks between, statuses as in ``3 target, 1 failed``."""
    cells = _cells(table)
    plain = table.assign(tags=cells["tags"], statuses=cells["statuses"])
    return escape_csv_table(plain).to_csv(index=False, lineterminator="\n")
