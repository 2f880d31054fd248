"""What a sweep would run, for the terminal and as JSON: its cells, their states and their predicted times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.analysis.runtime_prediction import predict_runtimes, summarise_cell_times
from gdbench.errors import UsageError, format_count
from gdbench.report.json_format import runs_as_json
from gdbench.report.number_format import format_seconds
from gdbench.report.terminal.column_fitting import (
    UNLIMITED,
    Column,
    FittedTable,
    describe_dropped,
    fit_columns,
    make_console,
)
from gdbench.results.load import load

__all__ = ["predict_times", "print_plan"]

MAX_ROWS = 50
"""Cells printed; --json has all."""
WRAP_WIDTH = 24
"""Least width of a cell's description before it is wrapped."""
STYLES = {"done": "green", "failed": "red bold", "stale": "yellow"}
TIMES = [
    *("sweep", "cell", "objective", "optimizer", "impl", "dtype", "steps"),
    *("convergence_pass_s", "warmup_s", "compile_s", "started_at"),
]


def predict_times(cells: Sequence[Mapping[str, object]], outputs: str) -> pd.DataFrame:
    """The cells with ``predicted_s`` from the sweeps in ``outputs``: NaN if none is alike, 0 if a cell does not run."""
    table = pd.DataFrame(list(cells))
    try:
        times = summarise_cell_times(load(outputs, columns=TIMES))
    except (UsageError, KeyError):  # no sweeps there, or of another version
        return table.assign(predicted_s=float("nan"))
    return table.assign(predicted_s=predict_runtimes(table, times).where(table["runs_now"], 0.0))


def print_plan(plan: pd.DataFrame, summary: str, folder: Path | None, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        print(runs_as_json(plan))
    else:
        out = make_console()
        out.print(_render_plan(plan, summary, folder, out.width), crop=False)


def _render_plan(plan: pd.DataFrame, summary: str, folder: Path | None, width: int = UNLIMITED) -> RenderableType:
    """The folder, a line per cell, and the total."""
    table = _cell_table(plan.head(MAX_ROWS), width)
    parts: list[RenderableType] = [Text(f"{folder or 'A new sweep'}: {summary}.", style="bold"), Text(), table]
    parts += [Text(line, style="dim") for line in describe_dropped([table])]
    if len(plan) > MAX_ROWS:
        parts.append(Text(f" … and {len(plan) - MAX_ROWS} more: --json lists them all", style="dim"))
    return Group(*parts, Text(), Text(_describe_total(plan)))


def _cell_table(plan: pd.DataFrame, width: int) -> FittedTable:
    times = [format_seconds(float(time)) or "?" for time in plan["predicted_s"]]
    states = [str(state) for state in plan["state"]]
    styles = {place: STYLES[state] for place, state in enumerate(states) if state in STYLES}
    columns = [
        Column("cell", [str(cell) for cell in plan["cell"]]),
        Column("what", [str(what) for what in plan["what"]], is_text=True, wrap_width=WRAP_WIDTH),
        Column("runs", [f"{runs:,}" for runs in plan["runs"]], drop_rank=2),
        Column("state", states, is_text=True, styles=styles),
        Column("predicted", [t if now else "" for t, now in zip(times, plan["runs_now"], strict=True)], drop_rank=1),
    ]
    return fit_columns(columns, width)


def _describe_total(plan: pd.DataFrame) -> str:
    left = plan[plan["runs_now"]]
    if left.empty:
        return "Nothing is left to run."
    known = left["predicted_s"].notna()
    runs = int(left["runs"].sum())
    text = f"{format_count(len(left), 'cell')} ({format_count(runs, 'run')}) to run"
    if known.any():
        text += f", about {format_seconds(float(left.loc[known, 'predicted_s'].sum()))} judging by earlier sweeps"
    if not known.all():
        text += f", {(~known).sum()} without an estimate: no earlier sweep has a similar cell"
    return f"{text}. Leave out --dry-run to start."
