"""The table of a search in the terminal: what each method reached at its best numbers, and how much these forgive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gdbench import __version__
from gdbench.report.terminal import STYLES, WIDTH, console
from gdbench.report.units import number, seconds

__all__ = ["show_tuned", "tuned_report"]

WORDS = {
    "steps_to_target": "steps to the target",
    "gradients_to_target": "gradients to the target",
    "time_to_target": "time to the target",
    "final_gap": "final gap",
    "final_loss": "final loss",
}
SHARED = {"impl": "{}", "dtype": "{}", "device": "{}", "steps": "{} steps"}
"""What goes to the caption where all rows have it in common, in words."""
TARGET = {"target": "target {}", "target_loss": "target loss {}"}
IDENTITY = ("optimizer", "impl", "dtype", "device", "steps", "start_noise")
LUCKY = 0.01
"""A best lr with fewer decades around it that take at most twice as long was stumbled upon, not found."""
SPARE = ("runs", "plateau", "status", "within 2×", "final gap")
"""Columns that a narrow terminal goes without, the first first; --json has them all."""

Row = Mapping[Any, Any]
Cell = Callable[[Row], str]
Filled = tuple[str, list[str], bool]
"""A column's header, its cells, and whether it is text."""


def show_tuned(winners: pd.DataFrame, folder: Path) -> None:
    """Print the report of one search."""
    out = console()
    out.print(tuned_report(winners, folder, out.width), crop=False)  # a command longer than a line stays whole


def tuned_report(winners: pd.DataFrame, folder: Path, width: int = WIDTH) -> RenderableType:
    """Caption, one table an objective, warnings, the command that repeats each objective's winner, and the files."""
    goals = winners["goal"].unique()
    goal = f"lowest {WORDS[goals[0]]}" if len(goals) == 1 else "several goals"
    parts: list[RenderableType] = [
        Text(" · ".join([f"gdbench {__version__}", f"tuned for the {goal}", *_shared(winners)]), style="bold"),
        Text(),
    ]
    for objective, group in winners.groupby("objective", sort=False):
        parts += [Text(f"{objective}", style="bold"), _table(group, width), Text()]
    lines = [*_legend(winners), *_warnings(winners), *_repeat(winners), f"Files: {folder}"]
    return Group(*parts, *map(_line, lines))


def _line(line: str) -> Text:
    """A remark is wrapped; a command and a path stay whole, to be copied."""
    whole = line.startswith(("  python", "Files"))
    return Text(line, no_wrap=whole, overflow="ignore" if whole else None)


def _shared(winners: pd.DataFrame) -> list[str]:
    """What all rows have in common, in words."""
    first = winners.iloc[0]
    targets = TARGET if winners["goal"].str.endswith("_to_target").any() else {}
    wanted = {name: words for name, words in {**SHARED, **targets}.items() if winners[name].nunique(dropna=False) == 1}
    if pd.notna(first["target_loss"]):
        wanted.pop("target", None)
    said = [words.format(_plain(name)(first.to_dict())) for name, words in wanted.items() if pd.notna(first[name])]
    return said + ([f"median of {first['seeds']} seeds"] if first["seeds"] > 1 else [])


def _table(group: pd.DataFrame, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    rows = _rows(group)
    kept = _fitting([(header, [cell(row) for row in rows], left) for header, cell, left in _columns(group)], width)
    for header, _, left in kept:
        table.add_column(header, justify="left" if left else "right", no_wrap=True)
    for position, row in enumerate(rows):
        style = STYLES.get(str(row["status"]), "")
        table.add_row(*(Text(cells[position], style=style if header == "status" else "") for header, cells, _ in kept))
    return table


def _fitting(columns: list[Filled], width: int) -> list[Filled]:
    """The columns that say anything; where they are too wide together, without those that can be done without."""
    kept = [each for each in columns if any(each[1])]
    for spare in SPARE:
        if sum(max(map(len, (header, *cells))) + 2 for header, cells, _ in kept) <= width:
            break
        kept = [each for each in kept if each[0] != spare]
    return kept


def _rows(table: pd.DataFrame) -> list[Row]:
    return list(table.to_dict(orient="records"))


def _columns(group: pd.DataFrame) -> list[tuple[str, Cell, bool]]:
    """Header, what a row shows there, and whether it is text."""
    axes = list(dict.fromkeys(name for names in group["axes"] for name in names.split(", ") if name != "lr_scale"))
    names = [name for name in IDENTITY if name == "optimizer" or group[name].nunique(dropna=False) > 1]
    names += [
        str(name)
        for name in group
        if str(name).startswith(("objective.", "optimizer.")) and name not in axes and _varies(group, str(name))
    ]
    if "lr" not in axes:
        axes = ["lr", *axes]
    columns: list[tuple[str, Cell, bool]] = [
        (name.removeprefix("optimizer.").removeprefix("objective."), _plain(name), group[name].dtype.kind not in "if")
        for name in (*names, *axes)
    ]
    return [
        *columns,
        ("status", lambda row: str(row["status"]), True),
        *_reached(group),
        ("plateau", lambda row: _decades(row["plateau_decades"]), False),
        ("within 2×", lambda row: _decades(row["within_2x_decades"]), False),
        ("runs", lambda row: str(row["runs"]), False),
    ]


def _reached(group: pd.DataFrame) -> list[tuple[str, Cell, bool]]:
    """What the winners reached: steps, gradients where they are not the same, time where it was taken, the gap."""
    other_work = (group["gradients_to_target"] != group["steps_to_target"]).fillna(False).any()
    return [
        ("steps", _plain("steps_to_target"), False),
        ("gradients", _plain("gradients_to_target") if other_work else lambda row: "", False),
        ("time", lambda row: seconds(row["time_to_target_s"]), False),
        ("final gap", lambda row: _gap(row), False),
    ]


def _varies(group: pd.DataFrame, name: str) -> bool:
    """Whether a parameter tells rows of one optimizer, or one objective, apart."""
    return bool((group.groupby(name.partition(".")[0])[name].nunique() > 1).any())


def _plain(name: str) -> Cell:
    def cell(row: Row) -> str:
        value = row[name]
        if value is None or pd.isna(value):
            return ""
        return number(value) if isinstance(value, float) else str(value)

    return cell


def _gap(row: Row) -> str:
    if row["status"] in ("diverged", "nonfinite"):
        return ""
    if pd.isna(row["final_gap"]):
        return "" if pd.isna(row["final_loss"]) else f"f {number(row['final_loss'])}"
    return f"< {row['gap_floor']:.1e}" if abs(row["final_gap"]) < row["gap_floor"] else f"{row['final_gap']:.1e}"


def _decades(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _legend(winners: pd.DataFrame) -> list[str]:
    if winners["plateau_decades"].isna().all():
        return []
    return ["plateau, within 2×: decades of lr, as tried, that share the best goal, and that stay within twice of it."]


def _warnings(winners: pd.DataFrame) -> list[str]:
    """What a reader must know before believing a row; a remark that several rows share names them all."""
    remarks: dict[tuple[str, str], list[str]] = {}
    several = winners["impl"].nunique() > 1
    for row in _rows(winners):
        for remark in _remarks(row):
            who = f"{row['optimizer']} ({row['impl']})" if several else row["optimizer"]
            remarks.setdefault((row["objective"], remark), []).append(who)
    return [f"{', '.join(who)} on {where}: {remark}." for (where, remark), who in remarks.items()]


def _remarks(row: Row) -> list[str]:
    if pd.isna(row["command"]):
        reason = row["error"] if pd.notna(row["error"]) else "they diverged or got nowhere"
        return [f"none of {row['runs']} runs may win ({str(reason).rstrip('.')})"]
    edges = [edge.split() for edge in row["edges"].split(", ") if edge]
    found = [f"the best reaches the end of the range of {name}; {way} ones may be better" for name, way in edges]
    if math.isinf(row["value"]) and row["status"] != "target":
        found.append("no run reached the target, so the final gap decided; give it more steps")
    elif row["goal"].endswith("_to_target") and row["within_2x_decades"] < LUCKY:
        found.append("no lr beside the best comes near it: a lucky hit")
    return found


def _repeat(winners: pd.DataFrame) -> list[str]:
    """The command of each objective's winner, each on a line of its own, to be copied whole."""
    best = winners[winners["command"].notna()].groupby("objective", sort=False).head(1)
    lines = [f"  {command}" for command in best["command"]]
    return [f"Repeat the best{' of each objective' if len(lines) > 1 else ''}:", *lines] if lines else []
