"""What a sweep would do, in the terminal or as JSON: its cells, how far each has come, and how long they will take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gdbench.analysis.prediction import cell_times, predicted
from gdbench.counting import format_count
from gdbench.records import load
from gdbench.report.terminal import console
from gdbench.report.units import seconds
from gdbench.schema import UsageError

__all__ = ["plan_report", "plan_table", "show_plan"]

ROWS = 50
"""Cells shown; --json has them all."""
STYLES = {"done": "green", "failed": "red bold", "stale": "yellow"}
TIMES = ["sweep", "cell", "objective", "optimizer", "impl", "dtype", "steps", "watched_s", "cold_s", "started_at"]


def plan_table(cells: Sequence[Mapping[str, object]], outputs: str) -> pd.DataFrame:
    """The cells with ``predicted_s``, by the sweeps in ``outputs``: NaN where none like it ran, 0 where none is to."""
    frame = pd.DataFrame(list(cells))
    try:
        times = cell_times(load(outputs, columns=TIMES))
    except (UsageError, KeyError):  # nothing has run there, or nothing of this version
        return frame.assign(predicted_s=float("nan"))
    return frame.assign(predicted_s=predicted(frame, times).where(frame["runs_now"], 0.0))


def show_plan(plan: pd.DataFrame, summary: str, folder: Path | None, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        rows = plan.astype(object).where(plan.notna(), None).to_dict(orient="records")
        print(json.dumps(rows))
    else:
        console().print(plan_report(plan, summary, folder), crop=False)


def plan_report(plan: pd.DataFrame, summary: str, folder: Path | None) -> RenderableType:
    """Where it would run, one line a cell, and the sum."""
    parts: list[RenderableType] = [
        Text(f"{folder or 'A new sweep'}: {summary}.", style="bold"),
        Text(),
        _table(plan.head(ROWS)),
    ]
    if len(plan) > ROWS:
        parts.append(Text(f" … and {len(plan) - ROWS} more: --json lists them all", style="dim"))
    return Group(*parts, Text(), Text(_sum(plan)))


def _table(plan: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("cell", "what", "runs", "state", "predicted"):
        table.add_column(header, justify="right" if header in ("cell", "runs", "predicted") else "left")
    for _, row in plan.iterrows():
        time = (seconds(float(row["predicted_s"])) or "?") if row["runs_now"] else ""
        state = Text(row["state"], style=STYLES.get(row["state"], ""))
        table.add_row(str(row["cell"]), row["what"], f"{row['runs']:,}", state, time)
    return table


def _sum(plan: pd.DataFrame) -> str:
    left = plan[plan["runs_now"]]
    if left.empty:
        return "Nothing is left to run."
    known = left["predicted_s"].notna()
    runs = int(left["runs"].sum())
    text = f"To run: {format_count(len(left), 'cell')}, {format_count(runs, 'run')}"
    if known.any():
        text += f"; {seconds(float(left.loc[known, 'predicted_s'].sum()))} by the times of earlier ones"
    text += f" ({(~known).sum()} like none that ran)" if not known.all() else ""
    return f"{text}. Leave out the word plan to run {'them' if len(left) > 1 else 'it'}."
