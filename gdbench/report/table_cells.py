"""Cells of the report's tables as texts: units, few digits, words for missing values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from gdbench.report.number_format import NEVER, format_gap, format_interval_parts, format_number, format_seconds

__all__ = [
    *("BoldCells", "column_headers", "column_kind", "format_cells", "format_marked_cells", "is_text_column"),
    "shorten_numbers",
]

BoldCells = Mapping[str, Sequence[bool]]
"""Whether the cell of each row is bold, of the columns that have such cells."""

TIMES = ("step_s", "update_s", "first_step_s", "warmup_s", "compile_s", "time_to_target_s")
LOSSES = ("final_loss", "final_loss_lo", "final_loss_hi", "best_loss")
GAPS = ("final_gap", "best_gap")
NUMBERS = (*LOSSES, "lr")
"""Columns written with four digits."""
SHARES = ("noise", "share", "reached_share")
CONFIGURATIONS = ("configuration", "other settings", "others")
"""Columns of texts that hold numbers."""
HEADERS = {
    "p_holm": "p (Holm)",
    "step_s": "step",
    "update_s": "update",
    "first_step_s": "first step",
    "warmup_s": "warm-up",
    "compile_s": "compilation",
    "step_time_ratio": "vs reference",
    "step_time_ratio_lo": "from",
    "step_time_ratio_hi": "to",
    "vs_manual": "vs manual",
    "final_loss_lo": "from",
    "final_loss_hi": "to",
    "within_2x": "within 2×",
    "steps_to_target": "steps to target",
    "gradient_evals_to_target": "gradients to target",
    "time_to_target_s": "time to target",
    "score_tuned": "score, lr tuned",
    "score_one_lr": "score, one lr",
    "low": "lr from",
    "high": "lr to",
}
INTERVALS = {
    "step_time_ratio": ("step_time_ratio_lo", "step_time_ratio_hi"),
    "final_loss": ("final_loss_lo", "final_loss_hi"),
    "ratio": ("from", "to"),
}
"""Columns with the columns of the ends of their interval: all three get the same digits."""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def shorten_numbers(text: str) -> str:
    """A text with at most four digits per number: lr 0.002154 for lr 0.00215443469003."""
    return NUMBER.sub(lambda match: format_number(float(match[0])) if _count_digits(match[0]) > 4 else match[0], text)


def _count_digits(text: str) -> int:
    """Significant digits of a written number; 0 for a whole number, which is a count and stays as it is."""
    if text.lstrip("-").isdigit():
        return 0
    return len(text.partition("e")[0].replace("-", "").replace(".", "").strip("0"))


def column_headers(table: pd.DataFrame) -> list[str]:
    """The header of each column; what is no name of a column, as a workload and its metric, stays as it is."""
    names = map(str, table)
    return [HEADERS.get(name, name.replace("_", " ") if name.isidentifier() else name) for name in names]


def is_text_column(table: pd.DataFrame, name: str) -> bool:
    """Whether a column is aligned to the left."""
    return not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name])


def column_kind(table: pd.DataFrame, name: str) -> str:
    """How page.js formats a column: text, time, gap, number (four digits) or figure (three)."""
    if is_text_column(table, name):
        return "text"
    return "time" if name in TIMES else "gap" if name in GAPS else "number" if name in NUMBERS else "figure"


def format_cells(table: pd.DataFrame) -> list[list[str]]:
    """The texts of a table, row by row."""
    columns = {str(name): [_format_cell(str(name), value) for value in table[name].tolist()] for name in table}
    for name, ends in INTERVALS.items():
        if {name, *ends} <= set(columns):
            _align_digits(columns, table, (name, *ends))
    return [list(row) for row in zip(*columns.values(), strict=True)]


def format_marked_cells(
    table: pd.DataFrame, bold: BoldCells, escape: Callable[[str], str], mark: Callable[[str], str]
) -> list[list[str]]:
    """The escaped texts of a table, row by row, the bold ones marked."""
    cells = format_cells(table)
    for place, name in enumerate(map(str, table)):
        flags = bold.get(name, [False] * len(table))
        for row, is_bold in zip(cells, flags, strict=False):
            row[place] = mark(escape(row[place])) if is_bold else escape(row[place])
    return cells


def _align_digits(columns: dict[str, list[str]], table: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Rewrite a number and the ends of its interval with equal digits, in rows that have all three.

    Ends equal to the number are left empty; the number then keeps the digits of its column.
    """
    for place, numbers in enumerate(zip(*(table[name].astype(float) for name in names), strict=True)):
        value, low, high = numbers
        if value == low == high:
            for name in names[1:]:
                columns[name][place] = ""
        elif all(map(math.isfinite, numbers)):
            for name, text in zip(names, format_interval_parts(value, low, high), strict=True):
                columns[name][place] = text


def _format_cell(name: str, value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return shorten_numbers(value) if name in CONFIGURATIONS else value
    if isinstance(value, float) and math.isinf(value):
        return "∞" if name in (*GAPS, *LOSSES) else NEVER
    if name in TIMES:
        return format_seconds(value)
    if name in GAPS:
        return format_gap(value)
    if name in NUMBERS:
        return format_number(value)
    if name in SHARES:
        return f"{value:.0%}"
    if isinstance(value, int):
        return f"{value:,}"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    if name.startswith("p"):
        return f"{value:.2g}"
    return format_number(float(f"{value:.3g}")) if isinstance(value, float) else str(value)
