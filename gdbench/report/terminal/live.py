"""A sweep that runs, as one frame: how far, how long still, the best so far, and how they got there."""

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
from gdbench.errors import format_count
from gdbench.report.number_format import format_number
from gdbench.report.result_text import format_result
from gdbench.report.summary_text import STATUSES
from gdbench.report.terminal.column_fitting import Column, FittedTable, fit_columns
from gdbench.report.terminal.progress import format_clock
from gdbench.report.terminal.text_plot import STYLES, Curve, plot_curves
from gdbench.results.live_status import SweepSnapshot
from gdbench.results.run_settings import distinct_texts

__all__ = ["MAX_CURVES", "format_progress_line", "make_curves", "render_snapshot"]


MAX_CURVES = len(STYLES)
"""Solvers, or objectives, that a frame has room for."""
PLOT_ROWS = 10
"""Lines of the picture."""
QUIET_S = 60.0
"""From when on it is said that nothing is written."""
LABEL_WIDTH = 8
"""Columns of its labels."""


def render_snapshot(
    seen: SweepSnapshot, trace: Callable[[str], pd.DataFrame], width: int, colour: bool
) -> RenderableType:
    """All that there is to see, at most ``width`` columns wide; ``trace`` gives the steps of a run by its key."""
    parts: list[RenderableType] = [
        Text(f"{seen.folder} · {seen.state}", style="bold"),
        *_progress_lines(seen, width, colour),
    ]
    drawn = _plotted_solvers(seen.best)
    if len(seen.best):
        parts += [Text(), _best_table(seen.best, drawn, width)]
    curves, gaps = make_curves(drawn, trace)
    if curves:
        what = f"{'gap' if gaps else 'loss'} of the best on {drawn['problem'].iloc[0]}, step by step"
        parts += [Text(), Text(what, style="dim"), *_plot_lines(curves, gaps, width)]
    closing = [Text(each, no_wrap=True, overflow="ignore") for each in _closing_lines(seen)]  # a path stays whole
    return Group(*parts, Text(), *closing)


def format_progress_line(seen: SweepSnapshot) -> str:
    """How far it is, in one line."""
    return "  ".join(
        filter(None, (_format_count(seen), _format_statuses(seen), _format_failed(seen), _format_time_left(seen)))
    )


def _format_count(seen: SweepSnapshot) -> str:
    return f"{format_count(seen.ended, 'cell')}" if seen.open_end else f"cell {seen.ended}/{seen.planned}"


def _progress_lines(seen: SweepSnapshot, width: int, colour: bool) -> list[RenderableType]:
    words = Text(f"{_format_count(seen)}  {format_clock(seen.elapsed_s)}  {_format_time_left(seen)}".rstrip())
    runs = seen.statuses.total()
    counted = [Text(f"{format_count(runs, 'run')}: {_format_statuses(seen)}")] if runs else []
    broken = [Text(_format_failed(seen), style="red bold")] if seen.failed else []
    if not colour or seen.open_end or not seen.planned:
        return [words, *counted, *broken]
    bar = Table.grid(padding=(0, 2, 0, 0))
    bar.add_row(ProgressBar(seen.planned, seen.ended, width=max(10, min(width - words.cell_len - 4, 40))), words)
    return [bar, *counted, *broken]


def _format_statuses(seen: SweepSnapshot) -> str:
    return ", ".join(f"{seen.statuses[name]:,} {name}" for name in STATUSES if seen.statuses[name])


def _format_failed(seen: SweepSnapshot) -> str:
    return f"{format_count(seen.failed, 'cell')} failed" if seen.failed else ""


def _format_time_left(seen: SweepSnapshot) -> str:
    return f"{format_clock(seen.left_s)} left" if seen.left_s is not None else ""


# ---------------------------------------------------------------------------------------------------------- the best


def _plotted_solvers(best: pd.DataFrame) -> pd.DataFrame:
    """The solvers that the picture shows: those of the first problem."""
    return best[best["problem"] == best["problem"].iloc[0]].head(MAX_CURVES) if len(best) else best


def _best_table(best: pd.DataFrame, drawn: pd.DataFrame, width: int) -> FittedTable:
    """The solvers of one problem, or the best of each of several; letters lead to the picture."""
    several = best["problem"].nunique() > 1
    others = best[best["problem"] != drawn["problem"].iloc[0]].drop_duplicates("problem").head(MAX_CURVES)
    rows = pd.concat([drawn, others])
    listed: list[Any] = list(rows.itertuples())
    places = range(len(listed))
    letters = {place: STYLES[place] for place in places if place < len(drawn)}
    columns = [
        Column(
            "", [_curve_letter(place) if place in letters else "" for place in places], is_text=True, styles=letters
        ),
        Column("problem", [row.problem if several else "" for row in listed], is_text=True),
        Column("best so far", [_solver_name(row) for row in listed], is_text=True),
        Column("lr", distinct_texts(rows["lr"]), drop_rank=1),
        Column("to target", [_format_to_target(row) for row in listed]),
        Column("final gap", [_format_final_gap(row) for row in listed], drop_rank=2),
    ]
    return fit_columns(columns, width)


def _solver_name(row: Any) -> str:
    return str(row.optimizer) if row.impl == "manual" else f"{row.optimizer} ({row.impl})"


def _format_to_target(row: Any) -> str:
    if row.outcome not in ("stays", "left"):
        return ""
    return format_result(row.value, row.measure) + (", left again" if row.outcome == "left" else "")


def _format_final_gap(row: Any) -> str:
    return f"f {format_number(row.final_loss)}" if pd.isna(row.final_gap) else f"{row.final_gap:.1e}"


def _curve_letter(place: int) -> str:
    return "abcdef"[place]


# -------------------------------------------------------------------------------------------------------- the picture


def make_curves(drawn: pd.DataFrame, trace: Callable[[str], pd.DataFrame]) -> tuple[list[Curve], bool]:
    """A curve for each run with a trace: log10 of its gaps, or the losses where the minimum is not known."""
    traces = {_curve_letter(place): trace(run) for place, run in enumerate(drawn["run_id"])} if len(drawn) else {}
    gaps = all(each["gap"].notna().any() for each in traces.values() if len(each))
    curves = []
    for letter, each in traces.items():
        y = each["gap" if gaps else "loss"].to_numpy(np.float64)
        fit = np.isfinite(y) & ((y > 0) | (not gaps))
        if fit.sum() > 1:
            curves.append(Curve(letter, each["step"].to_numpy(np.float64)[fit], np.log10(y[fit]) if gaps else y[fit]))
    return curves, gaps


def _plot_lines(curves: list[Curve], gaps: bool, width: int) -> list[Text]:
    low, high = min(curve.y.min() for curve in curves), max(curve.y.max() for curve in curves)
    labels = {
        0: f"{10**high:.0e}" if gaps else format_number(high),
        PLOT_ROWS - 1: f"{10**low:.0e}" if gaps else format_number(low),
    }
    lines = plot_curves(curves, max(10, min(width, 100) - LABEL_WIDTH - 1), PLOT_ROWS)
    shown = [Text(f"{labels.get(row, ''):>{LABEL_WIDTH}} ", style="dim") + text for row, text in enumerate(lines)]
    last = format_count(round(max(curve.x[-1] for curve in curves)), "step")
    return [*shown, Text(f"{'':{LABEL_WIDTH}} 0{last:>{len(lines[0]) - 1}}", style="dim")]


def _closing_lines(seen: SweepSnapshot) -> list[str]:
    if seen.state == "ended":
        return [f"Next: python -m gdbench report {shlex.quote(str(seen.folder))}"]
    if seen.state == "stopped":
        again = shlex.join(["python", "-m", "gdbench", format_override("resume", str(seen.folder))])
        how = "begin it anew" if seen.open_end else f"go on by {again}"
        quiet = f"Nothing writes here any more: killed or interrupted, {format_clock(seen.quiet_s)} ago."
        return [quiet, f"What ended is kept; {how}"]
    return [f"Nothing was written for {format_clock(seen.quiet_s)}."] if seen.quiet_s > QUIET_S else []
