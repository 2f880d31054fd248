"""Metrics of training workloads in a comparison of two sweeps: a table, and sentences of the verdict."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gdbench.analysis.optimizer_comparison import TOO_FEW, VERDICTS
from gdbench.errors import format_count, format_range
from gdbench.report.number_format import format_interval_parts
from gdbench.report.report_data import ReportTable
from gdbench.report.table_cells import shorten_numbers
from gdbench.report.training_tables import MEASURE_WORDS, format_intervals

__all__ = ["describe_metric_changes", "make_metric_change_tables"]


def make_metric_change_tables(table: pd.DataFrame) -> list[ReportTable]:
    """The metrics of both sides, a row per problem, metric and optimizer, differences first."""
    if table.empty:
        return []
    places = table["outcome"].map({name: place for place, name in enumerate(VERDICTS)})
    table = table.loc[places.sort_values(kind="stable").index]
    measures = list(dict.fromkeys(table["measure"]))
    columns: dict[str, Any] = {
        "b is": table["outcome"],
        **{side: format_intervals(table, side) for side in "ab"},
        **{f"{side} at": table[f"configuration_{side}"].map(shorten_numbers) for side in "ab"},
    }
    shown = table[["problem", "metric", "optimizer"]].assign(**columns)
    where = "; ".join(MEASURE_WORDS[name] for name in measures)
    rule = (
        f"Metrics {where}, each optimizer at its best configuration on each side: median [lowest, highest] over"
        f" {format_range(table['seeds'], 'common seed')}. At least six common seeds are needed to tell two sides apart"
        " (Wilcoxon's signed-rank test, 5%)."
    )
    return [ReportTable("metric-changes", "Metrics of a and b", rule, shown, numbers=table)]


def describe_metric_changes(table: pd.DataFrame) -> list[str]:
    """A sentence on all metrics, and one on each problem of which a metric became better or worse."""
    if table.empty:
        return []
    counts = table["outcome"].value_counts()
    parts = [f"{_describe_outcome(table, name)} {counts[name]}" for name in VERDICTS if name in counts]
    noun = format_count(len(table), "median")
    lines = [f"By metrics, of {noun} of problem, metric and optimizer: {', '.join(parts)}."]
    for problem, rows in table.groupby("problem", sort=False):
        groups = {name: rows[rows["outcome"] == name].to_dict(orient="records") for name in ("worse", "better")}
        texts = [f"{name}: {', '.join(map(_describe_row, group))}" for name, group in groups.items() if group]
        lines += [f"{problem}, metrics: b is {'; '.join(texts)}."] if texts else []
    return lines


def _describe_outcome(table: pd.DataFrame, outcome: str) -> str:
    if outcome == TOO_FEW:
        return f"{format_range(table.loc[table['outcome'] == outcome, 'seeds'], 'seed')}: {TOO_FEW} on"
    return {"worse": "b is worse on", "better": "b is better on", "same": "the same on"}.get(outcome, outcome)


def _describe_row(row: dict[Any, Any]) -> str:
    """``accuracy of adam (0.963 → 0.977)``."""
    a, b, _ = format_interval_parts(row["a"], row["b"], row["b"])
    return f"{row['metric'].replace('_', ' ')} of {row['optimizer']} ({a} → {b})"
