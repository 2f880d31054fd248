"""What a configuration attained, and the best of each problem, in words: the same ones wherever it is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.step_times import count_processes
from gdbench.analysis.winner_notes import describe_impls, describe_winner
from gdbench.report.number_format import number, seconds
from gdbench.report.setting_words import METRICS, WORDED, setting_header
from gdbench.results.ranking import OUTCOMES, rank_configurations, select_best
from gdbench.results.run_settings import find_differing_settings, format_among
from gdbench.results.tuned_choices import SPIKE

__all__ = [
    *("amount", "best_lines", "describe_choice", "describe_edge", "describe_equals", "describe_range"),
    *("describe_result", "list_some"),
]

LISTED = 4
"""Configurations that a sentence names; of more it says how many there are."""
NAMED_APART = ("objective", "optimizer", "impl", "lr", "seed")
"""Settings that the line of the best names in a place of their own, or that it takes the median over."""


def amount(value: float, measure: str) -> str:
    """A number with what it measures: 31 gradients, 1.18 ms, final gap 1.3e-03, final loss 0.4132."""
    if not np.isfinite(value):
        return "never"
    if measure == "seconds":
        return seconds(value)
    if measure == "final gap":
        return f"final gap {value:.1e}"
    if measure == "final loss":
        return f"final loss {number(value)}"
    count = f"{value:,.0f}" if float(value).is_integer() else number(round(value, 2))
    return f"{count} {measure if value != 1 else measure.removesuffix('s')}"


def describe_result(row: Mapping[Any, Any]) -> str:
    """What a row of the standings, or a verdict, attained: 31 gradients (median of 3 seeds, 30 to 33)."""
    text = amount(row["value"], row["measure"])
    if row["n"] > 1:
        ends = describe_range(row)
        text += f" (median of {row['n']} seeds, {ends if ' to ' in ends else f'all {ends}'})"
    if row["outcome"] == "left":
        return f"{text}, and left it again, {_end(row)}"
    return f"{text}, best loss {number(row['best_loss'])}" if row["outcome"] == "missed" else text


def describe_range(row: Mapping[Any, Any]) -> str:
    """The lowest and the highest of the seeds, without the word that stands beside the median: 30 to 33.

    One number where both read the same.
    """
    return " to ".join(dict.fromkeys(_bare(row[name], row["measure"]) for name in ("value_lo", "value_hi")))


def describe_choice(row: Mapping[Any, Any]) -> str:
    """By what tune chose the first of a verdict, and what costs less and was not chosen; nothing where it did not."""
    if pd.isna(row["tuned_for"]):
        return ""
    text = f" tune chose it by its {METRICS.get(row['tuned_for'], row['tuned_for'])}"
    if pd.isna(row["passed"]):
        return f"{text}."
    why = "is a spike: its neighbours do not come near it" if row["passed"] == SPIKE else "was passed over"
    return f"{text}; {row['passed_configuration']}, with {amount(row['passed_value'], row['measure'])}, {why}."


def describe_equals(row: Mapping[Any, Any]) -> str:
    """Which configurations of the first method of a verdict are equal; nothing where one is first alone."""
    if not row["equals"]:
        return ""
    names = [row["configuration"], *row["equals"]]
    return f" {len(names)} of its configurations tie: {list_some(names)}."


def _describe_impls(row: Mapping[str, Any]) -> str:
    """Which other impls did the same as the one that is named, and whether that was the faster by noise alone."""
    if not row["impls"]:
        return ""
    names, verb = " and ".join(row["impls"]), "does" if len(row["impls"]) == 1 else "do"
    return f" {names} {verb} the same{', and cannot be told apart in time' if row['timed'] else ''}."


def describe_edge(row: Mapping[Any, Any]) -> str:
    """Advice to sweep on, where the first of a verdict has the last of the learning rates, or of their scales."""
    if pd.isna(row["edge"]):
        return ""
    swept = "lr_scale" if " lr_scale " in row["configuration"] else "lr"
    return f" Its {swept} is the edge of the grid: try {row['edge']} ones."


def list_some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - LISTED
    return "; ".join([*names[:LISTED], *([f"and {more} more"] if more > 0 else [])])


def _bare(value: float, measure: str) -> str:
    """The number without the word: it stands behind one that has it."""
    text = amount(value, measure)
    return text if measure == "seconds" else text.removeprefix(f"{measure} ").partition(" ")[0]


def _end(row: Mapping[Any, Any]) -> str:
    gap = pd.notna(row["final_gap"])
    end = amount(row["final_gap"], "final gap") if gap else amount(row["final_loss"], "final loss")
    return f"to end at {end}"


def best_lines(told: pd.DataFrame) -> list[str]:
    """One line a problem: its best configuration, by every setting that tells it from the others, and what it took.

    Of compared runs.
    """
    if told.empty:
        return []
    table = rank_configurations(told)
    several = told["problem"].nunique() > 1
    return [_best_line(told, table, row, several) for _, row in select_best(table, ["problem"]).iterrows()]


def _best_line(told: pd.DataFrame, table: pd.DataFrame, best: pd.Series, several: bool) -> str:
    alike = told[told["problem"] == best["problem"]]
    rows = table[(table["problem"] == best["problem"]) & (table["outcome"] != OUTCOMES[-1])]
    where = f" on {best['problem']}" if several else ""
    standing = table[table["problem"] == best["problem"]]
    first = {str(name): value for name, value in best.items()} | describe_winner(standing, best)
    equals = rows.loc[rows["place"] == best["place"], "optimizer"].drop_duplicates()
    equals = equals[equals != best["optimizer"]]
    tied = f", tied with {', '.join(equals)}" if len(equals) else ""
    who = f"{best['optimizer']} ({best['impl']}) at {_settings(alike, best)}"
    impls = describe_impls(standing, best, count_processes(alike))
    said = f"{_describe_impls(impls)}{describe_equals(first)}{describe_choice(first)}{describe_edge(first)}"
    return f"Best{where}: {who}: {describe_result(first)}{tied}.{said}"


def _settings(alike: pd.DataFrame, best: pd.Series) -> str:
    """The values of the best by which it differs from the other configurations of its problem."""
    run = alike[alike["run_id"] == best["run_id"]].iloc[0]
    differing = [name for name in find_differing_settings(alike) if name not in NAMED_APART]
    words = [
        WORDED.get(name, f"{setting_header(name, differing)} {{}}").format(text)
        for name in differing
        if (text := format_among(run[name], alike[name]))
    ]
    return ", ".join([f"lr {format_among(run['lr'], alike['lr'])}", *words])
