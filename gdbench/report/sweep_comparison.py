"""Two sweeps as one report: what became better or worse first, then both sides in every figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.paired_comparison import NOT_COMPARABLE, TOO_FEW, VERDICTS, sides
from gdbench.analysis.run_matching import VERDICTS as RUN_VERDICTS
from gdbench.analysis.run_matching import comparison
from gdbench.errors import format_count, format_range
from gdbench.report.build import Report, keep_sections, make_sections
from gdbench.report.charts import changes
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.inputs import ReportInputs
from gdbench.report.report_data import ReportData, ReportTable
from gdbench.report.result_text import format_result
from gdbench.report.section import Landscape, Section
from gdbench.report.style import Style
from gdbench.report.summary_text import format_factor
from gdbench.report.table_cells import shorten_numbers
from gdbench.results import costs

__all__ = ["build_comparison", "combine_inputs"]

SIDE_SEPARATOR = " · "
"""Between an optimizer and its side, as in adam · b."""
DASHES = {"a": (1, 0), "b": (5, 3)}
DIFFERING = ("worse", "better", "changed")


def combine_inputs(a: ReportInputs, b: ReportInputs) -> ReportInputs:
    """Both sources as one, whose runs say in ``side`` which they are of; a run's key ends in its side."""
    runs, traces = [], []
    for side, each in (("a", a), ("b", b)):
        runs.append(each.runs.assign(side=side, run_id=each.runs["run_id"] + f"-{side}"))
        traces.append(each.traces.assign(run_id=each.traces["run_id"] + f"-{side}"))
    return ReportInputs(
        list(dict.fromkeys([*a.folders, *b.folders])),
        pd.concat(runs, ignore_index=True),
        pd.concat(traces, ignore_index=True),
        {**a.environments, **b.environments},
        list(dict.fromkeys([*a.partial, *b.partial])),
    )


def build_comparison(
    inputs: ReportInputs, landscape: Landscape | None = None, ready: Callable[[Figure], None] | None = None
) -> Report:
    """The report of a inputs that ``combine_inputs`` made."""
    told = costs.compared(inputs.runs, ["side"])
    table = sides(told)
    runs = comparison(*(inputs.runs[inputs.runs["side"] == side] for side in "ab"))
    named = replace(inputs, runs=_name_sides(inputs.runs))
    data = ComparisonData(named, _name_sides(told))
    made = [_difference_section(data, table, runs), *make_sections(data, landscape)]
    return Report(
        named,
        data,
        sentences=_comparison_sentences(table, runs),
        summary=_comparison_table(table),
        sections=keep_sections(data, made, ready),
        places=[f"{side}: {_describe_side(inputs.runs, side)}" for side in "ab"],
        title="gdbench compare",
    )


def _name_sides(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose optimizers are named by their side."""
    names = runs["optimizer"].astype(object) + SIDE_SEPARATOR + runs["side"]
    return runs.assign(optimizer=names, solver=names + " " + runs["impl"].astype(object))


def _describe_side(runs: pd.DataFrame, side: str) -> str:
    """The sweeps of a side."""
    names = runs.loc[runs["side"] == side, "sweep"].unique()
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


class ComparisonData(ReportData):
    """The data of two sides: an optimizer has one colour, drawn through and filled on a, dashed and hollow on b."""

    def __init__(self, inputs: ReportInputs, told: pd.DataFrame) -> None:
        """Of runs that were named by their side."""
        super().__init__(inputs, told)

    @property
    def style(self) -> Style:
        """The colours of the optimizers that both sides share."""
        return PairedStyle.over(
            Style.assign(name.rpartition(SIDE_SEPARATOR)[0] for name in self.runs["optimizer"].unique())
        )


@dataclass(frozen=True)
class PairedStyle(Style):
    """Colours by the optimizer, dashes and rings by the side."""

    plain: Style

    @classmethod
    def over(cls, plain: Style) -> PairedStyle:
        """Both sides of each optimizer, beside each other."""
        names = tuple(f"{name}{SIDE_SEPARATOR}{side}" for name in plain.optimizers for side in DASHES)
        return cls(names, 2 * plain.coloured, plain)

    def colour_and_dash(self, optimizer: str) -> tuple[str, tuple[int, ...]]:
        """The optimizer's colour, and the dash of its side."""
        name, _, side = optimizer.rpartition(SIDE_SEPARATOR)
        return self.plain.colour_and_dash(name)[0], DASHES[side]

    def is_hollow(self, optimizer: str) -> bool:
        """Those of b, whose lines are dashed."""
        return optimizer.endswith(f"{SIDE_SEPARATOR}b")


# ------------------------------------------------------------------------------------------------------ differences


def _difference_section(data: ComparisonData, table: pd.DataFrame, runs: pd.DataFrame) -> Section:
    figures = [figure for cost in _informative_costs(table) for figure in _change_figures(data, table, cost)]
    differing = runs[runs["verdict"].isin(DIFFERING)]
    order = differing["verdict"].map({name: place for place, name in enumerate(DIFFERING)})
    shown = differing.loc[order.sort_values(kind="stable").index]
    rule = (
        f"The runs that were made on both sides and did not come out the same, {len(differing)} of {len(runs)}, matched"
        " by problem, solver, configuration and seed. A run is better if its status is, or else if it alone"
        " stays at the target, or took fewer gradients, then steps, to it; changed: as many, with another final loss."
    )
    tables = [ReportTable("differing", "Runs that differ", rule, _difference_table(shown))] if len(differing) else []
    return Section("differences", "Differences", figures, tables)


def _informative_costs(table: pd.DataFrame) -> list[str]:
    """The costs that say something of their own."""
    paid = {cost: mine[["a", "b"]].to_numpy(float) for cost, mine in table.groupby("cost")}
    steps = not np.array_equal(paid["steps"], paid["gradients"], equal_nan=True)
    told = {"gradients": True, "steps": steps, "seconds": bool((table["cost"] == "seconds").any())}
    return [cost for cost, there in told.items() if there]


def _change_figures(data: ComparisonData, table: pd.DataFrame, cost: str) -> list[Figure]:
    mine = table[table["cost"] == cost]
    shown = mine[np.isfinite(mine["ratio"].astype(float))]
    rule = f"What b pays over what a pays, each optimizer at its best configuration on either side. {RULES[cost]}"
    rule += f" {len(shown)} of {len(mine)} pairs came equally far on both sides and have a ratio."
    title = TITLES[cost]
    name = f"changes-{cost}"
    if shown.empty:
        return [Figure(name, title, "No optimizer came equally far on both sides.", mine, tab=cost, group="changes")]
    drawn = changes.draw_ratios(shown, Style.assign(shown["optimizer"]), cost)
    return [Figure(name, title, rule + data.describe_panels(shown), mine, drawn, cost, "changes")]


EXACT_RULE = (
    "Counts are exact; where a seed matters six common ones are needed to tell two sides apart, and have an interval,"
    " of Hodges and Lehmann over their ratios."
)
TIMED_RULE = (
    f"Times are {NOT_COMPARABLE}. They are shown for information; their ratio is of each over the reference loop of"
    " its own process."
)
RULES = {**dict.fromkeys(("gradients", "steps"), f"Left of the line b pays less. {EXACT_RULE}"), "seconds": TIMED_RULE}
TITLES = {
    "gradients": "Gradients to the target, b over a",
    "steps": "Steps to the target, b over a",
    "seconds": f"Seconds to the target over each side's reference loop, b over a: {NOT_COMPARABLE}",
}


def _difference_table(table: pd.DataFrame) -> pd.DataFrame:
    told = table[["verdict", "problem", "solver"]].assign(configuration=table["configuration"].map(shorten_numbers))
    told = told.assign(seed=table["seed"]) if table["seed"].nunique() > 1 else told
    told = told.assign(
        status=_format_changes(table, "status"), gradients=_format_changes(table, "gradient_evals_to_target")
    )
    return told.assign(ratio=table["gradients_ratio"], **{"final gap": _format_changes(table, "final_gap")})


def _format_changes(table: pd.DataFrame, name: str) -> list[str]:
    """``31 → 29``; one number where both are equal."""
    pairs = zip(table[f"{name}_a"], table[f"{name}_b"], strict=True)
    return [
        _format_value(a) if _format_value(a) == _format_value(b) else f"{_format_value(a)} → {_format_value(b)}"
        for a, b in pairs
    ]


def _format_value(value: Any) -> str:
    if value is None or pd.isna(value):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


# ---------------------------------------------------------------------------------------------------------- verdict


def _comparison_sentences(table: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """What became of all pairs in each cost, of each problem that changed, and of the single runs."""
    lines = [_describe_overall(table[table["cost"] == cost], cost) for cost in _informative_costs(table)]
    for problem, mine in table[table["cost"].isin(_informative_costs(table))].groupby("problem", sort=False):
        parts = [f"{name}: {_join_pairs(mine[mine['outcome'] == name])}" for name in ("worse", "better")]
        parts = [part for part in parts if not part.endswith(": ")]
        lines += [f"{problem}: b is {'; '.join(parts)}."] if parts else []
    counts = runs["verdict"].value_counts()
    counted = ", ".join(f"{counts[name]} {name}" for name in RUN_VERDICTS if name in counts)
    nothing = " Nothing differs." if set(counts.index) == {"same"} else ""
    return [*lines, f"Run by run: {counted}.{nothing}"]


def _describe_overall(mine: pd.DataFrame, cost: str) -> str:
    if cost == "seconds":
        return f"In seconds: {NOT_COMPARABLE}; the table has both times of {len(mine)} pairs."
    counts = mine["outcome"].value_counts()
    few = mine.loc[mine["outcome"] == TOO_FEW, "seeds"]
    words = {**WORDS, TOO_FEW: f"{format_range(few, 'seed')}: {TOO_FEW} on" if len(few) else ""}
    parts = ", ".join(f"{words[name]} {counts[name]}" for name in VERDICTS if name in counts)
    measures = sorted(set(mine["measure"].dropna()))
    missed = measures and not {cost} & set(measures)  # nobody reached a target: what the runs ended with decided
    by = f"By {' and '.join(measures)}, as no target was reached" if missed else f"In {cost}"
    return f"{by}, of {format_count(len(mine), 'pair')} of problem and optimizer: {parts}."


WORDS = {
    "worse": "b is worse on",
    "better": "b is better on",
    "not told apart": "not told apart",
    "same": "the same on",
    "neither": "neither may win on",
    "only a": "only in a",
    "only b": "only in b",
}


def _join_pairs(rows: pd.DataFrame) -> str:
    return ", ".join(map(_describe_pair, rows.to_dict(orient="records")))


def _describe_pair(row: dict[Any, Any]) -> str:
    a, b = (_format_side(row, side) for side in "ab")
    a = a.removesuffix(f" {row['measure']}") if b.endswith(row["measure"]) else a
    ratio = f", {format_factor(row['ratio'])}" if np.isfinite(row["ratio"]) else ""
    return f"{row['optimizer']} ({a} → {b}{ratio})"


def _comparison_table(table: pd.DataFrame) -> ReportTable:
    """The verdict's table, one row for each problem, optimizer and cost, what differs first."""
    places = table["outcome"].map({name: place for place, name in enumerate(VERDICTS)})
    mine = table.loc[places[table["cost"].isin(_informative_costs(table))].sort_values(kind="stable").index]
    told = mine[["problem", "optimizer"]].assign(
        **{"in": mine["measure"].fillna(mine["cost"])},
        **{"b is": [_format_outcome(row) for row in mine.to_dict(orient="records")]},
        **{side: [_format_side(row, side) for row in mine.to_dict(orient="records")] for side in "ab"},
        ratio=mine["ratio"].astype(float),
        **{"from": mine["lo"].astype(float), "to": mine["hi"].astype(float)},
        **{f"{side} at": mine[f"configuration_{side}"].map(shorten_numbers, na_action="ignore") for side in "ab"},
    )
    rule = (
        "Each optimizer at its best configuration on either side. ratio: b over a, with its 95% interval where there is"
        f" one. {EXACT_RULE}"
    )
    rule += f" {TIMED_RULE}" if "seconds" in set(mine["cost"]) else ""
    return ReportTable("verdict", "Verdict", rule, told.dropna(axis=1, how="all"))


def _format_outcome(row: dict[Any, Any]) -> str:
    if row["outcome"] == TOO_FEW:
        return f"{format_count(int(row['seeds']), 'seed')}: {TOO_FEW}"
    return str(row["outcome"])


def _format_side(row: dict[Any, Any], side: str) -> str:
    """What a side paid, or the gap or loss that it ended with; marked where it left the target again."""
    if pd.isna(row[side]):
        return ""
    if np.isinf(row[side]):
        return "never"
    if row["measure"] in ("final gap", "final loss"):
        return f"{row[side]:.3g} {row['measure']}"
    left = ", left again" if row[f"standing_{side}"] == "left" else ""
    return format_result(row[side], row["cost"]) + left
