"""What a sweep would do, in the terminal or as JSON: its cells, how far each has come, and how long they will take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.analysis.runtime_prediction import predict_runtimes, summarise_cell_times
from gdbench.errors import UsageError, format_count
from gdbench.report.number_format import seconds
from gdbench.report.terminal.fitting import UNLIMITED, Column, FittedTable, console, describe_dropped, fit_columns
from gdbench.results.load import load

__all__ = ["plan_report", "plan_table", "show_plan"]

ROWS = 50
"""Cells shown; --json has them all."""
NARROWEST = 24
"""How narrow the words for a cell may get."""
STYLES = {"done": "green", "failed": "red bold", "stale": "yellow"}
TIMES = [
    "sweep",
    "cell",
    "objective",
    "optimizer",
    "impl",
    "dtype",
    "steps",
    "convergence_pass_s",
    "warmup_s",
    "compile_s",
    "started_at",
]


def plan_table(cells: Sequence[Mapping[str, object]], outputs: str) -> pd.DataFrame:
    """The cells with ``predicted_s``, by the sweeps in ``outputs``: NaN where none like it ran, 0 where none is to."""
    frame = pd.DataFrame(list(cells))
    try:
        times = summarise_cell_times(load(outputs, columns=TIMES))
    except (UsageError, KeyError):  # nothing has run there, or nothing of this version
        return frame.assign(predicted_s=float("nan"))
    return frame.assign(predicted_s=predict_runtimes(frame, times).where(frame["runs_now"], 0.0))


def show_plan(plan: pd.DataFrame, summary: str, folder: Path | None, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        rows = plan.astype(object).where(plan.notna(), None).to_dict(orient="records")
        print(json.dumps(rows))
    else:
        out = console()
        out.print(plan_report(plan, summary, folder, out.width), crop=False)


def plan_report(plan: pd.DataFrame, summary: str, folder: Path | None, width: int = UNLIMITED) -> RenderableType:
    """Where it would run, one line a cell, and the sum."""
    table = _table(plan.head(ROWS), width)
    parts: list[RenderableType] = [Text(f"{folder or 'A new sweep'}: {summary}.", style="bold"), Text(), table]
    parts += [Text(line, style="dim") for line in describe_dropped([table])]
    if len(plan) > ROWS:
        parts.append(Text(f" … and {len(plan) - ROWS} more: --json lists them all", style="dim"))
    return Group(*parts, Text(), Text(_sum(plan)))


def _table(plan: pd.DataFrame, width: int) -> FittedTable:
    """One line a cell; what it is may go on in further lines."""
    times = [seconds(float(time)) or "?" for time in plan["predicted_s"]]
    states = [str(state) for state in plan["state"]]
    styles = {place: STYLES[state] for place, state in enumerate(states) if state in STYLES}
    columns = [
        Column("cell", [str(cell) for cell in plan["cell"]]),
        Column("what", [str(what) for what in plan["what"]], is_text=True, narrowest=NARROWEST),
        Column("runs", [f"{runs:,}" for runs in plan["runs"]], rank=2),
        Column("state", states, is_text=True, styles=styles),
        Column("predicted", [t if now else "" for t, now in zip(times, plan["runs_now"], strict=True)], rank=1),
    ]
    return fit_columns(columns, width)


def _sum(plan: pd.DataFrame) -> str:
    left = plan[plan["runs_now"]]
    if left.empty:
        return "Nothing is left to run."
    known = left["predicted_s"].notna()
    runs = int(left["runs"].sum())
    text = f"{format_count(len(left), 'cell')} ({format_count(runs, 'run')}) to run"
    if known.any():
        text += f", about {seconds(float(left.loc[known, 'predicted_s'].sum()))} judging by earlier sweeps"
    if not known.all():
        text += f", {(~known).sum()} without an estimate: no earlier sweep has a similar cell"
    return f"{text}. Leave out --dry-run to start."
