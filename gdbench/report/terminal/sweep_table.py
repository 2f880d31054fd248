"""Columns of a sweep's table in the terminal: the settings of each row, its results and its times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from gdbench.analysis.training_results import select_training_runs
from gdbench.report.number_format import (
    NEVER,
    format_gap,
    format_interval,
    format_interval_parts,
    format_number,
    format_range_text,
    format_seconds,
    format_seconds_range,
)
from gdbench.report.setting_labels import is_ranked_by_loss, metric_headers, setting_header
from gdbench.report.terminal.column_fitting import Column, FittedTable
from gdbench.results.ranking import OUTCOMES
from gdbench.results.run_outcomes import is_tied_with_previous
from gdbench.results.run_settings import format_distinct
from gdbench.results.statuses import SOUND
from gdbench.results.tuned_choices import PASSED_OVER, SPIKE
from gdbench.results.values import to_floats

__all__ = ["STYLES", "explain_marks", "metric_columns", "sweep_columns"]

STYLES = {"target": "green", "diverged": "red", "nonfinite": "red", "failed": "red bold"}
STYLES |= {"timeout": "yellow", "unavailable": "yellow"}
LEFT_MARK = "†"
"""Marks the steps of a row whose median run reached the target and left it again."""
MARKS = (
    (
        "steps",
        r"\d [gf][,)]",
        "(n g, m f): gradient and function evaluations up to the target; runs are ranked by gradients.",
    ),
    (
        "steps|final|to |held-out|test|train",
        r"\[",
        "a [b, c]: median, lowest and highest over the seeds (never: not reached, or left); --all-runs shows all runs.",
    ),
    ("held-out", "", "held-out: the best value at a judged step."),
    ("test", "", "test: the value at the step that held-out data select."),
    ("tune", SPIKE, "spike: better than the configuration that tune chose, but its neighbours are much worse."),
    (
        "tune",
        PASSED_OVER,
        "passed over: fewer gradients than the configuration that tune chose, which is better by tune's metric.",
    ),
    ("steps", LEFT_MARK, f"{LEFT_MARK} reached the target and left it again."),
    ("step$", "~", "~ not timed itself: median of its cell (timing=full times more runs)."),
    ("to ", "≈", "≈ time difference to the row above is within noise."),
    ("vs ", r"\*", "* limited by computation rather than Python overhead; do not compare with the reference loop."),
)
"""Explanations of marks, with regular expressions for the header and the cells of the column that has them."""
MIN_ID_DIGITS = 6

Formatter = Callable[[Any], str]


def sweep_columns(rows: pd.DataFrame, settings: Sequence[str], per_run: bool, seeds: bool) -> list[Column]:
    """The columns of the rows of one objective: settings that distinguish them, then results.

    In a narrow terminal settings, status and steps to the target are always shown; the others are dropped in the order
    vs reference, step time, time to target, number of seeds, run_id, seeds that reached the target, final gap.
    """
    rows = rows.assign(tied=is_tied_with_previous(rows))
    listed: list[Any] = list(rows.itertuples())
    is_training = not select_training_runs(rows).empty
    any_reached = any(map(_format_steps, listed))
    measured: list[tuple[str, Formatter, int | None]] = [
        (_steps_header(rows), _format_steps, None),
        (
            "final train loss" if is_training else "final gap",
            lambda row: _format_final(row, is_training),
            4 if is_training else 1 if any_reached else None,
        ),
        ("reached", _format_reached if _has_mixed_seeds(rows) else _no_text, 2),
        ("seeds", (lambda row: str(row.n)) if seeds else _no_text, 4),
        ("step", _format_step_time, 6),
        ("vs reference", _format_ratio, 7),
        ("to target", _format_time_to_target, 5),
        ("run_id", _run_id_formatter(rows["run_id"]), 0 if per_run else 3),
    ]
    names = [name for name in settings if name != "objective"] or ["optimizer"]
    styles = {place: STYLES[row.status] for place, row in enumerate(listed) if row.status in STYLES}
    return [
        *(
            Column(setting_header(name, names), format_distinct(rows[name]), rows[name].dtype.kind not in "if")
            for name in names
        ),
        Column("status", [_format_status(row) for row in listed], is_text=True, styles=styles),
        Column("tune", [_format_tuning(row) for row in listed], is_text=True),
        *(Column(header, [cell(row) for row in listed], drop_rank=rank) for header, cell, rank in measured[:2]),
        *metric_columns(rows),
        *(Column(header, [cell(row) for row in listed], drop_rank=rank) for header, cell, rank in measured[2:]),
    ]


def metric_columns(rows: pd.DataFrame) -> list[Column]:
    """A column for each metric of a training workload; in a narrow terminal the first ones remain, as medians.

    The last to leave are the held-out metric that ranks, then a test metric, then another held-out metric.
    """
    headers = metric_headers(rows)
    ranks: dict[str, int | None] = dict.fromkeys(headers, 2)
    first = {name.rpartition(".")[0]: name for name in reversed(headers)}
    ranks |= {name: int(prefix == "best.held_out") for prefix, name in first.items()}
    losses = [name for name in headers if name.startswith("best.held_out.") and name.endswith(".loss")]
    ranks |= dict.fromkeys([*(losses if is_ranked_by_loss(rows) else []), *headers][:1])  # stays
    return [
        Column(
            header,
            _format_metric(rows, name, with_range=True),
            drop_rank=ranks[name],
            narrow_cells=_format_metric(rows, name, with_range=False),
        )
        for name, header in headers.items()
    ]


def _format_metric(rows: pd.DataFrame, name: str, with_range: bool) -> list[str]:
    """0.963 [0.957, 0.970] of each row, over its seeds; without its range 0.963; the value itself of a single run."""
    middle = f"median_{name}"
    names = (middle, f"{middle}_lo", f"{middle}_hi") if middle in rows else (name,) * 3
    texts = [format_interval_parts(*ends) for ends in zip(*(to_floats(rows, column) for column in names), strict=True)]
    return [format_range_text(*parts) if with_range else parts[0] for parts in texts]


def _no_text(row: Any) -> str:
    return ""


def _format_tuning(row: Any) -> str:
    """``chosen`` by tune, or why a cheaper configuration was not chosen."""
    if pd.notna(row.passed):
        return str(row.passed)
    return "chosen" if pd.notna(row.tuned_for) else ""


def _format_status(row: Any) -> str:
    return row.status if pd.isna(row.status_step) else f"{row.status} @{row.status_step}"


def _steps_header(rows: pd.DataFrame) -> str:
    targets = rows["target"].dropna().unique()
    if rows["target_metric"].notna().any() or rows["target_loss"].notna().any() or len(targets) != 1:
        return "steps to target"
    return f"steps to {format_number(float(targets[0]))}"


def _format_steps(row: Any) -> str:
    """33 [31, 40] steps to the target, with evaluations in brackets if a step is not one gradient.

    Empty if no seed reached it.
    """
    if not row.reached and (row.n > 1 or pd.isna(row.steps_to_target)):
        return ""
    if row.n == 1:  # also of a run that may not win
        texts = [str(row.steps_to_target)] * 3
    else:
        texts = [_format_count(value) for value in (row.median_steps, row.median_steps_lo, row.median_steps_hi)]
    work = "" if pd.isna(row.steps_to_target) else _format_work(row)
    return format_range_text(*texts) + work + (f" {LEFT_MARK}" if row.outcome == OUTCOMES[1] else "")


def _format_count(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else NEVER


def _format_work(row: Any) -> str:
    """Gradient and function evaluations of the median run."""
    work = [] if row.gradient_evals_to_target == row.steps_to_target else [f"{row.gradient_evals_to_target} g"]
    work += [f"{row.function_evals_to_target} f"] if row.function_evals_to_target else []
    return f" ({', '.join(work)})" if work else ""


def _format_final(row: Any, has_metrics: bool) -> str:
    """The final gap, or the final loss if the minimum is unknown, marked by an f where no header says so."""
    if row.status in ("diverged", "nonfinite") or pd.isna(row.final_loss):
        return ""
    if pd.notna(row.final_gap):
        gaps = (
            [row.median_final_gap, row.median_final_gap_lo, row.median_final_gap_hi]
            if row.n > 1
            else [row.final_gap] * 3
        )
        return format_range_text(*(format_gap(gap, row.gap_floor) for gap in gaps))
    mark = "" if has_metrics else "f "
    if row.n == 1:
        return f"{mark}{format_number(row.final_loss)}"
    texts = format_interval_parts(row.median_final_loss, row.median_final_loss_lo, row.median_final_loss_hi)
    return f"{mark}{format_range_text(*texts)}"


def _format_reached(row: Any) -> str:
    """The number of seeds that reached the target, and of those that left it again."""
    left = row.reached - row.stayed
    return f"{row.reached} of {row.n}" + (f", {left} left" if 0 < left < row.reached else "")


def _has_mixed_seeds(rows: pd.DataFrame) -> bool:
    """Whether in any row some seeds reached the target, or stayed there, and others did not."""
    some_reached = (rows["reached"] > 0) & (rows["reached"] < rows["n"])
    some_stayed = (rows["stayed"] > 0) & (rows["stayed"] < rows["reached"])
    return bool((some_reached | some_stayed).any())


def _format_step_time(row: Any) -> str:
    """The step time; that of the cell only for runs that did not diverge."""
    is_timed = bool(row.timed) and not pd.isna(row.timed)
    text = format_seconds(row.step_s)
    if not text or (row.status not in SOUND and not is_timed):
        return ""
    return text if is_timed else f"~ {text}"


def _format_ratio(row: Any) -> str:
    mark = "" if pd.isna(row.overhead_bound) or row.overhead_bound else " *"
    text = format_interval(row.step_time_ratio, row.step_time_ratio_lo, row.step_time_ratio_hi)
    return text and text + mark


def _format_time_to_target(row: Any) -> str:
    """The time to the target if the median seed reached it."""
    if not math.isfinite(row.seconds):
        return ""
    return ("≈ " if row.tied else "") + format_seconds_range(row.seconds, row.seconds_lo, row.seconds_hi)


def _run_id_formatter(run_ids: pd.Series) -> Formatter:
    """A formatter to the first digits of a run_id, as many as distinguish the rows."""
    texts = run_ids.astype(str)
    length = max(texts.str.len())
    count = next((n for n in range(MIN_ID_DIGITS, length) if texts.str[:n].nunique() == texts.nunique()), length)
    return lambda row: str(row.run_id)[:count]


def explain_marks(tables: Sequence[FittedTable]) -> list[str]:
    """The meaning of each mark that these tables show."""
    columns = [column for table in tables for column in table.columns]
    return [line for header, mark, line in MARKS if any(_has_mark(column, header, mark) for column in columns)]


def _has_mark(column: Column, header: str, mark: str) -> bool:
    return re.match(header, column.header) is not None and any(re.search(mark, cell) for cell in column.cells)
