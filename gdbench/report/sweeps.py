"""The list of sweeps in the terminal, as wide as that is, and as CSV or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gdbench.counting import format_count
from gdbench.report.rows import as_json
from gdbench.report.terminal import STYLES
from gdbench.report.units import number

__all__ = ["TEXTS", "answer_report", "sweeps_csv", "sweeps_json", "sweeps_report", "tabulate_texts"]

GAP = 2
CUT = {"best": 18, "statuses": 14, "note": 14}
"""Columns that may be cut before one is left out, and to how many characters; the first gets room first."""
DISPENSABLE = ("machine", "note", "when", "commit", "cells", "tags", "statuses", "best", "runs")
"""Columns that a narrow terminal does without, the first of them first."""
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
    hidden = _hidden(told, width)
    caption = " · ".join([f"{format_count(of, 'sweep')} in {outputs}", *(cells[name][0] for name in shared)])
    lines = list(_closing(table, of, hidden))
    return Group(Text(caption, style="bold"), Text(), _table(told, hidden, width), Text(), *map(Text, lines))


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
    """Who was best, with how many steps or how near; where there are several objectives, on the first of them."""
    if row.fault:
        return "cannot be read"
    if not isinstance(row.best_run, str):
        return ""
    if not pd.isna(row.best_steps_to_target):
        reached = format_count(int(row.best_steps_to_target), "step")
    else:
        reached = f"f {number(row.best_final_loss)}" if pd.isna(row.best_final_gap) else f"gap {row.best_final_gap:.1e}"
    impl = "" if row.best_impl == "manual" else f" ({row.best_impl})"
    return f"{row.best_optimizer}{impl} lr {number(row.best_lr)}, {reached} on {row.best_objective}"


def _hidden(told: dict[str, list[str]], width: int) -> list[str]:
    """The columns that do not fit, even if those that may be cut are."""
    hidden: list[str] = []
    for name in DISPENSABLE:
        if _sum(_least(_widths(told, hidden))) <= width:
            return hidden
        if name in told:
            hidden.append(name)
    return hidden


def _widths(told: dict[str, list[str]], hidden: list[str]) -> dict[str, int]:
    return {name: max(map(cell_len, (name, *column))) for name, column in told.items() if name not in hidden}


def _least(widths: dict[str, int]) -> dict[str, int]:
    return widths | {name: min(widths[name], least) for name, least in CUT.items() if name in widths}


def _sum(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _table(told: dict[str, list[str]], hidden: list[str], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    widths = _widths(told, hidden)
    fitted = _least(widths)
    for name in CUT:  # what is left of the line, for the first of them first
        if name in widths:
            fitted[name] = min(widths[name], fitted[name] + width - _sum(fitted))
    for name, each in fitted.items():
        table.add_column(
            name, justify="right" if name in RIGHT else "left", width=each, no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*(told[name] for name in fitted), strict=True):
        table.add_row(*(_styled(name, cell) for name, cell in zip(fitted, row, strict=True)))
    return table


def _styled(name: str, cell: str) -> Text:
    text = Text(cell)
    if name == "statuses":
        for status, style in STYLES.items():
            text.highlight_regex(rf"\S+ {status}", style)
    return text


def _closing(table: pd.DataFrame, of: int, hidden: list[str]) -> list[str]:
    rows: list[Any] = list(table.itertuples())
    lines = [f"{row.folder}: {row.fault}." for row in rows if row.fault]
    if table["dirty"].fillna(False).any() and "commit" not in hidden:
        lines.append("* with changes that were not committed.")
    if of > len(table):
        lines.append(f"{of - len(table):,} more: --limit 0 shows all.")
    if hidden:
        lines.append(f"Too narrow here for {', '.join(reversed(hidden))}; --json has all.")
    return lines


ROWS = 100
"""Rows of an answer that are shown."""


def answer_report(found: pd.DataFrame) -> RenderableType:
    """What a statement of SQL gave, one line a row."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name in found:
        table.add_column(str(name), justify="right" if found[name].dtype.kind in "iuf" else "left", overflow="fold")
    for row in found.head(ROWS).itertuples(index=False):
        table.add_row(*(Text(_plain(value)) for value in row))
    more = (
        [Text(f" … and {len(found) - ROWS:,} more: --csv or --json has all", style="dim")] if len(found) > ROWS else []
    )
    return Group(table, *more)


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
    return table.assign(tags=cells["tags"], statuses=cells["statuses"]).to_csv(index=False, lineterminator="\n")
