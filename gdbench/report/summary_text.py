"""The verdict of a report, in sentences and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.optimizer_comparison import NOT_COMPARABLE
from gdbench.errors import format_count
from gdbench.report.number_format import format_digits, format_number
from gdbench.report.report_data import ReportTable
from gdbench.report.result_text import (
    describe_choice,
    describe_edge,
    describe_equals,
    describe_range,
    describe_result,
    format_result,
    join_some,
)
from gdbench.results.run_outcomes import TARGET_SHORTFALL, has_ratio

__all__ = ["format_factor", "verdict_sentences", "verdict_table"]

RULE = (
    "Each method at its best configuration, by the median over all of its seeds. Methods that reach the target and end"
    " there come first, by cost; then those that left it again; then those that missed it, by how near they came: by"
    " final gap or loss, in training by the target's metric, or without a target by the held-out metric that selects."
    " ratio: cost of the runner-up over that of the best solver; the runner-up is the first method that is not tied, or"
    " the next one if there are too few seeds for a test. equally good: other configurations of the best solver with"
    " the same result. never: the target was not reached, or left again. reached, left, diverged: of all runs of the"
    " problem, how many reached the target, left it again, and diverged or became nonfinite."
)
TUNED_RULE = (
    " Methods tuned by a search are ranked by the configuration that tune chose; cheaper configurations that it did not"
    " choose are named above."
)


def format_factor(ratio: float) -> str:
    """A factor: 1.83×, 24×, 1260×."""
    if ratio >= 1000:
        return format_number(float(f"{ratio:.3g}")) + "×"
    return f"{format_digits(ratio, 3 if ratio < 10 else 2)}×"


def verdict_sentences(verdict: pd.DataFrame) -> list[str]:
    """A sentence per problem: the winner, its cost, the margin to the runner-up, and the winner in seconds."""
    sentences = []
    for problem, group in verdict.groupby("problem", sort=False):
        rows: dict[str, Any] = {row["cost"]: row for row in group.to_dict(orient="records")}
        first = rows["gradients"]
        sentences.append(f"{problem}: {_describe_winner(first)}{_describe_other_costs(rows)}{_describe_notes(first)}")
    return sentences


def _describe_winner(row: dict[str, Any]) -> str:
    if pd.isna(row["winner"]):
        return f"no winner: none of {row['runs']} runs improved on its start."
    text = f"{_describe_standing(row)} {describe_result(row)}"
    if row["tied"]:
        text += f", statistically tied with {row['tied']}"
    return f"{text}{_describe_runner_up(row)}.{_describe_test(row)}"


def _describe_standing(row: dict[str, Any]) -> str:
    """The winner, and by what it won."""
    who = f"{row['winner']} ({row['configuration']})"
    if row["outcome"] == "stays":
        return f"{who} is best:"
    if row["outcome"] == "left":
        return f"no method stays at the target; {who} is best:"
    verb = "is best" if "." in row["measure"] else "ends lowest"
    verb = "comes nearest" if row["measure"] == TARGET_SHORTFALL else verb
    if not row["targeted"]:
        return f"{who} {verb}:"
    reached = (
        "no configuration reached the target with most of its seeds" if row["reached"] else "no run reached the target"
    )
    return f"{reached}; {who} {verb}:"


def _describe_runner_up(row: dict[str, Any]) -> str:
    """The margin to the first method that is not tied."""
    if pd.isna(row["runner_up"]):
        return "" if row["tied"] or row["solvers"] > 1 else ", the only method"
    if row["runner_up_outcome"] == "cannot win":
        return "; no other method improved on its start"
    if np.isfinite(row["ratio"]):
        factor = format_factor(row["ratio"])
        margin = f"ends at {factor} that" if row["outcome"] == "missed" else f"needs {factor} as many"
        return f"; {row['runner_up']} {margin}"
    if not has_ratio(row["measure"]):
        return f"; {row['runner_up']} ends at {format_result(row['runner_up_value'], row['measure'])}"
    return f"; no other method {'stays at' if row['outcome'] == 'stays' else 'reached'} the target"


def _describe_test(row: dict[str, Any]) -> str:
    """What the number of seeds allows to conclude, if seeds matter."""
    if pd.notna(row["needed"]):
        return f" {format_count(int(row['seeds']), 'seed')}: not enough to tell; {row['needed']:.0f} are needed."
    return " Tested on the seeds that did not choose the configurations." if row["held_out"] else ""


def _describe_other_costs(rows: dict[str, dict[str, Any]]) -> str:
    """The winner in steps, if it is another, and the winner in seconds."""
    first, steps, seconds = rows["gradients"], rows.get("steps"), rows.get("seconds")
    if first["outcome"] not in ("stays", "left"):
        return ""
    text = ""
    if steps and pd.notna(steps["winner"]) and steps["winner"] != first["winner"]:
        result = format_result(steps["value"], "steps")
        text += f" By steps (a step may take several gradients): {steps['winner']}, {result}."
    if seconds and seconds["measure"] == "seconds":
        result = format_result(seconds["value"], "seconds")
        text += f" By time: {seconds['winner']} ({seconds['configuration']}), {result}"
        ties = [*(f"its {name}" for name in seconds["equals"]), *([seconds["tied"]] if seconds["tied"] else [])]
        text += f", tied within noise with {join_some(ties)}" if ties else ""
        if pd.notna(seconds["runner_up"]) and np.isfinite(seconds["ratio"]):
            text += f"; {seconds['runner_up']} takes {format_factor(seconds['ratio'])} as long"
        text += "."
    elif first["processes"] > 1:
        text += f" Times were measured in {first['processes']} processes: {NOT_COMPARABLE}."
    return text


def _describe_notes(row: dict[str, Any]) -> str:
    """Ties, choices of tune, the edge of the grid, and how many runs diverged or failed."""
    text = (
        f" {row['cheaper_but_left']} reached the target with fewer but left it again."
        if pd.notna(row["cheaper_but_left"])
        else ""
    )
    text += describe_equals(row) + describe_choice(row) + describe_edge(row)
    if row["diverged"]:
        text += f" {row['diverged']} of {row['runs']} runs diverged or became nonfinite."
    return text + (f" {row['failed']} failed." if row["failed"] else "")


def verdict_table(table: pd.DataFrame, problems: Sequence[str]) -> ReportTable:
    """The verdict, one row per problem and cost, in the order of the problems; columns without content are left out."""
    pairs = table.pivot(index="problem", columns="cost", values="value")
    if "steps" in pairs and (pairs["steps"] == pairs["gradients"]).all():
        table = table[table["cost"] != "steps"]
    table = table[(table["measure"] == table["cost"]) | (table["cost"] == "gradients")]
    rows = table.to_dict(orient="records")
    columns = {
        "problem": table["problem"],
        "cost": table["cost"],
        "best solver": table["winner"],
        "configuration": table["configuration"],
        "equally good": [join_some(row["equals"]) for row in rows],
        "result": [_format_winner_result(row) for row in rows],
        "over seeds": ["" if pd.isna(row["winner"]) or row["n"] == 1 else describe_range(row) for row in rows],
        "best_loss": table["best_loss"].where(table["outcome"] == "missed"),
        "runner-up": table["runner_up"],
        "ratio": table["ratio"],
        "statistically tied": table["tied"],
        "seeds": [_format_seeds(row) for row in rows],
        "lr at the edge": table["edge"],
        **{name: table[name] for name in ("reached", "left", "runs")},
        "diverged": table["diverged"],
    }
    places = {name: place for place, name in enumerate(problems)}
    verdict = pd.DataFrame(columns)
    verdict = verdict.loc[verdict["problem"].map(places).sort_values(kind="stable").index]
    optional = ("equally good", "over seeds", "seeds", "left")
    empty = [name for name in optional if not verdict[name].astype(bool).any()]
    empty += ["cost"] if verdict["cost"].nunique() == 1 else []
    empty += ["best_loss"] if verdict["best_loss"].isna().all() else []
    rule = RULE + (TUNED_RULE if table["tuned_for"].notna().any() else "")
    return ReportTable("verdict", "Verdict", rule, verdict.drop(columns=empty))


def _format_winner_result(row: dict[Any, Any]) -> str:
    if pd.isna(row["winner"]):
        return "none"
    return format_result(row["value"], row["measure"]) + (", left again" if row["outcome"] == "left" else "")


def _format_seeds(row: dict[Any, Any]) -> str:
    """The number of seeds that the methods share, and of those a test needs; empty if seeds have no effect."""
    if pd.isna(row["seeds"]):
        return ""
    return f"{row['seeds']:.0f}" + (f" of {row['needed']:.0f} needed" if pd.notna(row["needed"]) else "")
