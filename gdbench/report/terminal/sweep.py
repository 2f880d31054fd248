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
from gdbench.analysis.ranked_rows import build_configuration_rows, build_run_rows
from gdbench.errors import format_count
from gdbench.report.best import best_lines
from gdbench.report.caveats import caveats
from gdbench.report.number_format import number
from gdbench.report.setting_words import WORDED
from gdbench.report.terminal.fitting import UNLIMITED, FittedTable, console, describe_dropped, fit_columns
from gdbench.report.terminal.sweep_table import legend, sweep_columns
from gdbench.results.columns import SETTINGS
from gdbench.results.costs import select_comparable
from gdbench.results.run_settings import find_differing_settings, name_objectives
from gdbench.results.statuses import SOUND, STATUSES

__all__ = ["closing_line", "show_sweep", "sweep_report"]

ROWS = 20
"""Configurations shown of one problem; the files hold them all, and a million lines help nobody."""
LONGEST_REASON = 150
NOTHING = {"schedule": "constant", "clip": "none", "noise": "none", "start_noise": 0.0, "threads": 1}
NOTHING |= {"lr_scale": 1.0, "lr_scale_of": "default"}
"""Values that go without saying where all rows have them."""


def show_sweep(runs: pd.DataFrame, folder: Path, each: bool = False) -> None:
    """Print the report of one sweep; with ``each`` a row for every run, else for every configuration."""
    out = console()
    out.print(sweep_report(runs, folder, out.width, each), crop=False)  # a path longer than a line stays whole


def sweep_report(runs: pd.DataFrame, folder: Path, width: int = UNLIMITED, each: bool = False) -> RenderableType:
    """Caption, one table an objective, what was counted, the best and whether its lr sat on the edge, and the files."""
    told = select_comparable(runs)
    rows = build_run_rows(runs) if each else build_configuration_rows(runs, told, ROWS)
    differing = [name for name in find_differing_settings(runs) if each or name != "seed"]
    names = name_objectives(runs)
    parts: list[RenderableType] = [_caption(runs.iloc[0], differing, rows["n"]), Text()]
    tables = []
    for name, group in rows.groupby(name_objectives(rows), sort=False):
        here = [setting for setting in find_differing_settings(runs[names == name]) if setting in differing]
        if names.nunique() > 1:
            parts.append(_heading(str(name), group.iloc[0], [other for other in differing if other not in here]))
        table = fit_columns(sweep_columns(group, here, each, rows["n"].nunique() > 1), width)
        tables.append(table)
        parts += [table, *_count_hidden(group), Text()]
    return Group(*parts, *_closing(runs, told, tables, folder))


def _count_hidden(rows: pd.DataFrame) -> list[Text]:
    """How many more configurations its problems have than are shown."""
    more = int(rows.drop_duplicates("problem")["of"].sum()) - len(rows)
    return [Text(f" … and {more} more, all in runs.parquet; --all-runs shows every run", style="dim")] if more else []


def _words(row: pd.Series, names: list[str]) -> list[str]:
    return [WORDED.get(name, "{}").format(_value(row[name])) for name in names if _value(row[name])]


def _caption(row: pd.Series, differing: list[str], seeds: pd.Series) -> Text:
    """What all rows share: settings, and the number of seeds where there are several."""
    told = [name for name in SETTINGS if name in row.index and row[name] != NOTHING.get(name, ...)]
    shared = [name for name in told if name not in differing and name != "seed"]
    words = [f"gdbench {__version__}", *_words(row, shared)]
    words += [f"{seeds.iloc[0]} seeds"] if seeds.nunique() == 1 and seeds.iloc[0] > 1 else []
    return Text(" · ".join(words), style="bold")


def _heading(problem: str, row: pd.Series, shared: list[str]) -> Text:
    """A problem, and what its rows share but others do not."""
    words = _words(row, [name for name in shared if name != "objective" and "." not in name])
    return Text(f" {' · '.join([problem, *words])}", style="bold")


def _value(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    return number(value) if isinstance(value, float) else str(value)


def _closing(runs: pd.DataFrame, told: pd.DataFrame, tables: list[FittedTable], folder: Path) -> list[RenderableType]:
    """What a line had no room for, counts, resolution, marks, reasons, the best, and where to go on."""
    lines = [_counts(runs), *_resolution(runs), *legend(tables), *caveats(runs, told), *_reasons(runs)]
    lines += best_lines(told)
    lines += [f"Files: {folder}", f"Next: python -m gdbench report {shlex.quote(str(folder))}"]
    return [
        *(Text(line, style="dim") for line in describe_dropped(tables)),
        *(closing_line(line, whole=line.startswith(("Files", "Next"))) for line in lines),
    ]


def closing_line(line: str, whole: bool) -> Text:
    """A line below a table: a remark is wrapped, a command or a path stays whole, to be copied."""
    return Text(line, no_wrap=whole, overflow="ignore" if whole else None)


def _counts(runs: pd.DataFrame) -> str:
    counted = runs["status"].value_counts()
    words = [f"{counted[name]} {name}" for name in STATUSES if name in counted]
    last = " (diverged and failed runs are listed last)" if set(counted.index) - set(SOUND) else ""
    return f"{format_count(len(runs), 'run')}: {', '.join(words)}{last}."


def _resolution(runs: pd.DataFrame) -> list[str]:
    """The dtypes in which the lower rungs of the ladder are not told."""
    coarse = (
        runs[runs["gap_floor"] > 1e-12].groupby(["objective", "dtype"], sort=False, as_index=False)["gap_floor"].max()
    )
    return [
        f"{row['dtype']} resolves gaps down to {row['gap_floor']:.0e} on {row['objective']};"
        " smaller targets are left empty."
        for _, row in coarse.iterrows()
    ]


def _reasons(runs: pd.DataFrame) -> list[str]:
    """Why runs failed or were unavailable, each reason once, and how often."""
    counted = runs[runs["error"].notna()].groupby(["status", "error"], sort=False).size().reset_index(name="runs")
    return [
        f"{row['status']}: {textwrap.shorten(str(row['error']), LONGEST_REASON, placeholder=' …')}"
        + (f" ({row['runs']} runs)" if row["runs"] > 1 else "")
        for _, row in counted.iterrows()
    ]
