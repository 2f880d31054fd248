"""Report of a sweep in the terminal: caption, one table per objective, the best configuration, next steps."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench import __version__
from gdbench.analysis.ranked_rows import build_configuration_rows, build_run_rows
from gdbench.errors import format_count
from gdbench.report.caveats import list_caveats
from gdbench.report.number_format import format_value
from gdbench.report.result_text import count_statuses, describe_best
from gdbench.report.setting_labels import SETTING_PHRASES
from gdbench.report.terminal.column_fitting import UNLIMITED, FittedTable, describe_dropped, fit_columns, make_console
from gdbench.report.terminal.sweep_table import explain_marks, sweep_columns
from gdbench.results.columns import SETTINGS
from gdbench.results.costs import select_comparable
from gdbench.results.ranking import rank_configurations
from gdbench.results.run_settings import find_differing_settings, name_objectives
from gdbench.results.statuses import SOUND
from gdbench.results.values import is_null

__all__ = ["closing_line", "print_sweep", "render_sweep"]

MAX_ROWS = 20
"""Configurations printed per problem; the files hold all."""
MAX_REASON = 150
"""Characters of an error."""
DEFAULTS = {
    "schedule": "constant",
    "clip": "none",
    "noise": "none",
    "average": "none",
    "lr_scale_of": "default",
    "start_noise": 0.0,
    "threads": 1,
    "lr_scale": 1.0,
    "judge_every": 1,
    "exact": False,
}
"""Values that the caption leaves out."""


def print_sweep(runs: pd.DataFrame, folder: Path, per_run: bool = False) -> None:
    """Print the report of a sweep; with ``per_run`` a row per run, else per configuration."""
    out = make_console()
    out.print(render_sweep(runs, folder, out.width, per_run), crop=False)  # a path longer than a line stays whole


def render_sweep(runs: pd.DataFrame, folder: Path, width: int = UNLIMITED, per_run: bool = False) -> RenderableType:
    """Caption, one table per objective, counts, notes, the best configuration of each problem, and the files."""
    comparable = select_comparable(runs)
    ranking = rank_configurations(comparable)
    rows = build_run_rows(runs) if per_run else build_configuration_rows(runs, comparable, ranking, MAX_ROWS)
    differing = [name for name in find_differing_settings(runs) if per_run or name != "seed"]
    names = name_objectives(runs)
    parts: list[RenderableType] = [_caption(runs.iloc[0], differing, rows["n"]), Text()]
    tables = []
    for name, group in rows.groupby(name_objectives(rows), sort=False):
        here = [setting for setting in find_differing_settings(runs[names == name]) if setting in differing]
        if names.nunique() > 1:
            parts.append(
                _problem_heading(str(name), group.iloc[0], [other for other in differing if other not in here])
            )
        table = fit_columns(sweep_columns(group, here, per_run, rows["n"].nunique() > 1), width)
        tables.append(table)
        parts += [table, *_describe_hidden(group), Text()]
    return Group(*parts, *_closing_lines(runs, comparable, ranking, tables, folder))


def _describe_hidden(rows: pd.DataFrame) -> list[Text]:
    """A line on configurations that are not printed, if any."""
    more = int(rows.drop_duplicates("problem")["of"].sum()) - len(rows)
    return [Text(f" … and {more} more, all in runs.parquet; --all-runs shows every run", style="dim")] if more else []


def _describe_settings(row: pd.Series, names: Sequence[str]) -> list[str]:
    texts = {name: format_value(row[name]) for name in names}
    return [SETTING_PHRASES.get(name, "{}").format(text) for name, text in texts.items() if text]


def _caption(row: pd.Series, differing: list[str], seeds: pd.Series) -> Text:
    """The settings that all rows share, and the number of seeds if all rows have several."""
    stated = [name for name in SETTINGS if name in row.index and not is_null(row[name])]
    names = [name for name in stated if row[name] != DEFAULTS.get(name, ...)]
    has_gaps = not {"target_metric", "target_loss"} & set(names) and is_null(row.get("best.train.loss"))
    replaced = set() if has_gaps else {"target"}
    shared = [name for name in names if name not in differing and name not in {"seed", *replaced}]
    words = [f"gdbench {__version__}", *_describe_settings(row, shared)]
    words += [f"{seeds.iloc[0]} seeds"] if seeds.nunique() == 1 and seeds.iloc[0] > 1 else []
    return Text(" · ".join(words), style="bold")


def _problem_heading(problem: str, row: pd.Series, shared: list[str]) -> Text:
    """A problem, with the settings that its rows share and other problems do not."""
    words = _describe_settings(row, [name for name in shared if name != "objective" and "." not in name])
    return Text(f" {' · '.join([problem, *words])}", style="bold")


def _closing_lines(
    runs: pd.DataFrame, comparable: pd.DataFrame, ranking: pd.DataFrame, tables: list[FittedTable], folder: Path
) -> list[RenderableType]:
    """Dropped columns, counts, resolution, marks, caveats, errors, the best, and the next command."""
    lines = [_describe_statuses(runs["status"]), *_describe_resolution(runs), *explain_marks(tables)]
    lines += [*list_caveats(runs, comparable), *_describe_errors(runs), *describe_best(comparable, ranking)]
    lines += [f"Files: {folder}", f"Next: python -m gdbench report {shlex.quote(str(folder))}"]
    return [
        *(Text(line, style="dim") for line in describe_dropped(tables)),
        *(closing_line(line, whole=line.startswith(("Files", "Next"))) for line in lines),
    ]


def closing_line(line: str, whole: bool) -> Text:
    """A line below a table; ``whole`` lines are not wrapped, so that commands and paths can be copied."""
    return Text(line, no_wrap=whole, overflow="ignore" if whole else None)


def _describe_statuses(statuses: pd.Series) -> str:
    last = " (diverged and failed runs are listed last)" if set(statuses) - set(SOUND) else ""
    return f"{format_count(len(statuses), 'run')}: {count_statuses(statuses)}{last}."


def _describe_resolution(runs: pd.DataFrame) -> list[str]:
    """A line per dtype and objective for which lower targets are below the resolution."""
    coarse = runs[runs["gap_floor"] > 1e-12].groupby(["objective", "dtype"], sort=False, as_index=False)
    return [
        f"{row['dtype']} resolves gaps down to {row['gap_floor']:.0e} on {row['objective']};"
        " smaller targets are left empty."
        for _, row in coarse["gap_floor"].max().iterrows()
    ]


def _describe_errors(runs: pd.DataFrame) -> list[str]:
    """A line per reason why runs failed or were unavailable, with the number of runs."""
    counts = runs[runs["error"].notna()].groupby(["status", "error"], sort=False).size().reset_index(name="runs")
    return [
        f"{row['status']}: {textwrap.shorten(str(row['error']), MAX_REASON, placeholder=' …')}"
        + (f" ({row['runs']} runs)" if row["runs"] > 1 else "")
        for _, row in counts.iterrows()
    ]
