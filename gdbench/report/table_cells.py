"""Tables as people read them: units, few digits, words for what is missing."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from gdbench.report.best import amount
from gdbench.report.number_format import interval_texts, number, seconds

__all__ = ["headers", "is_text", "kind_of", "short", "shown"]

TIMES = ("step_s", "update_s", "first_step_s", "warmup_s", "compile_s", "time_to_target_s")
LOSSES = ("final_loss", "final_loss_lo", "final_loss_hi", "best_loss")
GAPS = ("final_gap", "best_gap")
NUMBERS = (*LOSSES, "lr")
"""Columns written with four digits, as everywhere else."""
SHARES = ("noise", "share", "reached_share")
WORDS = {
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
"""Numbers whose table has the ends of their interval too: all three have the same digits."""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def short(text: str) -> str:
    """A configuration with four digits of each number: lr 0.002154 for lr 0.00215443469003."""
    return NUMBER.sub(lambda found: number(float(found[0])) if _digits(found[0]) > 4 else found[0], text)


def _digits(text: str) -> int:
    """How many significant digits a number was written with; a whole number is a count, and stays as it is."""
    if text.lstrip("-").isdigit():
        return 0
    return len(text.partition("e")[0].replace("-", "").replace(".", "").strip("0"))


def headers(table: pd.DataFrame) -> list[str]:
    """What the columns are called."""
    return [WORDS.get(str(name), str(name).replace("_", " ")) for name in table]


def is_text(table: pd.DataFrame, name: str) -> bool:
    """Whether a column is aligned to the left."""
    return not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name])


def kind_of(table: pd.DataFrame, name: str) -> str:
    """How a column of the page's own table is written: text, time, gap, number (four digits) or figure (three)."""
    if is_text(table, name):
        return "text"
    return "time" if name in TIMES else "gap" if name in GAPS else "number" if name in NUMBERS else "figure"


def shown(table: pd.DataFrame) -> list[list[str]]:
    """The cells of a table, row by row."""
    columns = {str(name): [_cell(str(name), value) for value in table[name].tolist()] for name in table}
    for name, ends in INTERVALS.items():
        if {name, *ends} <= set(columns):
            _write_alike(columns, table, (name, *ends))
    return [list(row) for row in zip(*columns.values(), strict=True)]


def _write_alike(columns: dict[str, list[str]], table: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Give a number and the ends of its interval the same digits, in the rows that have all three.

    Ends that are the number itself say nothing, and are left out: the number has the digits of its column then.
    """
    for place, numbers in enumerate(zip(*(table[name].astype(float) for name in names), strict=True)):
        value, low, high = numbers
        if value == low == high:
            for name in names[1:]:
                columns[name][place] = ""
        elif all(map(math.isfinite, numbers)):
            for name, text in zip(names, interval_texts(value, low, high), strict=True):
                columns[name][place] = text


def _cell(name: str, value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return short(value) if name in ("configuration", "with", "others") else value
    if isinstance(value, float) and math.isinf(value):
        return "∞" if name in (*GAPS, *LOSSES) else "never"
    if name in TIMES:
        return seconds(value)
    if name in GAPS:
        return amount(value, "final gap").removeprefix("final gap ")
    if name in NUMBERS:
        return number(value)
    if name in SHARES:
        return f"{value:.0%}"
    if isinstance(value, int):
        return f"{value:,}"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    if name.startswith("p"):
        return f"{value:.2g}"
    return number(float(f"{value:.3g}")) if isinstance(value, float) else str(value)
