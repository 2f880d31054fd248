"""Sentences on results: what a configuration attained, and the best configuration of each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.step_times import count_processes
from gdbench.analysis.training_results import MEASURES, compute_metric_medians
from gdbench.analysis.winner_notes import describe_impls, describe_winner
from gdbench.report.number_format import NEVER, format_gap, format_number, format_seconds
from gdbench.report.setting_labels import SETTING_PHRASES, metric_words, setting_header
from gdbench.results.ranking import renumber_places, select_best
from gdbench.results.run_outcomes import FINAL_GAP, FINAL_LOSS, TARGET_SHORTFALL
from gdbench.results.run_settings import find_differing_settings, format_among
from gdbench.results.statuses import STATUSES
from gdbench.results.tuned_choices import SPIKE

__all__ = [
    *(
        "count_statuses",
        "describe_best",
        "describe_choice",
        "describe_edge",
        "describe_equals",
        "describe_range",
        "describe_result",
        "describe_tests",
    ),
    *("format_result", "join_some"),
]

MAX_NAMES = 4
"""Configurations named in a sentence; of more the rest are counted."""
TESTED = MEASURES["test"]
NAMED_FIRST = ("objective", "optimizer", "impl", "lr", "seed")
"""Settings with a fixed place in the sentence on the best configuration."""


def count_statuses(statuses: pd.Series) -> str:
    """The number of runs of each status: 3 target, 1 diverged."""
    counts = statuses.value_counts()
    return ", ".join(f"{counts[name]:,} {name}" for name in STATUSES if name in counts)


def format_result(value: float, measure: str) -> str:
    """A number with its measure: 31 gradients, 1.18 ms, final loss 0.4132, held-out accuracy 0.95."""
    if not np.isfinite(value):
        return NEVER
    if measure == TARGET_SHORTFALL:
        return f"{format_number(float(f'{100 * value:.2g}'))}% short of the target"
    if "." in measure:
        return f"{metric_words(measure)} {format_number(value)}"
    if measure == "seconds":
        return format_seconds(value)
    if measure == FINAL_GAP:
        return f"final gap {format_gap(value)}"
    if measure == FINAL_LOSS:
        return f"final loss {format_number(value)}"
    count = f"{value:,.0f}" if float(value).is_integer() else format_number(round(value, 2))
    return f"{count} {measure if value != 1 else measure.removesuffix('s')}"


def describe_result(row: Mapping[Any, Any]) -> str:
    """The result of a row of the standings or the verdict: 31 gradients (median of 3 seeds, 30 to 33)."""
    text = format_result(row["value"], row["measure"])
    if row["n"] > 1:
        ends = describe_range(row)
        text += f" (median of {row['n']} seeds, {ends if ' to ' in ends else f'all {ends}'})"
    if row["outcome"] == "left":
        name = FINAL_LOSS if pd.isna(row["final_gap"]) else FINAL_GAP
        return f"{text}, but left it again and ended at {format_result(row[name.replace(' ', '_')], name)}"
    is_loss = row["outcome"] == "missed" and row["measure"] in (FINAL_GAP, FINAL_LOSS)
    return f"{text}, best loss {format_number(row['best_loss'])}" if is_loss else text


def describe_range(row: Mapping[Any, Any]) -> str:
    """The lowest and highest result of the seeds without their measure: 30 to 33; one number if they read the same."""
    texts = (_format_bare_number(row[name], row["measure"]) for name in ("value_lo", "value_hi"))
    return " to ".join(dict.fromkeys(texts))


def _format_bare_number(value: float, measure: str) -> str:
    text = format_result(value, measure)
    return text if measure == "seconds" else text.removeprefix(f"{metric_words(measure)} ").partition(" ")[0]


def describe_choice(row: Mapping[Any, Any]) -> str:
    """The metric by which ``tune`` chose the winner, and a cheaper configuration that it passed over; empty if none."""
    if pd.isna(row["tuned_for"]):
        return ""
    text = f" tune chose it by its {metric_words(row['tuned_for'])}"
    if pd.isna(row["passed"]):
        return f"{text}."
    why = "is a spike: its neighbours perform much worse" if row["passed"] == SPIKE else "was passed over"
    return f"{text}; {row['passed_configuration']}, with {format_result(row['passed_value'], row['measure'])}, {why}."


def describe_equals(row: Mapping[Any, Any]) -> str:
    """The configurations of the winner that attain the same result; empty if there are none."""
    if not row["equals"]:
        return ""
    names = [row["configuration"], *row["equals"]]
    return f" {len(names)} of its configurations tie: {join_some(names)}."


def _describe_impls(row: Mapping[str, Any]) -> str:
    """The other impls with the same result, and whether their times differ by more than noise."""
    if not row["impls"]:
        return ""
    names, verb = " and ".join(row["impls"]), "gives" if len(row["impls"]) == 1 else "give"
    return f" {names} {verb} the same result{', in the same time within noise' if row['timed'] else ''}."


def describe_edge(row: Mapping[Any, Any]) -> str:
    """Advice to extend the sweep if the winner's lr (or lr_scale) is the last on its grid; else empty."""
    if pd.isna(row["edge"]):
        return ""
    swept = "lr_scale" if " lr_scale " in row["configuration"] else "lr"
    return f" Its {swept} is at the edge of the grid: try {row['edge']} values."


def join_some(names: Sequence[str]) -> str:
    """The first names, separated by semicolons, and the number of the others."""
    more = len(names) - MAX_NAMES
    return "; ".join([*names[:MAX_NAMES], *([f"and {more} more"] if more > 0 else [])])


def describe_best(compared: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """A sentence per problem on its best configuration: settings that distinguish it, result, ties, advice.

    Input: comparable runs and their ranking.
    """
    several = compared["problem"].nunique() > 1
    best = select_best(table, ["problem"])
    return [_describe_best_on(compared, table, row, several) for _, row in best.iterrows()]


def _describe_best_on(compared: pd.DataFrame, table: pd.DataFrame, best: pd.Series, name_problem: bool) -> str:
    runs = compared[compared["problem"] == best["problem"]]
    table = table[table["problem"] == best["problem"]]
    row = {str(name): value for name, value in best.items()} | describe_winner(table, best)
    others = _list_tied_optimizers(table, best)
    tied = f", tied with {', '.join(others)}" if others else ""
    where = f" on {best['problem']}" if name_problem else ""
    who = f"{best['optimizer']} ({best['impl']}) at {_describe_settings(runs, best)}"
    medians = compute_metric_medians(runs[runs["solver"].eq(best["solver"])], ["configuration"])
    tests = describe_tests(_name_medians(medians.loc[best["configuration"]])) if len(medians) else ""
    notes = _describe_impls(describe_impls(table, best, count_processes(runs)))
    notes += describe_equals(row) + describe_choice(row) + describe_edge(row)
    return f"Best{where}: {who}: {describe_result(row)}{tests}{tied}.{notes}"


def describe_tests(row: Mapping[Any, Any] | pd.Series) -> str:
    """The metrics on test data at the step that held-out data select, as an insertion; empty where there are none."""
    names = [str(name) for name in row.keys() if str(name).startswith(TESTED) and np.isfinite(row[name])]  # noqa: SIM118
    shown = [name for name in names if not name.endswith(".loss")] or names
    texts = [f"{metric_words(name.removeprefix('selected.'))} {format_number(float(row[name]))}" for name in shown]
    return f"; {', '.join(texts)}" if texts else ""


def _name_medians(medians: pd.Series) -> dict[str, float]:
    """The medians of ``compute_metric_medians`` by the columns of the metrics."""
    names = [str(name).removeprefix("median_") for name in medians.index]
    return {name: value for name, value in zip(names, medians, strict=True) if not name.endswith(("_lo", "_hi"))}


def _list_tied_optimizers(table: pd.DataFrame, best: pd.Series) -> list[str]:
    """Optimizers whose best row shares the first place of one problem with the best row of all."""
    firsts = renumber_places(select_best(table, ["optimizer"]))
    return [name for name in firsts.loc[firsts["place"] == 1, "optimizer"] if name != best["optimizer"]]


def _describe_settings(runs: pd.DataFrame, best: pd.Series) -> str:
    """The settings by which the best configuration differs from the others of its problem."""
    run = runs[runs["run_id"] == best["run_id"]].iloc[0]
    differing = [name for name in find_differing_settings(runs) if name not in NAMED_FIRST]
    texts = {name: format_among(run[name], runs[name]) for name in differing}
    phrases = [
        SETTING_PHRASES.get(name, f"{setting_header(name, differing)} {{}}").format(text)
        for name, text in texts.items()
        if text
    ]
    return ", ".join([f"lr {format_among(run['lr'], runs['lr'])}", *phrases])
