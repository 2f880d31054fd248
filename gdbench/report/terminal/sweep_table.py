"""The columns of a sweep's table in the terminal, as texts: its settings, and what each row reached, in which time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from gdbench.report.number_format import NEVER, between, interval, interval_texts, number, seconds, seconds_between
from gdbench.report.setting_words import setting_header
from gdbench.report.terminal.fitting import Column, FittedTable
from gdbench.results.ranking import OUTCOMES
from gdbench.results.run_outcomes import is_tied_with_previous
from gdbench.results.run_settings import format_distinct
from gdbench.results.statuses import SOUND
from gdbench.results.tuned_choices import PASSED_OVER, SPIKE

__all__ = ["LEFT", "STYLES", "legend", "sweep_columns"]

STYLES = {"target": "green", "diverged": "red", "nonfinite": "red", "failed": "red bold", "unavailable": "yellow"}
LEFT = "†"
"""Behind the steps of a row whose run in the middle reached the target, and left it again."""
MARKS = (
    ("steps", r"\d [gf][,)]", "(n g, m f): gradients and values evaluated up to the target; runs rank by gradients."),
    (
        "steps|final|to ",
        r"\[",
        "a [b, c]: median, lowest and highest over the seeds (never: not reached, or left); --all-runs shows all runs.",
    ),
    ("tune", SPIKE, "spike: better than what tune chose of its method, but its neighbours do not come near it."),
    (
        "tune",
        PASSED_OVER,
        "passed over: fewer gradients than what tune chose of its method, which it chose by its metric.",
    ),
    ("steps", LEFT, f"{LEFT} reached the target and left it again."),
    ("step$", "~", "~ not timed itself: the median of its cell (timing=full times more)."),
    ("to ", "≈", "≈ time difference to the row above is within noise."),
    ("vs ", r"\*", "* limited by computation rather than Python overhead; do not compare with the reference loop."),
)
"""What is meant by a mark, as it is found in the cells of a column."""
KEY = 6
"""Digits of a run's key that are shown at least."""

Cell = Callable[[Any], str]


def sweep_columns(rows: pd.DataFrame, settings: Sequence[str], each: bool, seeds: bool) -> list[Column]:
    """The columns of the rows of one objective: the settings that tell them apart first, then what they reached.

    The most important stay longest where a line is short: settings, status and the steps to the target always, then
    final gap, how many seeds reached the target, the key of a run, which ``show`` takes, the number of seeds, time to
    target, step time, and its ratio to the reference.
    """
    rows = rows.assign(tied=is_tied_with_previous(rows))
    listed = list(rows.itertuples())
    hits = any(map(_steps, listed))
    measured: list[tuple[str, Cell, int | None]] = [
        (_steps_header(rows), _steps, None),
        ("final gap", _final, 1 if hits else None),
        ("reached", _reached if _differ(rows) else _nothing, 2),
        ("seeds", (lambda row: str(row.n)) if seeds else _nothing, 4),
        ("step", _step, 6),
        ("vs reference", _ratio, 7),
        ("to target", _time, 5),
        ("run_id", _key(rows["run_id"]), 0 if each else 3),
    ]
    columns = [_status_column(listed), Column("tune", [_tuned(row) for row in listed], is_text=True)]
    columns += [Column(header, [cell(row) for row in listed], rank=rank) for header, cell, rank in measured]
    return [*_setting_columns(rows, settings), *columns]


def _setting_columns(rows: pd.DataFrame, settings: Sequence[str]) -> list[Column]:
    names = [name for name in settings if name != "objective"] or ["optimizer"]
    return [
        Column(setting_header(name, names), format_distinct(rows[name]), rows[name].dtype.kind not in "if")
        for name in names
    ]


def _status_column(rows: list[Any]) -> Column:
    styles = {place: STYLES[row.status] for place, row in enumerate(rows) if row.status in STYLES}
    return Column("status", [_status(row) for row in rows], is_text=True, styles=styles)


def _tuned(row: Any) -> str:
    """Whether tune chose a configuration, or what it preferred to one that costs less."""
    if pd.notna(row.passed):
        return str(row.passed)
    return "chosen" if pd.notna(row.tuned_for) else ""


def _status(row: Any) -> str:
    return row.status if pd.isna(row.status_step) else f"{row.status} @{row.status_step}"


def _steps_header(rows: pd.DataFrame) -> str:
    targets = rows["target"].dropna().unique()
    absolute = rows["target_loss"].notna().any()
    return "steps to target" if absolute or len(targets) != 1 else f"steps to {number(float(targets[0]))}"


def _steps(row: Any) -> str:
    """33 [31, 40] steps to the target; behind them, in brackets, gradients and values where a step is not a gradient.

    Nothing where no seed got there.
    """
    if not row.reached and (row.n > 1 or pd.isna(row.steps_to_target)):
        return ""
    if row.n == 1:  # also of a run that may not win
        texts = [str(row.steps_to_target)] * 3
    else:
        texts = [_count(value) for value in (row.median_steps, row.median_steps_lo, row.median_steps_hi)]
    work = "" if pd.isna(row.steps_to_target) else _work(row)
    return between(texts[0], *texts[1:]) + work + (f" {LEFT}" if row.outcome == OUTCOMES[1] else "")


def _count(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else NEVER


def _work(row: Any) -> str:
    """Gradients and values of the run in the middle."""
    work = [] if row.gradient_evals_to_target == row.steps_to_target else [f"{row.gradient_evals_to_target} g"]
    work += [f"{row.function_evals_to_target} f"] if row.function_evals_to_target else []
    return f" ({', '.join(work)})" if work else ""


def _final(row: Any) -> str:
    """The gap in the end, or the loss where the minimum is unknown."""
    if row.status in ("diverged", "nonfinite") or pd.isna(row.final_loss):
        return ""
    if pd.isna(row.final_gap):
        if row.n == 1:
            return f"f {number(row.final_loss)}"
        texts = interval_texts(row.median_final_loss, row.median_final_loss_lo, row.median_final_loss_hi)
        return f"f {between(*texts)}"
    if row.n == 1:
        return _gap(row.final_gap, row.gap_floor)
    gaps = (row.median_final_gap, row.median_final_gap_lo, row.median_final_gap_hi)
    return between(*(_gap(gap, row.gap_floor) for gap in gaps))


def _gap(gap: float, floor: float) -> str:
    if math.isinf(gap):
        return "∞"
    return f"< {floor:.1e}" if abs(gap) < floor else f"{gap:.1e}"


def _reached(row: Any) -> str:
    """How many seeds reached the target, and how many of these left it again."""
    left = row.reached - row.stayed
    return f"{row.reached} of {row.n}" + (f", {left} left" if 0 < left < row.reached else "")


def _nothing(row: Any) -> str:
    return ""


def _differ(rows: pd.DataFrame) -> bool:
    """Whether the seeds of any row came to different ends."""
    some_reached = (rows["reached"] > 0) & (rows["reached"] < rows["n"])
    some_stayed = (rows["stayed"] > 0) & (rows["stayed"] < rows["reached"])
    return bool((some_reached | some_stayed).any())


def _step(row: Any) -> str:
    """The step time; a run that cannot win is not given that of others."""
    timed = bool(row.timed) and not pd.isna(row.timed)
    if (row.status not in SOUND and not timed) or not seconds(row.step_s):
        return ""
    return ("" if timed else "~ ") + seconds(row.step_s)


def _ratio(row: Any) -> str:
    mark = "" if pd.isna(row.overhead_bound) or row.overhead_bound else " *"
    text = interval(row.step_time_ratio, row.step_time_ratio_lo, row.step_time_ratio_hi)
    return text and text + mark


def _time(row: Any) -> str:
    """The time to the target, of a row in which the middle seed got there."""
    if not math.isfinite(row.seconds):
        return ""
    time = seconds_between(row.seconds, row.seconds_lo, row.seconds_hi)
    return f"≈ {time}" if row.tied else time


def _key(keys: pd.Series) -> Cell:
    """The first digits of a run's key, as many as tell the rows apart."""
    texts = keys.astype(str)
    most = max(texts.str.len())
    count = next((n for n in range(KEY, most) if texts.str[:n].nunique() == texts.nunique()), most)
    return lambda row: str(row.run_id)[:count]


def legend(tables: Sequence[FittedTable]) -> list[str]:
    """What the marks in these tables mean, of those that they show."""
    columns = [column for table in tables for column in table.columns]
    return [line for header, mark, line in MARKS if any(_has_mark(column, header, mark) for column in columns)]


def _has_mark(column: Column, header: str, mark: str) -> bool:
    return re.match(header, column.header) is not None and any(re.search(mark, cell) for cell in column.cells)
