"""Report that compares two sweeps: what became better or worse first, then both sides in every figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.metric_comparison import compare_metrics
from gdbench.analysis.optimizer_comparison import NOT_COMPARABLE, TOO_FEW, VERDICTS, compare_optimizers
from gdbench.analysis.run_comparison import RUN_VERDICTS, compare_runs
from gdbench.errors import format_count, format_range
from gdbench.report.build import FigureReady, Report, keep_sections, make_sections
from gdbench.report.charts.changes import draw_ratios
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.inputs import ReportInputs
from gdbench.report.metric_changes import describe_metric_changes, make_metric_change_tables
from gdbench.report.report_data import Landscape, ReportData, ReportTable, Section
from gdbench.report.result_text import format_result
from gdbench.report.setting_labels import metric_words
from gdbench.report.style import Dash, Style
from gdbench.report.summary_text import format_factor
from gdbench.report.table_cells import shorten_numbers
from gdbench.results import costs as run_costs
from gdbench.results.run_outcomes import FINAL_GAP, FINAL_LOSS

__all__ = ["build_comparison", "combine_inputs"]

SIDE_SEPARATOR = " · "
"""Between an optimizer and its side, as in adam · b."""
DASHES = {"a": (1, 0), "b": (5, 3)}
DIFFERING = ("worse", "better", "changed")
EXACT_RULE = (
    "Counts are exact. If the seed matters, at least six common seeds are needed to tell two sides apart, and the ratio"
    " has the interval of Hodges and Lehmann."
)
TIMED_RULE = (
    f"Times are {NOT_COMPARABLE}. They are shown for information; their ratio is that of the times over the reference"
    " loop of the same process."
)
RULES = {**dict.fromkeys(("gradients", "steps"), f"Left of 1: b costs less. {EXACT_RULE}"), "seconds": TIMED_RULE}
TITLES = {
    "gradients": "Gradients to the target, b over a",
    "steps": "Steps to the target, b over a",
    "seconds": f"Seconds to the target over each side's reference loop, b over a: {NOT_COMPARABLE}",
}
OUTCOME_WORDS = {
    "worse": "b is worse on",
    "better": "b is better on",
    "statistically tied": "statistically tied",
    "same": "the same on",
    "neither": "no eligible run on",
    "only a": "only in a",
    "only b": "only in b",
}


def combine_inputs(a: ReportInputs, b: ReportInputs) -> ReportInputs:
    """Both inputs as one, with the column ``side``; a run's id ends in its side."""
    runs, traces = [], []
    for side, inputs in (("a", a), ("b", b)):
        runs.append(inputs.runs.assign(side=side, run_id=inputs.runs["run_id"] + f"-{side}"))
        traces.append(inputs.traces.assign(run_id=inputs.traces["run_id"] + f"-{side}"))
    return ReportInputs(
        list(dict.fromkeys([*a.folders, *b.folders])),
        pd.concat(runs, ignore_index=True),
        pd.concat(traces, ignore_index=True),
        {**a.environments, **b.environments},
        list(dict.fromkeys([*a.partial, *b.partial])),
    )


def build_comparison(
    inputs: ReportInputs, landscape: Landscape | None = None, on_figure: FigureReady | None = None
) -> Report:
    """The report of inputs made by ``combine_inputs``; ``on_figure`` as of ``build_report``."""
    compared = run_costs.select_comparable(inputs.runs, ["side"])
    table, metrics = compare_optimizers(compared), compare_metrics(compared)
    runs = compare_runs(*(inputs.runs[inputs.runs["side"] == side] for side in "ab"))
    named = replace(inputs, runs=_name_sides(inputs.runs))
    data = ComparisonData(named, _name_sides(compared))
    names = {side: _describe_side(inputs.runs, side) for side in "ab"}
    sections = [_difference_section(table, metrics, runs), *make_sections(data, landscape)]
    return Report(
        named,
        data,
        sentences=[f"a is {names['a']}, b is {names['b']}.", *_comparison_sentences(table, metrics, runs)],
        summary=_comparison_table(table),
        sections=keep_sections(data, sections, on_figure),
        places=[f"{side}: {name}" for side, name in names.items()],
        title="gdbench compare",
    )


def _name_sides(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with the side in the names of optimizers and solvers."""
    names = runs["optimizer"].astype(object) + SIDE_SEPARATOR + runs["side"]
    return runs.assign(optimizer=names, solver=names + " " + runs["impl"].astype(object))


def _describe_side(runs: pd.DataFrame, side: str) -> str:
    """The sweeps of a side."""
    names = runs.loc[runs["side"] == side, "sweep"].unique()
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


class ComparisonData(ReportData):
    """Data of two sides: an optimizer has one colour, a solid line and filled points on a, dashed and hollow on b."""

    @property
    def style(self) -> Style:
        """The colours of the optimizers, shared by both sides."""
        names = (name.rpartition(SIDE_SEPARATOR)[0] for name in self.runs["optimizer"].unique())
        return PairedStyle.of_sides(Style.assign(names))


@dataclass(frozen=True)
class PairedStyle(Style):
    """Colours by optimizer, dashes and rings by side."""

    plain: Style

    @classmethod
    def of_sides(cls, plain: Style) -> PairedStyle:
        """The style of both sides of the optimizers of a style, side by side."""
        names = tuple(f"{name}{SIDE_SEPARATOR}{side}" for name in plain.optimizers for side in DASHES)
        return cls(names, 2 * plain.coloured, plain)

    def colour_and_dash(self, optimizer: str) -> tuple[str, Dash]:
        """The colour of the optimizer and the dash of its side."""
        name, _, side = optimizer.rpartition(SIDE_SEPARATOR)
        return self.plain.colour_and_dash(name)[0], DASHES[side]

    def is_hollow(self, optimizer: str) -> bool:
        """Whether an optimizer is of side b."""
        return optimizer.endswith(f"{SIDE_SEPARATOR}b")


# ------------------------------------------------------------------------------------------------------ differences


def _difference_section(table: pd.DataFrame, metrics: pd.DataFrame, runs: pd.DataFrame) -> Section:
    figures = [figure for cost in _informative_costs(table) for figure in _change_figures(table, cost)]
    if len(metrics):  # of workloads without a target there is nothing to divide
        figures = [figure for figure in figures if figure.chart is not None]
    differing = runs[runs["verdict"].isin(DIFFERING)]
    order = differing["verdict"].map({name: place for place, name in enumerate(DIFFERING)})
    differing = differing.loc[order.sort_values(kind="stable").index]
    rule = (
        f"Runs on both sides with different results, {len(differing)} of {len(runs)}, matched by problem, solver,"
        " configuration and seed. A run is better if its status is, or else if it alone stays at the target, or took"
        " fewer gradients, then steps, to it; changed: as many, but another final loss."
    )
    tables = (
        [ReportTable("differing", "Runs that differ", rule, _difference_table(differing))] if len(differing) else []
    )
    return Section("differences", "Differences", figures, [*make_metric_change_tables(metrics), *tables])


def _informative_costs(table: pd.DataFrame) -> list[str]:
    """The costs without steps if they equal gradients, and without seconds if nothing was timed."""
    pairs = {cost: rows[["a", "b"]].to_numpy(float) for cost, rows in table.groupby("cost")}
    costs = ["gradients"]
    if not np.array_equal(pairs["steps"], pairs["gradients"], equal_nan=True):
        costs.append("steps")
    return [*costs, *(["seconds"] if "seconds" in pairs else [])]


def _change_figures(table: pd.DataFrame, cost: str) -> list[Figure]:
    pairs = table[table["cost"] == cost]
    finite = pairs[np.isfinite(pairs["ratio"].astype(float))]
    name, title = f"changes-{cost}", TITLES[cost]
    if finite.empty:
        rule = "No optimizer has results on both sides that can be divided."
        return [Figure(name, title, rule, pairs, tab=cost, group="changes")]
    rule = (
        f"Cost of b over cost of a, each optimizer at its best configuration on each side. {RULES[cost]}"
        f" {len(finite)} of {format_count(len(pairs), 'pair')} have the same measure on both sides:"
        " their ratio is drawn."
    )
    chart = draw_ratios(finite, Style.assign(finite["optimizer"]), cost)
    return [Figure(name, title, rule, pairs, chart, cost, "changes")]


def _difference_table(runs: pd.DataFrame) -> pd.DataFrame:
    table = runs[["verdict", "problem", "solver"]].assign(configuration=runs["configuration"].map(shorten_numbers))
    table = table.assign(seed=runs["seed"]) if runs["seed"].nunique() > 1 else table
    table = table.assign(status=_format_changes(runs, "status"))
    table = table.assign(gradients=_format_changes(runs, "gradient_evals_to_target"), ratio=runs["gradients_ratio"])
    return table.assign(**{"final gap": _format_changes(runs, "final_gap")})


def _format_changes(table: pd.DataFrame, name: str) -> list[str]:
    """``31 → 29``; one number if both are equal."""
    pairs = zip(table[f"{name}_a"].map(_format_value), table[f"{name}_b"].map(_format_value), strict=True)
    return [a if a == b else f"{a} → {b}" for a, b in pairs]


def _format_value(value: Any) -> str:
    if value is None or pd.isna(value):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


# ---------------------------------------------------------------------------------------------------------- verdict


def _comparison_sentences(table: pd.DataFrame, metrics: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Sentences on all pairs for each cost, on each problem that changed, on metrics, and on single runs."""
    costs = _informative_costs(table)
    lines = [_describe_overall(table[table["cost"] == cost], cost) for cost in costs]
    for problem, rows in table[table["cost"].isin(costs)].groupby("problem", sort=False):
        groups = {name: rows[rows["outcome"] == name].to_dict(orient="records") for name in ("worse", "better")}
        parts = [f"{name}: {', '.join(map(_describe_pair, group))}" for name, group in groups.items() if group]
        lines += [f"{problem}: b is {'; '.join(parts)}."] if parts else []
    lines += describe_metric_changes(metrics)
    counts = runs["verdict"].value_counts()
    counted = ", ".join(f"{counts[name]} {name}" for name in RUN_VERDICTS if name in counts)
    nothing = " Nothing differs." if set(counts.index) == {"same"} else ""
    return [*lines, f"Run by run: {counted}.{nothing}"]


def _describe_overall(pairs: pd.DataFrame, cost: str) -> str:
    if cost == "seconds":
        return f"In seconds: {NOT_COMPARABLE}; the table has both times of {format_count(len(pairs), 'pair')}."
    counts = pairs["outcome"].value_counts()
    few = pairs.loc[pairs["outcome"] == TOO_FEW, "seeds"]
    words = {**OUTCOME_WORDS, TOO_FEW: f"{format_range(few, 'seed')}: {TOO_FEW} on" if len(few) else ""}
    parts = ", ".join(f"{words[name]} {counts[name]}" for name in VERDICTS if name in counts)
    measures = sorted(set(map(metric_words, pairs["measure"].dropna())))
    by = f"In {cost}"
    if measures and cost not in measures:
        by = f"By {' and '.join(measures)}, as no target was reached"
    return f"{by}, of {format_count(len(pairs), 'pair')} of problem and optimizer: {parts}."


def _describe_pair(row: dict[Any, Any]) -> str:
    a, b = (_format_side(row, side) for side in "ab")
    a = a.removesuffix(f" {row['measure']}") if b.endswith(row["measure"]) else a
    ratio = f", {format_factor(row['ratio'])}" if np.isfinite(row["ratio"]) else ""
    return f"{row['optimizer']} ({a} → {b}{ratio})"


def _comparison_table(table: pd.DataFrame) -> ReportTable:
    """The verdict as a table, one row per problem, optimizer and cost, differences first."""
    places = table["outcome"].map({name: place for place, name in enumerate(VERDICTS)})
    table = table.loc[places[table["cost"].isin(_informative_costs(table))].sort_values(kind="stable").index]
    rows = table.to_dict(orient="records")
    columns: dict[str, Any] = {
        "cost": table["measure"]
        .map(metric_words, na_action="ignore")
        .astype(object)
        .fillna(table["cost"].astype(object)),
        "b is": [_format_outcome(row) for row in rows],
        **{side: [_format_side(row, side) for row in rows] for side in "ab"},
        "ratio": table["ratio"].astype(float),
        "from": table["lo"].astype(float),
        "to": table["hi"].astype(float),
        **{f"{side} at": table[f"configuration_{side}"].map(shorten_numbers, na_action="ignore") for side in "ab"},
    }
    rule = (
        "Each optimizer at its best configuration on each side. ratio: b over a, with its 95% interval if there is one."
        f" {EXACT_RULE}"
    )
    rule += f" {TIMED_RULE}" if "seconds" in set(table["cost"]) else ""
    summary = table[["problem", "optimizer"]].assign(**columns).dropna(axis=1, how="all")
    return ReportTable("verdict", "Verdict", rule, summary)


def _format_outcome(row: dict[Any, Any]) -> str:
    if row["outcome"] == TOO_FEW:
        return f"{format_count(int(row['seeds']), 'seed')}: {TOO_FEW}"
    return str(row["outcome"])


def _format_side(row: dict[Any, Any], side: str) -> str:
    """The cost of a side, or what ranks it where it missed the target; marked if it left the target again."""
    if pd.isna(row[side]):
        return ""
    if np.isinf(row[side]):
        return format_result(row[side], row["cost"])
    if row["measure"] in (FINAL_GAP, FINAL_LOSS):
        return f"{row[side]:.3g} {row['measure']}"
    left = ", left again" if row[f"standing_{side}"] == "left" else ""
    return format_result(row[side], row["cost"] if pd.isna(row["measure"]) else row["measure"]) + left
