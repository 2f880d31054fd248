"""The report of a sweep in the terminal: the best first, equal settings in the caption, what to do next below."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench import __version__
from gdbench.analysis.configurations import configuration_rows, run_rows
from gdbench.errors import format_count
from gdbench.report.caveats import list_caveats
from gdbench.report.number_format import format_number
from gdbench.report.result_text import describe_best
from gdbench.report.setting_labels import SETTING_PHRASES
from gdbench.report.terminal.column_fitting import UNLIMITED, FittedTable, describe_dropped, fit_columns, make_console
from gdbench.report.terminal.sweep_table import explain_marks, sweep_columns
from gdbench.results.columns import ASKED
from gdbench.results.costs import compared
from gdbench.results.run_settings import differing_settings, objective_names

__all__ = ["closing_line", "print_sweep", "render_sweep"]

MAX_ROWS = 20
"""Configurations shown of one problem; the files hold them all, and a million lines help nobody."""
MAX_REASON = 150
DEFAULTS = {"schedule": "constant", "clip": "none", "noise": "none", "start_noise": 0.0, "threads": 1}
DEFAULTS |= {"lr_scale": 1.0, "lr_scale_of": "default"}
"""Values that go without saying where all rows have them."""


def print_sweep(runs: pd.DataFrame, folder: Path, each: bool = False) -> None:
    """Print the report of one sweep; with ``each`` a row for every run, else for every configuration."""
    out = make_console()
    out.print(render_sweep(runs, folder, out.width, each), crop=False)  # a path longer than a line stays whole


def render_sweep(runs: pd.DataFrame, folder: Path, width: int = UNLIMITED, each: bool = False) -> RenderableType:
    """Caption, one table an objective, what was counted, the best and whether its lr sat on the edge, and the files."""
    told = compared(runs)
    rows = run_rows(runs) if each else configuration_rows(runs, told, MAX_ROWS)
    differing = [name for name in differing_settings(runs) if each or name != "seed"]
    names = objective_names(runs)
    parts: list[RenderableType] = [_caption_text(runs.iloc[0], differing, rows["n"]), Text()]
    tables = []
    for name, group in rows.groupby(objective_names(rows), sort=False):
        here = [setting for setting in differing_settings(runs[names == name]) if setting in differing]
        if names.nunique() > 1:
            parts.append(
                _problem_heading(str(name), group.iloc[0], [other for other in differing if other not in here])
            )
        table = fit_columns(sweep_columns(group, here, each, rows["n"].nunique() > 1), width)
        tables.append(table)
        parts += [table, *_describe_hidden(group), Text()]
    return Group(*parts, *_closing_lines(runs, told, tables, folder))


def _describe_hidden(rows: pd.DataFrame) -> list[Text]:
    """How many more configurations its problems have than are shown."""
    more = int(rows.drop_duplicates("problem")["of"].sum()) - len(rows)
    return [Text(f" … and {more} more, all in runs.parquet; --each shows every run", style="dim")] if more else []


def _describe_settings(row: pd.Series, names: list[str]) -> list[str]:
    return [
        SETTING_PHRASES.get(name, "{}").format(_format_value(row[name])) for name in names if _format_value(row[name])
    ]


def _caption_text(row: pd.Series, differing: list[str], seeds: pd.Series) -> Text:
    """What all rows share: settings, and the number of seeds where there are several."""
    told = [name for name in ASKED if name in row.index and row[name] != DEFAULTS.get(name, ...)]
    shared = [name for name in told if name not in differing and name != "seed"]
    words = [f"gdbench {__version__}", *_describe_settings(row, shared)]
    words += [f"{seeds.iloc[0]} seeds"] if seeds.nunique() == 1 and seeds.iloc[0] > 1 else []
    return Text(" · ".join(words), style="bold")


def _problem_heading(problem: str, row: pd.Series, shared: list[str]) -> Text:
    """A problem, and what its rows share but others do not."""
    words = _describe_settings(row, [name for name in shared if name != "objective" and "." not in name])
    return Text(f" {' · '.join([problem, *words])}", style="bold")


def _format_value(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    return format_number(value) if isinstance(value, float) else str(value)


def _closing_lines(
    runs: pd.DataFrame, told: pd.DataFrame, tables: list[FittedTable], folder: Path
) -> list[RenderableType]:
    """What a line had no room for, counts, resolution, marks, reasons, the best, and where to go on."""
    lines = [
        _describe_statuses(runs),
        *_describe_resolution(runs),
        *explain_marks(tables),
        *list_caveats(runs, told),
        *_describe_errors(runs),
    ]
    lines += describe_best(told)
    lines += [f"Files: {folder}", f"Next: python -m gdbench report {shlex.quote(str(folder))}"]
    return [
        *(Text(line, style="dim") for line in describe_dropped(tables)),
        *(closing_line(line, whole=line.startswith(("Files", "Next"))) for line in lines),
    ]


def closing_line(line: str, whole: bool) -> Text:
    """A line below a table: a remark is wrapped, a command or a path stays whole, to be copied."""
    return Text(line, no_wrap=whole, overflow="ignore" if whole else None)


def _describe_statuses(runs: pd.DataFrame) -> str:
    counted = runs["status"].value_counts()
    words = [
        f"{counted[name]} {name}"
        for name in ("target", "plateau", "budget", "diverged", "nonfinite", "unavailable", "failed")
        if name in counted
    ]
    last = (
        " (what cannot win is listed last)"
        if set(counted.index) & {"diverged", "nonfinite", "unavailable", "failed"}
        else ""
    )
    return f"{format_count(len(runs), 'run')}: {', '.join(words)}{last}."


def _describe_resolution(runs: pd.DataFrame) -> list[str]:
    """The dtypes in which the lower rungs of the ladder are not told."""
    coarse = (
        runs[runs["gap_floor"] > 1e-12].groupby(["objective", "dtype"], sort=False, as_index=False)["gap_floor"].max()
    )
    return [
        f"{row['dtype']} tells gaps down to {row['gap_floor']:.0e} on {row['objective']}; targets below are null."
        for _, row in coarse.iterrows()
    ]


def _describe_errors(runs: pd.DataFrame) -> list[str]:
    """Why runs failed or were unavailable, each reason once, and how often."""
    counted = runs[runs["error"].notna()].groupby(["status", "error"], sort=False).size().reset_index(name="runs")
    return [
        f"{row['status']}: {textwrap.shorten(str(row['error']), MAX_REASON, placeholder=' …')}"
        + (f" ({row['runs']} runs)" if row["runs"] > 1 else "")
        for _, row in counted.iterrows()
    ]
