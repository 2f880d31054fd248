"""Two sweeps as one report: what became better or worse first, then both sides in every figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.paired_comparison import NOT_COMPARABLE, TOO_FEW, VERDICTS, compare_sides
from gdbench.analysis.run_matching import VERDICTS as RUN_VERDICTS
from gdbench.analysis.run_matching import match_runs
from gdbench.errors import format_count, format_range
from gdbench.report.best import amount
from gdbench.report.build import Report, kept, sections
from gdbench.report.charts import changes
from gdbench.report.charts.vega_lite import Figure
from gdbench.report.inputs import Source
from gdbench.report.report_data import Facts, Shown
from gdbench.report.section import Landscape, Section
from gdbench.report.style import Look
from gdbench.report.summary_text import times
from gdbench.report.table_cells import short
from gdbench.results import costs

__all__ = ["beside", "compared"]

APART = " · "
"""Between an optimizer and its side, as in adam · b."""
DASHES = {"a": (1, 0), "b": (5, 3)}
DIFFERS = ("worse", "better", "changed")


def beside(a: Source, b: Source) -> Source:
    """Both sources as one, whose runs say in ``side`` which they are of; a run's key ends in its side."""
    runs, traces = [], []
    for side, each in (("a", a), ("b", b)):
        runs.append(each.runs.assign(side=side, run_id=each.runs["run_id"] + f"-{side}"))
        traces.append(each.traces.assign(run_id=each.traces["run_id"] + f"-{side}"))
    return Source(
        list(dict.fromkeys([*a.folders, *b.folders])),
        pd.concat(runs, ignore_index=True),
        pd.concat(traces, ignore_index=True),
        {**a.environments, **b.environments},
        list(dict.fromkeys([*a.partial, *b.partial])),
    )


def compared(
    source: Source, landscape: Landscape | None = None, ready: Callable[[Figure], None] | None = None
) -> Report:
    """The report of a source that ``beside`` made."""
    told = costs.select_comparable(source.runs, ["side"])
    table = compare_sides(told)
    runs = match_runs(*(source.runs[source.runs["side"] == side] for side in "ab"))
    named = replace(source, runs=_named(source.runs))
    facts = Both(named, _named(told))
    made = [_differences(facts, table, runs), *sections(facts, landscape)]
    return Report(
        named,
        facts,
        told=_sentences(table, runs),
        summary=_summary(table),
        sections=kept(facts, made, ready),
        places=[f"{side}: {_swept(source.runs, side)}" for side in "ab"],
        title="gdbench compare",
    )


def _named(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose optimizers are named by their side."""
    names = runs["optimizer"].astype(object) + APART + runs["side"]
    return runs.assign(optimizer=names, solver=names + " " + runs["impl"].astype(object))


def _swept(runs: pd.DataFrame, side: str) -> str:
    """The sweeps of a side."""
    names = runs.loc[runs["side"] == side, "sweep"].unique()
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


class Both(Facts):
    """The facts of two sides: an optimizer has one colour, drawn through and filled on a, dashed and hollow on b."""

    def __init__(self, source: Source, told: pd.DataFrame) -> None:
        """Of runs that were named by their side."""
        super().__init__(source, told)

    @property
    def look(self) -> Look:
        """The colours of the optimizers that both sides share."""
        return Paired.over(Look.of(name.rpartition(APART)[0] for name in self.runs["optimizer"].unique()))


@dataclass(frozen=True)
class Paired(Look):
    """Colours by the optimizer, dashes and rings by the side."""

    plain: Look

    @classmethod
    def over(cls, plain: Look) -> Paired:
        """Both sides of each optimizer, beside each other."""
        names = tuple(f"{name}{APART}{side}" for name in plain.optimizers for side in DASHES)
        return cls(names, 2 * plain.coloured, plain)

    def pair(self, optimizer: str) -> tuple[str, tuple[int, ...]]:
        """The optimizer's colour, and the dash of its side."""
        name, _, side = optimizer.rpartition(APART)
        return self.plain.pair(name)[0], DASHES[side]

    def hollow(self, optimizer: str) -> bool:
        """Those of b, whose lines are dashed."""
        return optimizer.endswith(f"{APART}b")


# ------------------------------------------------------------------------------------------------------ differences


def _differences(facts: Both, table: pd.DataFrame, runs: pd.DataFrame) -> Section:
    figures = [figure for cost in _costs(table) for figure in _changes(facts, table, cost)]
    differing = runs[runs["verdict"].isin(DIFFERS)]
    order = differing["verdict"].map({name: place for place, name in enumerate(DIFFERS)})
    shown = differing.loc[order.sort_values(kind="stable").index]
    rule = (
        f"The runs that were made on both sides and did not come out the same, {len(differing)} of {len(runs)}, matched"
        " by problem, solver, configuration and seed. A run is better if its status is, or else if it alone"
        " stays at the target, or took fewer gradients, then steps, to it; changed: as many, with another final loss."
    )
    tables = [Shown("differing", "Runs that differ", rule, _worded(shown))] if len(differing) else []
    return Section("differences", "Differences", figures, tables)


def _costs(table: pd.DataFrame) -> list[str]:
    """The costs that say something of their own."""
    paid = {cost: mine[["a", "b"]].to_numpy(float) for cost, mine in table.groupby("cost")}
    steps = not np.array_equal(paid["steps"], paid["gradients"], equal_nan=True)
    told = {"gradients": True, "steps": steps, "seconds": bool((table["cost"] == "seconds").any())}
    return [cost for cost, there in told.items() if there]


def _changes(facts: Both, table: pd.DataFrame, cost: str) -> list[Figure]:
    mine = table[table["cost"] == cost]
    shown = mine[np.isfinite(mine["ratio"].astype(float))]
    rule = f"What b pays over what a pays, each optimizer at its best configuration on either side. {RULES[cost]}"
    rule += f" {len(shown)} of {len(mine)} pairs came equally far on both sides and have a ratio."
    title = TITLES[cost]
    name = f"changes-{cost}"
    if shown.empty:
        return [Figure(name, title, "No optimizer came equally far on both sides.", mine, tab=cost, group="changes")]
    drawn = changes.chart(shown, Look.of(shown["optimizer"]), cost)
    return [Figure(name, title, rule + facts.panels(shown), mine, drawn, cost, "changes")]


EXACT = (
    "Counts are exact; where a seed matters six common ones are needed to tell two sides apart, and have an interval,"
    " of Hodges and Lehmann over their ratios."
)
TIMED = (
    f"Times are {NOT_COMPARABLE}. They are shown for information; their ratio is of each over the reference loop of"
    " its own process."
)
RULES = {**dict.fromkeys(("gradients", "steps"), f"Left of the line b pays less. {EXACT}"), "seconds": TIMED}
TITLES = {
    "gradients": "Gradients to the target, b over a",
    "steps": "Steps to the target, b over a",
    "seconds": f"Seconds to the target over each side's reference loop, b over a: {NOT_COMPARABLE}",
}


def _worded(table: pd.DataFrame) -> pd.DataFrame:
    told = table[["verdict", "problem", "solver"]].assign(configuration=table["configuration"].map(short))
    told = told.assign(seed=table["seed"]) if table["seed"].nunique() > 1 else told
    told = told.assign(status=_change(table, "status"), gradients=_change(table, "gradient_evals_to_target"))
    return told.assign(ratio=table["gradients_ratio"], **{"final gap": _change(table, "final_gap")})


def _change(table: pd.DataFrame, name: str) -> list[str]:
    """``31 → 29``; one number where both are equal."""
    pairs = zip(table[f"{name}_a"], table[f"{name}_b"], strict=True)
    return [_said(a) if _said(a) == _said(b) else f"{_said(a)} → {_said(b)}" for a, b in pairs]


def _said(value: Any) -> str:
    if value is None or pd.isna(value):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


# ---------------------------------------------------------------------------------------------------------- verdict


def _sentences(table: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """What became of all pairs in each cost, of each problem that changed, and of the single runs."""
    lines = [_overall(table[table["cost"] == cost], cost) for cost in _costs(table)]
    for problem, mine in table[table["cost"].isin(_costs(table))].groupby("problem", sort=False):
        parts = [f"{name}: {_listed(mine[mine['outcome'] == name])}" for name in ("worse", "better")]
        parts = [part for part in parts if not part.endswith(": ")]
        lines += [f"{problem}: b is {'; '.join(parts)}."] if parts else []
    counts = runs["verdict"].value_counts()
    counted = ", ".join(f"{counts[name]} {name}" for name in RUN_VERDICTS if name in counts)
    nothing = " Nothing differs." if set(counts.index) == {"same"} else ""
    return [*lines, f"Run by run: {counted}.{nothing}"]


def _overall(mine: pd.DataFrame, cost: str) -> str:
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


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(map(_one, rows.to_dict(orient="records")))


def _one(row: dict[Any, Any]) -> str:
    a, b = (_amount(row, side) for side in "ab")
    a = a.removesuffix(f" {row['measure']}") if b.endswith(row["measure"]) else a
    ratio = f", {times(row['ratio'])}" if np.isfinite(row["ratio"]) else ""
    return f"{row['optimizer']} ({a} → {b}{ratio})"


def _summary(table: pd.DataFrame) -> Shown:
    """The verdict's table, one row for each problem, optimizer and cost, what differs first."""
    places = table["outcome"].map({name: place for place, name in enumerate(VERDICTS)})
    mine = table.loc[places[table["cost"].isin(_costs(table))].sort_values(kind="stable").index]
    told = mine[["problem", "optimizer"]].assign(
        **{"in": mine["measure"].fillna(mine["cost"])},
        **{"b is": [_verdict(row) for row in mine.to_dict(orient="records")]},
        **{side: [_amount(row, side) for row in mine.to_dict(orient="records")] for side in "ab"},
        ratio=mine["ratio"].astype(float),
        **{"from": mine["lo"].astype(float), "to": mine["hi"].astype(float)},
        **{f"{side} at": mine[f"configuration_{side}"].map(short, na_action="ignore") for side in "ab"},
    )
    rule = (
        "Each optimizer at its best configuration on either side. ratio: b over a, with its 95% interval where there is"
        f" one. {EXACT}"
    )
    rule += f" {TIMED}" if "seconds" in set(mine["cost"]) else ""
    return Shown("verdict", "Verdict", rule, told.dropna(axis=1, how="all"))


def _verdict(row: dict[Any, Any]) -> str:
    if row["outcome"] == TOO_FEW:
        return f"{format_count(int(row['seeds']), 'seed')}: {TOO_FEW}"
    return str(row["outcome"])


def _amount(row: dict[Any, Any], side: str) -> str:
    """What a side paid, or the gap or loss that it ended with; marked where it left the target again."""
    if pd.isna(row[side]):
        return ""
    if np.isinf(row[side]):
        return "never"
    if row["measure"] in ("final gap", "final loss"):
        return f"{row[side]:.3g} {row['measure']}"
    left = ", left again" if row[f"standing_{side}"] == "left" else ""
    return amount(row[side], row["cost"]) + left
