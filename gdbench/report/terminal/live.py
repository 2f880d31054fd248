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
from gdbench.report.best import amount
from gdbench.report.number_format import number
from gdbench.report.terminal.fitting import Column, FittedTable, fit_columns
from gdbench.report.terminal.progress import clock
from gdbench.report.terminal.text_plot import STYLES, Curve, picture
from gdbench.results.live_status import SweepSnapshot
from gdbench.results.run_settings import format_distinct
from gdbench.results.statuses import STATUSES

__all__ = ["SHOWN", "curves_of", "frame", "line"]


SHOWN = len(STYLES)
"""Solvers, or objectives, that a frame has room for."""
ROWS = 10
"""Lines of the picture."""
QUIET_S = 60.0
"""From when on it is said that nothing is written."""
MARGIN = 8
"""Columns of its labels."""


def frame(seen: SweepSnapshot, trace: Callable[[str], pd.DataFrame], width: int, colour: bool) -> RenderableType:
    """All that there is to see, at most ``width`` columns wide; ``trace`` gives the steps of a run by its key."""
    parts: list[RenderableType] = [Text(f"{seen.folder} · {seen.state}", style="bold"), *_far(seen, width, colour)]
    drawn = _drawn(seen.best)
    if len(seen.best):
        parts += [Text(), _table(seen.best, drawn, width)]
    curves, gaps = curves_of(drawn, trace)
    if curves:
        what = f"{'gap' if gaps else 'loss'} of the best on {drawn['problem'].iloc[0]}, step by step"
        parts += [Text(), Text(what, style="dim"), *_picture(curves, gaps, width)]
    closing = [Text(each, no_wrap=True, overflow="ignore") for each in _closing(seen)]  # a path stays whole
    return Group(*parts, Text(), *closing)


def line(seen: SweepSnapshot) -> str:
    """How far it is, in one line."""
    return "  ".join(filter(None, (_count(seen), _statuses(seen), _failed(seen), _left(seen))))


def _count(seen: SweepSnapshot) -> str:
    return f"{format_count(seen.ended, 'cell')}" if seen.open_end else f"cell {seen.ended}/{seen.planned}"


def _far(seen: SweepSnapshot, width: int, colour: bool) -> list[RenderableType]:
    words = Text(f"{_count(seen)}  {clock(seen.elapsed_s)}  {_left(seen)}".rstrip())
    runs = seen.statuses.total()
    counted = [Text(f"{format_count(runs, 'run')}: {_statuses(seen)}")] if runs else []
    broken = [Text(_failed(seen), style="red bold")] if seen.failed else []
    if not colour or seen.open_end or not seen.planned:
        return [words, *counted, *broken]
    bar = Table.grid(padding=(0, 2, 0, 0))
    bar.add_row(ProgressBar(seen.planned, seen.ended, width=max(10, min(width - words.cell_len - 4, 40))), words)
    return [bar, *counted, *broken]


def _statuses(seen: SweepSnapshot) -> str:
    return ", ".join(f"{seen.statuses[name]:,} {name}" for name in STATUSES if seen.statuses[name])


def _failed(seen: SweepSnapshot) -> str:
    return f"{format_count(seen.failed, 'cell')} failed" if seen.failed else ""


def _left(seen: SweepSnapshot) -> str:
    return f"{clock(seen.left_s)} left" if seen.left_s is not None else ""


# ---------------------------------------------------------------------------------------------------------- the best


def _drawn(best: pd.DataFrame) -> pd.DataFrame:
    """The solvers that the picture shows: those of the first problem."""
    return best[best["problem"] == best["problem"].iloc[0]].head(SHOWN) if len(best) else best


def _table(best: pd.DataFrame, drawn: pd.DataFrame, width: int) -> FittedTable:
    """The solvers of one problem, or the best of each of several; letters lead to the picture."""
    several = best["problem"].nunique() > 1
    others = best[best["problem"] != drawn["problem"].iloc[0]].drop_duplicates("problem").head(SHOWN)
    rows = pd.concat([drawn, others])
    listed: list[Any] = list(rows.itertuples())
    places = range(len(listed))
    letters = {place: STYLES[place] for place in places if place < len(drawn)}
    columns = [
        Column("", [_letter(place) if place in letters else "" for place in places], is_text=True, styles=letters),
        Column("problem", [row.problem if several else "" for row in listed], is_text=True),
        Column("best so far", [_solver(row) for row in listed], is_text=True),
        Column("lr", format_distinct(rows["lr"]), rank=1),
        Column("to target", [_reached(row) for row in listed]),
        Column("final gap", [_end(row) for row in listed], rank=2),
    ]
    return fit_columns(columns, width)


def _solver(row: Any) -> str:
    return str(row.optimizer) if row.impl == "manual" else f"{row.optimizer} ({row.impl})"


def _reached(row: Any) -> str:
    if row.outcome not in ("stays", "left"):
        return ""
    return amount(row.value, row.measure) + (", left again" if row.outcome == "left" else "")


def _end(row: Any) -> str:
    return f"f {number(row.final_loss)}" if pd.isna(row.final_gap) else f"{row.final_gap:.1e}"


def _letter(place: int) -> str:
    return "abcdef"[place]


# -------------------------------------------------------------------------------------------------------- the picture


def curves_of(drawn: pd.DataFrame, trace: Callable[[str], pd.DataFrame]) -> tuple[list[Curve], bool]:
    """A curve for each run with a trace: log10 of its gaps, or the losses where the minimum is not known."""
    traces = {_letter(place): trace(run) for place, run in enumerate(drawn["run_id"])} if len(drawn) else {}
    gaps = all(each["gap"].notna().any() for each in traces.values() if len(each))
    curves = []
    for letter, each in traces.items():
        y = each["gap" if gaps else "loss"].to_numpy(np.float64)
        fit = np.isfinite(y) & ((y > 0) | (not gaps))
        if fit.sum() > 1:
            curves.append(Curve(letter, each["step"].to_numpy(np.float64)[fit], np.log10(y[fit]) if gaps else y[fit]))
    return curves, gaps


def _picture(curves: list[Curve], gaps: bool, width: int) -> list[Text]:
    low, high = min(curve.y.min() for curve in curves), max(curve.y.max() for curve in curves)
    labels = {0: f"{10**high:.0e}" if gaps else number(high), ROWS - 1: f"{10**low:.0e}" if gaps else number(low)}
    lines = picture(curves, max(10, min(width, 100) - MARGIN - 1), ROWS)
    shown = [Text(f"{labels.get(row, ''):>{MARGIN}} ", style="dim") + text for row, text in enumerate(lines)]
    last = format_count(round(max(curve.x[-1] for curve in curves)), "step")
    return [*shown, Text(f"{'':{MARGIN}} 0{last:>{len(lines[0]) - 1}}", style="dim")]


def _closing(seen: SweepSnapshot) -> list[str]:
    if seen.state == "ended":
        return [f"Next: python -m gdbench report {shlex.quote(str(seen.folder))}"]
    if seen.state == "stopped":
        again = shlex.join(["python", "-m", "gdbench", format_override("resume", str(seen.folder))])
        how = "begin it anew" if seen.open_end else f"go on by {again}"
        quiet = f"Nothing writes here any more: killed or interrupted, {clock(seen.quiet_s)} ago."
        return [quiet, f"What ended is kept; {how}"]
    return [f"Nothing was written for {clock(seen.quiet_s)}."] if seen.quiet_s > QUIET_S else []
