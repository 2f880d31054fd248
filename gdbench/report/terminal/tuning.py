"""The table of a search in the terminal: what each method reached at its best numbers, and how much these forgive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench import __version__
from gdbench.analysis.plateau import GOOD_COUNT, GOOD_DECADES
from gdbench.analysis.tuning_metric import is_cost_metric
from gdbench.errors import format_count
from gdbench.report.number_format import number, seconds
from gdbench.report.setting_words import METRICS, setting_header
from gdbench.report.terminal.fitting import UNLIMITED, Column, console, describe_dropped, fit_columns
from gdbench.report.terminal.sweep import closing_line
from gdbench.report.terminal.sweep_table import STYLES
from gdbench.results.run_settings import PROBLEM_SETTINGS, find_differing_settings, name_problems

__all__ = ["show_tuned", "tuned_report"]

UNITS = {"steps_to_target": "steps", "gradient_evals_to_target": "gradients", "steps_to_settle": "steps"}
OWN = {"steps_to_settle": "settled", "best_gap": "best gap", "best_loss": "best loss"}
"""Metrics that have no column of their own in every table, and its header."""
SHARED = {"impl": "{}", "dtype": "{}", "device": "{}", "steps": "{} steps"}
"""What goes to the caption where all rows have it in common, in words."""
TARGET = {"target": "target {}", "target_loss": "target loss {}"}
SPARE = ("runs", "final gap", "trials", "status", "gradients")
"""Columns that a narrow terminal goes without, the first first; --json has them all."""

Row = Mapping[Any, Any]
Cell = Callable[[Row], str]


def show_tuned(winners: pd.DataFrame, folder: Path) -> None:
    """Print the report of one search."""
    out = console()
    out.print(tuned_report(winners, folder, out.width), crop=False)  # a command longer than a line stays whole


def tuned_report(winners: pd.DataFrame, folder: Path, width: int = UNLIMITED) -> RenderableType:
    """Caption, one table a problem, warnings, the command that repeats each problem's winner, and the files."""
    metrics = winners["metric"].unique()
    metric = f"lowest {METRICS[metrics[0]]}" if len(metrics) == 1 else "several metrics"
    parts: list[RenderableType] = [
        Text(
            " · ".join([f"gdbench {__version__}", f"tuned for the {metric}", *_trials(winners), *_shared(winners)]),
            style="bold",
        ),
        Text(),
    ]
    for problem, group in winners.groupby(name_problems(winners), sort=False):
        parts += [Text(f"{problem}", style="bold"), _table(group, width), Text()]
    lines = [*_best(winners), *_warnings(winners), *_legend(winners), *_repeat(winners), f"Files: {folder}"]
    return Group(*parts, *(closing_line(line, whole=line.startswith(("  python", "Files"))) for line in lines))


def _trials(winners: pd.DataFrame) -> list[str]:
    """The number of trials, where all rows that could run have the same."""
    trials = winners.loc[winners["command"].notna(), "trials"].unique()
    return [f"{trials[0]} trials{' each' if len(winners) > 1 else ''}"] if len(trials) == 1 else []


def _shared(winners: pd.DataFrame) -> list[str]:
    """What all rows have in common, in words."""
    first = winners.iloc[0]
    targets = TARGET if winners["metric"].map(is_cost_metric).any() else {}
    wanted = {name: words for name, words in {**SHARED, **targets}.items() if winners[name].nunique(dropna=False) == 1}
    if pd.notna(first["target_loss"]):
        wanted.pop("target", None)
    said = [words.format(_plain(name)(first.to_dict())) for name, words in wanted.items() if pd.notna(first[name])]
    return said + ([f"median of {first['seeds']} seeds"] if first["seeds"] > 1 else [])


def _table(group: pd.DataFrame, width: int) -> RenderableType:
    """The table of a problem, and what a line had no room for."""
    rows = _rows(group)
    styles = {place: STYLES.get(str(row["status"]), "") for place, row in enumerate(rows)}
    columns = [
        Column(
            header,
            [cell(row) for row in rows],
            left,
            rank=len(SPARE) - SPARE.index(header) if header in SPARE else None,
            styles=styles if header == "status" else {},
        )
        for header, cell, left in _columns(group)
    ]
    table = fit_columns(columns, width)
    return Group(table, *(Text(line, style="dim") for line in describe_dropped([table])))


def _rows(table: pd.DataFrame) -> list[Row]:
    return list(table.to_dict(orient="records"))


def _columns(group: pd.DataFrame) -> list[tuple[str, Cell, bool]]:
    """Header, what a row shows there, and whether it is text."""
    axes = list(dict.fromkeys(name for names in group["axes"] for name in names.split(", ")))
    shown = {"objective", "optimizer", "seed", "lr", *axes}
    names = ["optimizer", *(name for name in find_differing_settings(group) if name not in shown)]
    if "lr" not in axes:
        axes = ["lr", *axes]
    columns: list[tuple[str, Cell, bool]] = [
        (setting_header(name, [*names, *axes]), _plain(name), group[name].dtype.kind not in "if")
        for name in (*names, *axes)
    ]
    return [
        *columns,
        ("status", _status, True),
        *_reached(group),
        ("plateau", lambda row: _decades(row["within_2x_decades"]), False),
        ("spike", lambda row: _spike(row), False),
        ("trials", lambda row: str(row["trials"]), False),
        ("runs", lambda row: str(row["runs"]) if row["seeds"] > 1 else "", False),
    ]


def _reached(group: pd.DataFrame) -> list[tuple[str, Cell, bool]]:
    """What the winners reached: steps, gradients where they are not the same, time where it was taken, the gap."""
    other_work = (group["gradient_evals_to_target"] != group["steps_to_target"]).fillna(False).any()
    return [
        ("steps", _plain("steps_to_target"), False),
        ("gradients", _plain("gradient_evals_to_target") if other_work else lambda row: "", False),
        ("time", lambda row: seconds(row["time_to_target_s"]), False),
        *((OWN[name], _plain(name), False) for name in group["metric"].unique() if name in OWN),
        ("final gap", lambda row: _gap(row), False),
    ]


def _status(row: Row) -> str:
    return f"{row['status']}, left" if row["outcome"] == "left" else str(row["status"])


def _spike(row: Row) -> str:
    value, lr = _plain("spike_value")(row), _plain("spike_lr")(row)
    return f"{value} at {lr}" if value else ""


def _plain(name: str) -> Cell:
    return lambda row: _text(row[name])


def _text(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    return number(value) if isinstance(value, float) else str(value)


def _gap(row: Row) -> str:
    if row["status"] in ("diverged", "nonfinite"):
        return ""
    if pd.isna(row["final_gap"]):
        return "" if pd.isna(row["final_loss"]) else f"f {number(row['final_loss'])}"
    return f"< {row['gap_floor']:.1e}" if abs(row["final_gap"]) < row["gap_floor"] else f"{row['final_gap']:.1e}"


def _decades(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _best(winners: pd.DataFrame) -> list[str]:
    """The first row of each problem in words: best of how many that were tried."""
    lines = []
    for where, group in winners.assign(who=_row_names(winners)).groupby(name_problems(winners), sort=False):
        row = group.iloc[0].to_dict()
        if pd.notna(row["command"]):
            numbers = ", ".join(f"{name.rpartition('.')[2]} {_plain(name)(row)}" for name in _axis_names(row))
            left = ", which it left again" if row["outcome"] == "left" else ""
            left += _tied(group)
            first = "Lowest" if _tells_little(row) else "Best"
            lines.append(
                f"{first} on {where}, of {_tried(group)}: {row['who']} at {numbers}, {_reached_value(row)}{left}."
            )
    return lines


def _tied(group: pd.DataFrame) -> str:
    """The rows whose numbers are those of the first, which stands there by its name alone; nothing where none are."""
    first = group.iloc[0]
    names = ["outcome", "value"] if math.isfinite(first["value"]) else ["outcome", "value", "final_gap", "final_loss"]
    same = group[names].eq(first[names]) | group[names].isna() & first[names].isna()
    equals = group.loc[same.all(axis=1) & group["command"].notna(), "who"].tolist()[1:]
    return f", tied with {', '.join(equals)}" if equals else ""


def _tried(group: pd.DataFrame) -> str:
    """How many points were tried for each row that could run."""
    trials = group.loc[group["command"].notna(), "trials"]
    number_tried = f"{trials.min()} to {trials.max()}" if trials.nunique() > 1 else f"{trials.iloc[0]}"
    return f"{number_tried} tried" + (" for each" if len(group) > 1 else "")


def _axis_names(row: Row) -> list[str]:
    axes = row["axes"].split(", ")
    return [*axes, "lr"] if "lr_scale" in axes else axes


def _reached_value(row: Row) -> str:
    """The metric of a row in words; what decided where no run reached the target."""
    metric, value = row["metric"], row["value"]
    if math.isinf(value):
        gap = _gap(row)
        return f"final loss {gap.removeprefix('f ')}" if gap.startswith("f ") else f"final gap {gap}"
    if metric == "time_to_target":
        return f"{seconds(value)} to the target"
    if metric not in UNITS:
        return f"{METRICS[metric]} {number(float(value))}"
    unit = UNITS[metric].removesuffix("s") if value == 1 else UNITS[metric]
    return f"{number(float(value))} {unit}{METRICS[metric].removeprefix(UNITS[metric])}"


def _legend(winners: pd.DataFrame) -> list[str]:
    if winners["within_2x_decades"].isna().all():
        return []
    lines = ["plateau: decades of lr around it, as tried, that pay at most twice as much; better lrs may lie between."]
    if winners["spike_value"].notna().any():
        lines.append(
            f"spike: a better lr that was not chosen: fewer than {GOOD_COUNT} lrs in a row, or less than {GOOD_DECADES}"
            " decades, come within twice of it."
        )
    return lines


def _warnings(winners: pd.DataFrame) -> list[str]:
    """What a reader must know before believing a row; a remark that several rows share names them all."""
    remarks: dict[tuple[str, str], list[str]] = {}
    for who, where, row in zip(_row_names(winners), name_problems(winners), _rows(winners), strict=True):
        for remark in _remarks(row):
            remarks.setdefault((where, remark), []).append(who)
    return [f"{', '.join(who)} on {where}: {remark}." for (where, remark), who in remarks.items()]


def _row_names(winners: pd.DataFrame) -> list[str]:
    """What each row is called: its optimizer, and in brackets what else tells it from the others."""
    axes = {name for names in winners["axes"] for name in names.split(", ")}
    common = {"objective", "optimizer", "seed", "lr", "lr_scale", *PROBLEM_SETTINGS, *axes}
    differing = [
        name for name in find_differing_settings(winners) if name not in common and not name.startswith("objective.")
    ]
    rows = zip(winners["optimizer"], *(winners[name].map(_text) for name in differing), strict=True)
    return [f"{optimizer} ({', '.join(filter(None, texts))})" if texts else optimizer for optimizer, *texts in rows]


def _remarks(row: Row) -> list[str]:
    if pd.isna(row["command"]):
        if pd.notna(row["error"]):
            return [f"none of {row['runs']} runs has a result ({str(row['error']).rstrip('.')})"]
        return [f"all {row['runs']} runs diverged or failed"]
    if _tells_little(row):
        return [_describe_few(row)]
    edges = [edge.split() for edge in row["edges"].split(", ") if edge]
    remarks = [f"the best reaches the end of the range of {name}; {way} ones may be better" for name, way in edges]
    if math.isinf(row["value"]) and row["status"] != "target":
        remarks.append("no run reached the target, so the final gap decided; give it more steps")
    elif row["outcome"] == "left":
        remarks.append("every lr that reached the target left it again; runs that stay at it would rank first")
    if pd.notna(row["within_2x_decades"]) and row["within_2x_decades"] < GOOD_DECADES and is_cost_metric(row["metric"]):
        remarks.append(_describe_narrow(row["within_2x_decades"]))
    if row["trials"] < row["budget"]:
        remarks.append(f"{row['trials']} of {row['budget']} trials were made: {_why_fewer(row)}")
    return remarks


def _describe_narrow(decades: float) -> str:
    """How little the lr may differ before the cost doubles, where that is less than a good plateau."""
    if decades == 0:
        return "no neighbouring lr performs similarly; treat this optimum as fragile"
    return f"only lrs within a factor of {10**decades:.3g} of one another cost at most twice as much: easily missed"


def _tells_little(row: Row) -> bool:
    """Whether so few points were tried that nothing is known of what lies between them."""
    return bool(row["budget"] < row["telling"])


def _describe_few(row: Row) -> str:
    """What few trials do not tell, and how many do."""
    return (
        f"{format_count(row['trials'], 'trial')} over so wide a range tell little: better ones may lie anywhere between"
        f" or beyond them, and a plateau ({GOOD_COUNT} in a row that cost about the same) cannot be seen; take"
        f" trials={row['telling']} or more, a narrower range, or leave out trials="
    )


def _why_fewer(row: Row) -> str:
    return "the range or the list holds no more numbers of four digits"


def _repeat(winners: pd.DataFrame) -> list[str]:
    """The command of each problem's winner, each on a line of its own, to be copied whole."""
    won = winners[winners["command"].notna()]
    best = won.groupby(name_problems(winners).loc[won.index], sort=False).head(1)
    lines = [f"  {command}" for command in best["command"]]
    return [f"Repeat the best{' of each problem' if len(lines) > 1 else ''}:", *lines] if lines else []
