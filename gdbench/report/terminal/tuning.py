"""Results of a search in the terminal: the best hyper-parameters of each method, and how sensitive it is to them."""

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
from gdbench.analysis.tuning_score import is_cost_metric
from gdbench.config.search_metric import is_training_metric
from gdbench.errors import format_count
from gdbench.report.number_format import format_gap, format_number, format_seconds, format_value
from gdbench.report.result_text import describe_tests, format_result
from gdbench.report.setting_labels import metric_words, setting_header
from gdbench.report.terminal.column_fitting import UNLIMITED, Column, describe_dropped, fit_columns, make_console
from gdbench.report.terminal.sweep import closing_line
from gdbench.report.terminal.sweep_table import STYLES, metric_columns
from gdbench.results.run_outcomes import TARGET_SHORTFALL, find_metric_signs
from gdbench.results.run_settings import PROBLEM_SETTINGS, find_differing_settings, name_problems

__all__ = ["print_tuning", "render_tuning"]

UNITS = {"steps_to_target": "steps", "gradient_evals_to_target": "gradients", "steps_to_settle": "steps"}
EXTRA_METRICS = {"steps_to_settle": "settled", "best_gap": "best gap", "best_loss": "best loss"}
"""Metrics with a column of their own, only if they were tuned for, and its header."""
SHARED = {"impl": "{}", "dtype": "{}", "device": "{}", "steps": "{} steps"}
"""Phrases of the caption for settings that all rows share."""
TARGET = {"target": "target {}", "target_loss": "target loss {}", "target_metric": "target {}"}
OPTIONAL_COLUMNS = ("runs", "final gap", "trials", "status", "gradients")
"""Columns in the order in which a narrow terminal drops them; --json has all."""

Row = Mapping[Any, Any]
Formatter = Callable[[Row], str]


def print_tuning(winners: pd.DataFrame, folder: Path) -> None:
    """Print the results of a search."""
    out = make_console()
    out.print(render_tuning(winners, folder, out.width), crop=False)  # a command longer than a line stays whole


def render_tuning(winners: pd.DataFrame, folder: Path, width: int = UNLIMITED) -> RenderableType:
    """Caption, one table per problem, warnings, the command of each problem's winner, and the files."""
    metrics = winners["metric"].unique()
    metric = f"{_find_best_end(winners)} {metric_words(metrics[0])}" if len(metrics) == 1 else "several metrics"
    caption = [
        f"gdbench {__version__}",
        f"tuned for the {metric}",
        *_describe_trials(winners),
        *_describe_shared(winners),
    ]
    parts: list[RenderableType] = [Text(" · ".join(caption), style="bold"), Text()]
    for problem, group in winners.groupby(name_problems(winners), sort=False):
        parts += [Text(f"{problem}", style="bold"), _problem_table(group, width), Text()]
    lines = [*_describe_winners(winners), *_list_warnings(winners), *_explain_columns(winners)]
    lines += [*_list_commands(winners), f"Files: {folder}"]
    return Group(*parts, *(closing_line(line, whole=line.startswith(("  python", "Files"))) for line in lines))


def _find_best_end(winners: pd.DataFrame) -> str:
    """Which end of the metric is the best: lowest or highest."""
    is_highest = winners["metric"].map(is_training_metric) & (find_metric_signs(winners, winners["metric"]) < 0)
    return "highest" if is_highest.all() else "lowest"


def _describe_trials(winners: pd.DataFrame) -> list[str]:
    """The number of trials, if all rows that ran have the same."""
    trials = winners.loc[winners["command"].notna(), "trials"].unique()
    return [f"{trials[0]} trials{' each' if len(winners) > 1 else ''}"] if len(trials) == 1 else []


def _describe_shared(winners: pd.DataFrame) -> list[str]:
    """The settings that all rows share."""
    first = winners.iloc[0]
    targets = TARGET if winners["metric"].map(is_cost_metric).any() else {}
    phrases = {name: words for name, words in {**SHARED, **targets}.items() if winners[name].nunique(dropna=False) == 1}
    if pd.notna(first["target_loss"]) or pd.notna(first["target_metric"]):
        phrases.pop("target", None)
    words = [phrase.format(format_value(first[name])) for name, phrase in phrases.items() if pd.notna(first[name])]
    return words + ([f"median of {first['seeds']} seeds"] if first["seeds"] > 1 else [])


# ------------------------------------------------------------------------------------------------------------ table


def _problem_table(group: pd.DataFrame, width: int) -> RenderableType:
    """The table of a problem, and a line on columns that did not fit."""
    rows: list[Row] = list(group.to_dict(orient="records"))
    styles = {place: STYLES.get(str(row["status"]), "") for place, row in enumerate(rows)}
    columns = [
        Column(
            header,
            [cell(row) for row in rows],
            is_text,
            drop_rank=len(OPTIONAL_COLUMNS) - OPTIONAL_COLUMNS.index(header) if header in OPTIONAL_COLUMNS else None,
            styles=styles if header == "status" else {},
        )
        for header, cell, is_text in _column_specs(group)
    ]
    table = fit_columns([*columns, *metric_columns(group)], width)
    return Group(table, *(Text(line, style="dim") for line in describe_dropped([table])))


def _column_specs(group: pd.DataFrame) -> list[tuple[str, Formatter, bool]]:
    """Header, formatter and whether it is text, of each column."""
    axes = list(dict.fromkeys(name for names in group["axes"] for name in names.split(", ")))
    shown = {"objective", "optimizer", "seed", "lr", *axes}
    names = ["optimizer", *(name for name in find_differing_settings(group) if name not in shown)]
    names += axes if "lr" in axes else ["lr", *axes]
    has_other_work = (group["gradient_evals_to_target"] != group["steps_to_target"]).fillna(False).any()
    extra = [name for name in group["metric"].unique() if name in EXTRA_METRICS]
    return [
        *((setting_header(name, names), _formatter_of(name), group[name].dtype.kind not in "if") for name in names),
        ("status", lambda row: f"{row['status']}, left" if row["outcome"] == "left" else str(row["status"]), True),
        ("steps", _formatter_of("steps_to_target"), False),
        ("gradients", _formatter_of("gradient_evals_to_target") if has_other_work else lambda row: "", False),
        ("time", lambda row: format_seconds(row["time_to_target_s"]), False),
        *((EXTRA_METRICS[name], _formatter_of(name), False) for name in extra),
        ("final gap", _format_final, False),
        ("plateau", lambda row: "" if pd.isna(row["within_2x_decades"]) else f"{row['within_2x_decades']:.2f}", False),
        ("spike", _format_spike, False),
        ("trials", lambda row: str(row["trials"]), False),
        ("runs", lambda row: str(row["runs"]) if row["seeds"] > 1 else "", False),
    ]


def _formatter_of(name: str) -> Formatter:
    return lambda row: format_value(row[name])


def _format_spike(row: Row) -> str:
    value = format_value(row["spike_value"])
    return f"{value} at {format_value(row['spike_lr'])}" if value else ""


def _format_final(row: Row) -> str:
    """The final gap, or the final loss if the minimum is unknown."""
    if row["status"] in ("diverged", "nonfinite"):
        return ""
    if pd.isna(row["final_gap"]):
        return "" if pd.isna(row["final_loss"]) else f"f {format_number(row['final_loss'])}"
    return format_gap(row["final_gap"], row["gap_floor"])


# ---------------------------------------------------------------------------------------------------------- winners


def _describe_winners(winners: pd.DataFrame) -> list[str]:
    """A sentence per problem on its first row."""
    lines = []
    for problem, group in winners.assign(who=_row_names(winners)).groupby(name_problems(winners), sort=False):
        row = group.iloc[0].to_dict()
        if pd.isna(row["command"]):
            continue
        values = ", ".join(f"{name.rpartition('.')[2]} {format_value(row[name])}" for name in _axis_names(row))
        left = ", which it left again" if row["outcome"] == "left" else ""
        best = _find_best_end(group).capitalize() if _has_few_trials(row) else "Best"
        title = f"{best} on {problem}, of {_count_trials(group)}"
        lines.append(f"{title}: {row['who']} at {values}, {_describe_value(row)}{left}{_describe_ties(group)}.")
    return lines


def _describe_ties(group: pd.DataFrame) -> str:
    """The rows with the same results as the first, by name; empty if there are none."""
    first = group.iloc[0]
    names = ["outcome", "value"] if math.isfinite(first["value"]) else ["outcome", "value", "final_gap", "final_loss"]
    same = group[names].eq(first[names]) | group[names].isna() & first[names].isna()
    equals = group.loc[same.all(axis=1) & group["command"].notna(), "who"].tolist()[1:]
    return f", tied with {', '.join(equals)}" if equals else ""


def _count_trials(group: pd.DataFrame) -> str:
    """The number of points tried per row that ran."""
    trials = group.loc[group["command"].notna(), "trials"]
    count = f"{trials.min()} to {trials.max()}" if trials.nunique() > 1 else f"{trials.iloc[0]}"
    return f"{count} tried" + (" for each" if len(group) > 1 else "")


def _axis_names(row: Row) -> list[str]:
    axes = row["axes"].split(", ")
    return [*axes, "lr"] if "lr_scale" in axes else axes


def _describe_value(row: Row) -> str:
    """The metric of a row, or the final gap or loss if no run reached the target."""
    metric, value = row["metric"], row["value"]
    if math.isinf(value) and pd.notna(row["target_shortfall"]):
        return format_result(row["target_shortfall"], TARGET_SHORTFALL) + describe_tests(row)
    if math.isinf(value):
        text = _format_final(row)
        return f"final loss {text.removeprefix('f ')}" if text.startswith("f ") else f"final gap {text}"
    if metric == "time_to_target":
        return f"{format_seconds(value)} to the target"
    number = format_number(float(value))
    if metric not in UNITS:
        return f"{metric_words(metric)} {number}{describe_tests(row)}"
    unit = UNITS[metric].removesuffix("s") if value == 1 else UNITS[metric]
    return f"{number} {unit}{metric_words(metric).removeprefix(UNITS[metric])}{describe_tests(row)}"


def _explain_columns(winners: pd.DataFrame) -> list[str]:
    """The meaning of columns that are not plain."""
    lines = []
    if (winners["seeds"] > 1).any() and any(str(name).startswith("selected.test.") for name in winners):
        lines.append("test: of the run with the median seed, at the step that held-out data select.")
    if winners["within_2x_decades"].isna().all():
        return lines
    lines += [
        "plateau: decades of contiguous tried lrs that cost at most twice as much; better lrs may lie between them."
    ]
    if winners["spike_value"].notna().any():
        lines.append(
            f"spike: a better lr that was not chosen, as fewer than {GOOD_COUNT} contiguous lrs, or less than"
            f" {GOOD_DECADES} decades, cost at most twice as much."
        )
    return lines


# --------------------------------------------------------------------------------------------------------- warnings


def _list_warnings(winners: pd.DataFrame) -> list[str]:
    """A line per warning, with the rows that share it."""
    rows: dict[tuple[str, str], list[str]] = {}
    records = winners.to_dict(orient="records")
    for who, problem, row in zip(_row_names(winners), name_problems(winners), records, strict=True):
        for warning in _row_warnings(row):
            rows.setdefault((problem, warning), []).append(who)
    return [f"{', '.join(who)} on {problem}: {warning}." for (problem, warning), who in rows.items()]


def _row_names(winners: pd.DataFrame) -> list[str]:
    """The name of each row: its optimizer, with other distinguishing settings in brackets."""
    axes = {name for names in winners["axes"] for name in names.split(", ")}
    common = {"objective", "optimizer", "seed", "lr", "lr_scale", *PROBLEM_SETTINGS, *axes}
    differing = [
        name for name in find_differing_settings(winners) if name not in common and not name.startswith("objective.")
    ]
    rows = zip(winners["optimizer"], *(winners[name].map(format_value) for name in differing), strict=True)
    return [f"{optimizer} ({', '.join(filter(None, texts))})" if texts else optimizer for optimizer, *texts in rows]


def _row_warnings(row: Row) -> list[str]:
    if pd.isna(row["command"]):
        if pd.notna(row["error"]):
            return [f"none of {row['runs']} runs has a result ({str(row['error']).rstrip('.')})"]
        return [f"all {row['runs']} runs diverged or failed"]
    if _has_few_trials(row):
        return [_warn_of_few_trials(row)]
    edges = [edge.split() for edge in row["edges"].split(", ") if edge]
    warnings = [f"the best {name} is at the end of its range; {way} values may be better" for name, way in edges]
    if math.isinf(row["value"]) and row["status"] != "target":
        nearest = "how near runs came" if pd.notna(row["target_shortfall"]) else "the final gap"
        warnings.append(f"no run reached the target, so {nearest} decided; give it more steps")
    elif row["outcome"] == "left":
        warnings.append("every lr that reached the target left it again; runs that stay at it would rank first")
    decades = row["within_2x_decades"]
    if pd.notna(decades) and decades < GOOD_DECADES and is_cost_metric(row["metric"]):
        warnings.append(
            f"only lrs within a factor of {10**decades:.3g} of one another cost at most twice as much: easily missed"
            if decades
            else "no neighbouring lr performs similarly; treat this optimum as fragile"
        )
    if row["trials"] < row["budget"]:
        reason = "the range or the list holds no more numbers of four digits"
        warnings.append(f"{row['trials']} of {row['budget']} trials were made: {reason}")
    return warnings


def _warn_of_few_trials(row: Row) -> str:
    return (
        f"{format_count(row['trials'], 'trial')} over so wide a range tell little: better ones may lie between or"
        f" beyond them, and a plateau ({GOOD_COUNT} in a row that cost about the same) cannot be seen; take"
        f" trials={row['telling']} or more, a narrower range, or leave out trials="
    )


def _has_few_trials(row: Row) -> bool:
    """Whether too few points were tried to know what lies between them."""
    return bool(row["budget"] < row["telling"])


def _list_commands(winners: pd.DataFrame) -> list[str]:
    """The command of each problem's winner, each on a line of its own."""
    ran = winners[winners["command"].notna()]
    best = ran.groupby(name_problems(winners).loc[ran.index], sort=False).head(1)
    lines = [f"  {command}" for command in best["command"]]
    return [f"Repeat the best{' of each problem' if len(lines) > 1 else ''}:", *lines] if lines else []
