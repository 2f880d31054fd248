"""The verdict in words, and what a reader must know before believing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.ranking import describe_randomness
from gdbench.counting import format_count
from gdbench.report.facts import Shown
from gdbench.report.units import digits, number, seconds

__all__ = ["amount", "caveats", "counted", "sentences", "times", "verdict_table"]

STATUSES = ("target", "plateau", "budget", "diverged", "nonfinite", "unavailable", "failed")


def amount(value: float, cost: str) -> str:
    """A cost with its unit: 31 gradients, 1.18 ms."""
    if cost == "seconds":
        return seconds(value)
    return f"{number(round(value, 2))} {cost if value != 1 else cost.removesuffix('s')}"


def times(ratio: float) -> str:
    """A factor: 1.83×, 24×."""
    return f"{digits(ratio, 3 if ratio < 10 else 2) if ratio < 1000 else number(round(ratio))}×"


def sentences(verdict: pd.DataFrame) -> list[str]:
    """One sentence a problem: who reaches the target with the fewest gradients, by how much, and who in seconds."""
    told = []
    for problem, rows in verdict.groupby("problem", sort=False):
        of: dict[str, Any] = {row["cost"]: row for row in rows.to_dict(orient="records")}
        told.append(f"{problem}: {_gradients(of['gradients'])}{_others(of)}{_doubts(of['gradients'])}")
    return told


def _gradients(row: dict[str, Any]) -> str:
    if pd.isna(row["winner"]):
        return f"none of {row['runs']} runs reached the target."
    text = f"{row['winner']} ({row['configuration']}) is first, in {amount(row['value'], 'gradients')}"
    if row["tied"]:
        text += f", and cannot be told apart from {row['tied']}"
    if pd.isna(row["runner_up"]):
        alone = "" if row["tied"] or row["solvers"] > 1 else ", and was alone"
        return f"{text}{alone}."
    if np.isinf(row["ratio"]):
        return f"{text}; nobody else reached the target."
    return f"{text}; {row['runner_up']} needs {times(row['ratio'])} as many."


def _others(of: dict[str, dict[str, Any]]) -> str:
    """Whose steps are fewest, and who is fastest, where that is somebody else or measured in something else."""
    text = ""
    first = of["gradients"]
    if "steps" in of and pd.notna(of["steps"]["winner"]) and of["steps"]["winner"] != first["winner"]:
        steps = of["steps"]
        text += f" In steps, which may hold several gradients: {steps['winner']}, {amount(steps['value'], 'steps')}."
    if "seconds" in of and pd.notna(of["seconds"]["winner"]):
        row = of["seconds"]
        text += f" In time: {row['winner']}, {amount(row['value'], 'seconds')}"
        text += f" (not told apart: {row['tied']})" if row["tied"] else ""
        if pd.notna(row["runner_up"]) and np.isfinite(row["ratio"]):
            text += f"; {row['runner_up']} takes {times(row['ratio'])} as long"
        text += "."
    return text


def _doubts(row: dict[str, Any]) -> str:
    text = ""
    if pd.notna(row["edge"]):
        text += f" Its lr is the edge of the grid: try {row['edge']} ones."
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
    table = table[table["winner"].notna() | (table["cost"] == "gradients")]
    told = pd.DataFrame(
        {
            "problem": table["problem"],
            "in": table["cost"],
            "first": table["winner"],
            "configuration": table["configuration"],
            "to target": [_amount(row) for row in table.to_dict(orient="records")],
            "next": table["runner_up"],
            "ratio": table["ratio"],
            "not told apart": table["tied"],
            "lr at the edge": table["edge"],
            **{name: table[name] for name in ("reached", "runs", "broke")},
        }
    )
    places = {name: place for place, name in enumerate(problems)}
    told = told.loc[told["problem"].map(places).sort_values(kind="stable").index]
    told = told.drop(columns="in") if told["in"].nunique() == 1 else told
    rule = (
        "Each method at its best configuration. ratio: how many times as much the next needs, the first"
        " that can be told"
        " apart. reached, broke: of the problem's runs, how many reached the target, and diverged or became nonfinite."
    )
    return Shown("verdict", "Verdict", rule, told)


def _amount(row: dict[Any, Any]) -> str:
    return "never" if pd.isna(row["winner"]) else amount(row["value"], row["cost"])


def counted(runs: pd.DataFrame) -> str:
    """How many runs there are of each status."""
    found = runs["status"].value_counts()
    return ", ".join(f"{found[name]:,} {name}" for name in STATUSES if name in found)


def caveats(runs: pd.DataFrame, told: pd.DataFrame) -> list[str]:
    """What is left out of all comparisons, counted, and what makes times doubtful."""
    lines = []
    shifted = int(runs["shifted_minimum"].fillna(False).sum())
    if shifted:
        lines.append(
            f"{shifted} of {len(runs)} runs use weight decay, which moves the minimum: no comparison holds them."
        )
    unavailable = runs[runs["status"] == "unavailable"]
    if len(unavailable):
        lines.append(
            f"{format_count(len(unavailable), 'run was', 'runs were')} unavailable here, and no part of any comparison."
        )
    again = len(runs) - len(told) - shifted - int((unavailable["shifted_minimum"] != True).sum())  # noqa: E712 (nullable)
    if again > 0:
        lines.append(
            f"{format_count(again, 'run repeats', 'runs repeat')} another one (the same question, or a seed that"
            " changes nothing), which counts once."
        )
    failed = runs[runs["status"] == "failed"]
    if len(failed):
        reasons = failed["error"].dropna().unique()
        lines.append(f"{format_count(len(failed), 'run')} failed" + (f": {reasons[0]}" if len(reasons) else "") + ".")
    lines += describe_randomness(runs)
    subnormal = int((runs["denormals"] > 0).sum())
    if subnormal and runs["step_s"].notna().any():
        lines.append(
            f"{format_count(subnormal, 'run ends', 'runs end')} among subnormal numbers, which slow a CPU down."
        )
    return lines
