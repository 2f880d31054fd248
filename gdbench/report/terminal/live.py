"""State of a running sweep in the terminal: progress, remaining time, best configurations, convergence plot."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gdbench.config.overrides import format_override
from gdbench.errors import format_count, list_few
from gdbench.report.number_format import format_gap, format_number
from gdbench.report.result_text import format_result
from gdbench.report.terminal.column_fitting import Column, FittedTable, fit_columns
from gdbench.report.terminal.progress import format_clock
from gdbench.report.terminal.text_plot import STYLES, Curve, plot_curves
from gdbench.results.live_status import SweepSnapshot
from gdbench.results.run_settings import format_distinct
from gdbench.results.statuses import STATUSES

__all__ = ["format_progress_line", "render_snapshot"]

MAX_CURVES = len(STYLES)
"""Solvers, and further problems, in a snapshot."""
PLOT_ROWS = 10
LABEL_WIDTH = 8
"""Columns of the labels of the plot."""
QUIET_S = 60.0
"""Seconds without a write after which the snapshot says so."""
LETTERS = "abcdef"

LoadTrace = Callable[[str], pd.DataFrame]


def render_snapshot(snapshot: SweepSnapshot, load_trace: LoadTrace, width: int, colour: bool) -> RenderableType:
    """The state of a sweep in at most ``width`` columns; ``load_trace`` returns the trace of a run_id."""
    title = Text(f"{snapshot.folder} · {snapshot.state}", style="bold")
    parts: list[RenderableType] = [title, *_progress_lines(snapshot, width, colour)]
    solvers = _select_plotted(snapshot.best)
    if len(solvers):
        parts += [Text(), _best_table(snapshot.best, solvers, width)]
    curves, are_gaps = _make_curves(solvers, load_trace)
    if curves:
        heading = f"{'gap' if are_gaps else 'loss'} of the best on {solvers['problem'].iloc[0]}, step by step"
        parts += [Text(), Text(heading, style="dim"), *_plot_lines(curves, are_gaps, width)]
    closing = [Text(line, no_wrap=True, overflow="ignore") for line in _closing_lines(snapshot)]  # paths stay whole
    return Group(*parts, Text(), *closing)


def format_progress_line(snapshot: SweepSnapshot) -> str:
    """The progress of a sweep in one line."""
    parts = (_format_count, _format_statuses, _format_failed, _format_time_left)
    return "  ".join(filter(None, (part(snapshot) for part in parts)))


def _format_count(snapshot: SweepSnapshot) -> str:
    if snapshot.open_end:
        return format_count(snapshot.ended, "cell")
    return f"cell {snapshot.ended}/{snapshot.planned}"


def _progress_lines(snapshot: SweepSnapshot, width: int, colour: bool) -> list[RenderableType]:
    clock = format_clock(snapshot.elapsed_s)
    words = Text(f"{_format_count(snapshot)}  {clock}  {_format_time_left(snapshot)}".rstrip())
    runs = snapshot.statuses.total()
    lines = [Text(f"{format_count(runs, 'run')}: {_format_statuses(snapshot)}")] if runs else []
    lines += [Text(_format_failed(snapshot), style="red bold")] if snapshot.failed else []
    if not colour or snapshot.open_end or not snapshot.planned:
        return [words, *lines]
    bar = ProgressBar(snapshot.planned, snapshot.ended, width=max(10, min(width - words.cell_len - 4, 40)))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(bar, words)
    return [grid, *lines]


def _format_statuses(snapshot: SweepSnapshot) -> str:
    return ", ".join(f"{snapshot.statuses[name]:,} {name}" for name in STATUSES if snapshot.statuses[name])


def _format_failed(snapshot: SweepSnapshot) -> str:
    return f"{format_count(snapshot.failed, 'cell')} failed" if snapshot.failed else ""


def _format_time_left(snapshot: SweepSnapshot) -> str:
    return f"{format_clock(snapshot.left_s)} left" if snapshot.left_s is not None else ""


# ---------------------------------------------------------------------------------------------------------- the best


def _select_plotted(best: pd.DataFrame) -> pd.DataFrame:
    """The solvers in the plot: those of the first problem."""
    return best[best["problem"] == best["problem"].iloc[0]].head(MAX_CURVES) if len(best) else best


def _best_table(best: pd.DataFrame, plotted: pd.DataFrame, width: int) -> FittedTable:
    """The solvers in the plot with their letters, and the best of each other problem."""
    several = best["problem"].nunique() > 1
    others = best[best["problem"] != plotted["problem"].iloc[0]].drop_duplicates("problem").head(MAX_CURVES)
    table = pd.concat([plotted, others])
    rows: list[Any] = list(table.itertuples())
    letters = [*LETTERS[: len(plotted)], *[""] * len(others)]
    columns = [
        Column("", letters, is_text=True, styles=dict(enumerate(STYLES[: len(plotted)]))),
        Column("problem", [row.problem if several else "" for row in rows], is_text=True),
        Column("best so far", [_format_solver(row) for row in rows], is_text=True),
        Column("lr", format_distinct(table["lr"]), drop_rank=1),
        Column("to target", [_format_to_target(row) for row in rows]),
        Column("final gap", [_format_final(row) for row in rows], drop_rank=2),
    ]
    return fit_columns(columns, width)


def _format_solver(row: Any) -> str:
    return str(row.optimizer) if row.impl == "manual" else f"{row.optimizer} ({row.impl})"


def _format_to_target(row: Any) -> str:
    if row.outcome not in ("stays", "left"):
        return ""
    return format_result(row.value, row.measure) + (", left again" if row.outcome == "left" else "")


def _format_final(row: Any) -> str:
    return f"f {format_number(row.final_loss)}" if pd.isna(row.final_gap) else format_gap(row.final_gap)


# --------------------------------------------------------------------------------------------------------- the plot


def _make_curves(solvers: pd.DataFrame, load_trace: LoadTrace) -> tuple[list[Curve], bool]:
    """A curve per run with a trace, of log10 of its gaps; or of the losses (False) if a minimum is unknown."""
    run_ids: Any = solvers["run_id"] if len(solvers) else []
    traces = {letter: load_trace(run_id) for letter, run_id in zip(LETTERS, run_ids, strict=False)}
    are_gaps = all(trace["gap"].notna().any() for trace in traces.values() if len(trace))
    curves = []
    for letter, trace in traces.items():
        y = trace["gap" if are_gaps else "loss"].to_numpy(np.float64)
        fit = np.isfinite(y) & ((y > 0) | (not are_gaps))
        if fit.sum() > 1:
            x = trace["step"].to_numpy(np.float64)[fit]
            curves.append(Curve(letter, x, np.log10(y[fit]) if are_gaps else y[fit]))
    return curves, are_gaps


def _plot_lines(curves: list[Curve], are_gaps: bool, width: int) -> list[Text]:
    ends = max(curve.y.max() for curve in curves), min(curve.y.min() for curve in curves)
    high, low = (f"{10**end:.0e}" if are_gaps else format_number(end) for end in ends)
    labels = {0: high, PLOT_ROWS - 1: low}
    lines = plot_curves(curves, max(10, min(width, 100) - LABEL_WIDTH - 1), PLOT_ROWS)
    plot = [Text(f"{labels.get(row, ''):>{LABEL_WIDTH}} ", style="dim") + line for row, line in enumerate(lines)]
    last = format_count(round(max(curve.x[-1] for curve in curves)), "step")
    return [*plot, Text(f"{'':{LABEL_WIDTH}} 0{last:>{len(lines[0]) - 1}}", style="dim")]


def _describe_running(snapshot: SweepSnapshot) -> str:
    """The cells in which the process of a stopped sweep ended; empty where it ended between two."""
    return f" within {list_few(snapshot.running)}" if snapshot.running else ""


def _closing_lines(snapshot: SweepSnapshot) -> list[str]:
    quiet = f"No writes for {format_clock(snapshot.quiet_s)}"
    if snapshot.state == "ended":
        return [f"Next: python -m gdbench report {shlex.quote(str(snapshot.folder))}"]
    if snapshot.state == "stopped":
        again = shlex.join(["python", "-m", "gdbench", format_override("resume", str(snapshot.folder))])
        how = "start the search again" if snapshot.open_end else f"resume with {again}"
        return [
            f"{quiet}: the sweep was killed or interrupted{_describe_running(snapshot)}.",
            f"Finished cells are kept; {how}",
        ]
    return [f"{quiet}."] if snapshot.quiet_s > QUIET_S else []
