"""The verdict in words, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.paired_comparison import NOT_COMPARABLE
from gdbench.errors import format_count
from gdbench.report.best import (
    amount,
    describe_choice,
    describe_edge,
    describe_equals,
    describe_range,
    describe_result,
    list_some,
)
from gdbench.report.number_format import digits, number
from gdbench.report.report_data import Shown
from gdbench.results.statuses import STATUSES

__all__ = ["amount", "counted", "sentences", "times", "verdict_table"]


TUNED = (
    " Of a search each method stands at what tune chose, and the methods are in its order: what costs less and was not"
    " chosen is named above."
)


def times(ratio: float) -> str:
    """A factor: 1.83×, 24×, and from 1000 on with the three digits of the tables, 1260×."""
    if ratio >= 1000:
        return number(float(f"{ratio:.3g}")) + "×"
    return f"{digits(ratio, 3 if ratio < 10 else 2)}×"


def sentences(verdict: pd.DataFrame) -> list[str]:
    """One sentence a problem: who reaches the target with the fewest gradients, by how much, and who in seconds."""
    told = []
    for problem, rows in verdict.groupby("problem", sort=False):
        of: dict[str, Any] = {row["cost"]: row for row in rows.to_dict(orient="records")}
        told.append(f"{problem}: {_first(of['gradients'])}{_others(of)}{_doubts(of['gradients'])}")
    return told


def _first(row: dict[str, Any]) -> str:
    if pd.isna(row["winner"]):
        return f"none of {row['runs']} runs can be called best."
    text = f"{_beginning(row)} {describe_result(row)}"
    if row["tied"]:
        text += f", and cannot be told apart from {row['tied']}"
    return f"{text}{_next(row)}.{_certainty(row)}"


def _beginning(row: dict[str, Any]) -> str:
    """Who is first, and by what."""
    who = f"{row['winner']} ({row['configuration']})"
    if row["outcome"] == "stays":
        return f"{who} is first, in"
    if row["outcome"] == "left":
        return f"no method stays at the target; {who} is first and reached it in"
    if not row["targeted"]:
        return f"{who} ends lowest:"
    most = (
        "no configuration reached the target with most of its seeds" if row["reached"] else "no run reached the target"
    )
    return f"{most}; {who} ends lowest:"


def _next(row: dict[str, Any]) -> str:
    """How far behind the first is that is not tied."""
    if pd.isna(row["runner_up"]):
        return "" if row["tied"] or row["solvers"] > 1 else ", and was alone"
    if row["runner_up_outcome"] == "cannot win":
        return "; nobody else can be called better than its start"
    if np.isfinite(row["ratio"]):
        factor = times(row["ratio"])
        missed = row["outcome"] == "missed"
        return f"; {row['runner_up']} {f'ends at {factor} that' if missed else f'needs {factor} as many'}"
    if row["measure"] == "final loss":
        return f"; {row['runner_up']} ends at {amount(row['runner_up_value'], row['measure'])}"
    return f"; nobody else {'stays at' if row['outcome'] == 'stays' else 'reached'} the target"


def _certainty(row: dict[str, Any]) -> str:
    """What the seeds allow to say, where they matter."""
    if pd.notna(row["needed"]):
        return f" {format_count(int(row['seeds']), 'seed')}: not enough to tell; {row['needed']:.0f} are needed."
    if row["held_out"]:
        return " Tested on the half of the seeds that chose no configuration."
    return ""


def _others(of: dict[str, dict[str, Any]]) -> str:
    """Whose steps are fewest, and who is fastest, where that is somebody else or measured in something else."""
    if of["gradients"]["outcome"] not in ("stays", "left"):
        return ""
    text = ""
    first = of["gradients"]
    if "steps" in of and pd.notna(of["steps"]["winner"]) and of["steps"]["winner"] != first["winner"]:
        steps = of["steps"]
        text += f" In steps, which may hold several gradients: {steps['winner']}, {amount(steps['value'], 'steps')}."
    if "seconds" in of and of["seconds"]["measure"] == "seconds":
        row = of["seconds"]
        text += f" In time: {row['winner']} ({row['configuration']}), {amount(row['value'], 'seconds')}"
        alike = [*(f"its {name}" for name in row["equals"]), *([row["tied"]] if row["tied"] else [])]
        text += f", cannot be told apart from {list_some(alike)}" if alike else ""
        if pd.notna(row["runner_up"]) and np.isfinite(row["ratio"]):
            text += f"; {row['runner_up']} takes {times(row['ratio'])} as long"
        text += "."
    elif first["processes"] > 1:
        text += f" Times: taken in {first['processes']} processes, {NOT_COMPARABLE}."
    return text


def _doubts(row: dict[str, Any]) -> str:
    text = ""
    if pd.notna(row["sooner"]):
        text += f" {row['sooner']} reached the target with fewer, and left it again."
    text += describe_equals(row) + describe_choice(row) + describe_edge(row)
    if row["broke"]:
        text += f" {row['broke']} of {row['runs']} runs diverged or became nonfinite."
    if row["failed"]:
        text += f" {row['failed']} failed."
    return text


def verdict_table(table: pd.DataFrame, problems: Sequence[str]) -> Shown:
    """The verdict's table, one row a problem and cost; steps are left out where they equal gradients everywhere."""
    pairs = table.pivot(index="problem", columns="cost", values="value")
    if "steps" in pairs and (pairs["steps"] == pairs["gradients"]).all():
        table = table[table["cost"] != "steps"]
    table = table[(table["measure"] == table["cost"]) | (table["cost"] == "gradients")]
    rows = table.to_dict(orient="records")
    told = pd.DataFrame(
        {
            "problem": table["problem"],
            "in": table["cost"],
            "first": table["winner"],
            "configuration": table["configuration"],
            "as good": [list_some(row["equals"]) for row in rows],
            "result": [_result(row) for row in rows],
            "over seeds": ["" if pd.isna(row["winner"]) or row["n"] == 1 else describe_range(row) for row in rows],
            "best_loss": table["best_loss"].where(table["outcome"] == "missed"),
            "next": table["runner_up"],
            "ratio": table["ratio"],
            "not told apart": table["tied"],
            "seeds": [_seeds(row) for row in rows],
            "lr at the edge": table["edge"],
            **{name: table[name] for name in ("reached", "left", "runs", "broke")},
        }
    )
    places = {name: place for place, name in enumerate(problems)}
    told = told.loc[told["problem"].map(places).sort_values(kind="stable").index]
    told = told.drop(columns="in") if told["in"].nunique() == 1 else told
    empty = [name for name in ("as good", "over seeds", "seeds", "left") if not told[name].astype(bool).any()]
    told = told.drop(columns=[*empty, *(["best_loss"] if told["best_loss"].isna().all() else [])])
    rule = (
        "Each method at its best configuration, by the median over all of its seeds. What reaches the target and ends"
        " there is first, by cost; then what reached it and left it again; then what missed it, by its final gap or"
        " loss. ratio: how many times as much the next needs, the first that can be told apart, or with too few seeds"
        " to tell simply the next. as good: its other configurations that attain the same. never: it did not reach the"
        " target, or left it again. reached, left, broke: of all runs of the problem, how many reached the target, left"
        " it again, and diverged or became nonfinite."
    )
    rule += TUNED if table["tuned_for"].notna().any() else ""
    return Shown("verdict", "Verdict", rule, told)


def _result(row: dict[Any, Any]) -> str:
    if pd.isna(row["winner"]):
        return "none"
    return amount(row["value"], row["measure"]) + (", left again" if row["outcome"] == "left" else "")


def _seeds(row: dict[Any, Any]) -> str:
    """How many seeds the methods share, and whether that is enough to tell them apart; nothing where none matters."""
    if pd.isna(row["seeds"]):
        return ""
    return f"{row['seeds']:.0f}" + (f" of {row['needed']:.0f} needed" if pd.notna(row["needed"]) else "")


def counted(runs: pd.DataFrame) -> str:
    """How many runs there are of each status."""
    found = runs["status"].value_counts()
    return ", ".join(f"{found[name]:,} {name}" for name in STATUSES if name in found)
