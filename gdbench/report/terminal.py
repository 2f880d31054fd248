"""The table of a sweep in the terminal: the best first, equal columns in the caption, what to do next below."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gdbench import __version__
from gdbench.analysis.ranking import (
    SOUND,
    best_per_problem,
    describe_randomness,
    edge_of_grid,
    ranked,
    tied_with_previous,
)
from gdbench.analysis.settings import differing_settings, distinct_texts, objective_names, text_among
from gdbench.columns import ASKED
from gdbench.counting import format_count
from gdbench.report.units import digits, number, seconds

__all__ = ["STYLES", "WIDTH", "closing_line", "console", "setting_header", "show_sweep", "sweep_report", "wide_console"]

WIDTH = 100
ROWS = 20
"""Rows shown of one objective; the files hold them all."""
LONGEST_REASON = 150
STYLES = {"target": "green", "diverged": "red", "nonfinite": "red", "failed": "red bold", "unavailable": "yellow"}
WORDED = {
    **{name: f"{name.replace('_', ' ')} {{}}" for name in ("lr", "seed", "target", "target_loss", "start_noise")},
    "steps": "{} steps",
    "threads": "{} threads",
    "schedule": "{} schedule",
    "clip": "clip {}",
    "noise": "noise {}",
}
"""Values that say nothing without a word beside them."""
NOTHING = {"schedule": "constant", "clip": "none", "noise": "none", "start_noise": 0.0, "threads": 1}
"""Values that go without saying where all rows have them."""


def console(file: Any = None) -> Console:
    """A console of at most 100 columns; plain text where it is not a terminal."""
    wide = Console(file=file or sys.stdout, highlight=False)
    return Console(
        file=file or sys.stdout, highlight=False, width=min(wide.width, WIDTH) if wide.is_terminal else WIDTH
    )


def wide_console(file: Any = None) -> Console:
    """A console of all columns that the terminal has; plain text of 120 where it is none."""
    wide = Console(file=file or sys.stdout, highlight=False)
    return wide if wide.is_terminal else Console(file=file or sys.stdout, highlight=False, width=120)


def show_sweep(runs: pd.DataFrame, folder: Path) -> None:
    """Print the report of one sweep."""
    out = console()
    out.print(sweep_report(runs, folder), crop=False)  # a path longer than a line stays whole


def sweep_report(runs: pd.DataFrame, folder: Path) -> RenderableType:
    """Caption, one table an objective, what was counted, the best and whether its lr sat on the edge, and the files."""
    runs = runs.assign(problem=objective_names(runs))
    order = ranked(runs)
    differing = differing_settings(runs)
    parts: list[RenderableType] = [_caption(runs.iloc[0], differing), Text()]
    for problem, group in order.groupby("problem", sort=False):
        here = [name for name in differing_settings(group) if name != "objective"]
        if runs["problem"].nunique() > 1:
            parts.append(_heading(str(problem), group.iloc[0], [name for name in differing if name not in here]))
        parts.append(_table(group, here))
        if len(group) > ROWS:
            parts.append(Text(f" … and {len(group) - ROWS} more, all in runs.parquet", style="dim"))
        parts.append(Text())
    return Group(*parts, *_closing(order, folder))


def _words(row: pd.Series, names: list[str]) -> list[str]:
    return [WORDED.get(name, "{}").format(_value(row[name])) for name in names if _value(row[name])]


def _caption(row: pd.Series, differing: list[str]) -> Text:
    """What all rows share."""
    told = [name for name in ASKED if name in row.index and row[name] != NOTHING.get(name, ...)]
    shared = [name for name in told if name not in differing and name != "seed"]
    return Text(" · ".join([f"gdbench {__version__}", *_words(row, shared)]), style="bold")


def _heading(problem: str, row: pd.Series, shared: list[str]) -> Text:
    """A problem, and what its rows share but others do not."""
    words = _words(row, [name for name in shared if name != "objective" and "." not in name])
    return Text(f" {' · '.join([problem, *words])}", style="bold")


def _table(group: pd.DataFrame, shown: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    group = group.assign(tied=tied_with_previous(group)).head(ROWS)
    for header, cells, left in _columns(group, shown):
        if any(cells):
            table.add_column(header, justify="left" if left else "right", no_wrap=True)
    kept = [cells for _, cells, _ in _columns(group, shown) if any(cells)]
    for position, status in enumerate(group["status"]):
        table.add_row(
            *(
                Text(cells[position], style=STYLES.get(status, "") if cells[position].startswith(status) else "")
                for cells in kept
            )
        )
    return table


def _columns(group: pd.DataFrame, shown: list[str]) -> list[tuple[str, list[str], bool]]:
    """Header, cells, and whether it is text, of each column that this table may show."""
    columns = [
        (setting_header(name, shown), distinct_texts(group[name]), group[name].dtype.kind not in "if")
        for name in shown or ["optimizer"]
    ]
    cells: list[tuple[str, Callable[[Any], str]]] = [
        (_to_target(group), _steps),
        ("final gap", _end),
        ("step", _step),
        ("vs reference", _ratio),
        ("to target", _time),
    ]
    rows = list(group.itertuples())
    measured = [(header, [cell(row) for row in rows], False) for header, cell in cells]
    return [*columns, ("status", [_status(row) for row in rows], True), *measured]


def setting_header(name: str, shown: list[str]) -> str:
    """A setting by its last name, where no other column has that."""
    last = [other.rpartition(".")[2] for other in shown]
    alone = last.count(name.rpartition(".")[2]) == 1
    return name.rpartition(".")[2] if alone and not name.startswith(("schedule.", "clip.", "noise.")) else name


def _value(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    return number(value) if isinstance(value, float) else str(value)


def _to_target(group: pd.DataFrame) -> str:
    targets = group["target"].dropna().unique()
    absolute = group["target_loss"].notna().any()
    return "steps to target" if absolute or len(targets) != 1 else f"steps to {number(float(targets[0]))}"


def _status(row: Any) -> str:
    return row.status if pd.isna(row.event_step) else f"{row.status} @{row.event_step}"


def _steps(row: Any) -> str:
    """Steps to the target; behind them, in brackets, its gradients and values where a step is not one gradient."""
    if pd.isna(row.steps_to_target):
        return ""
    work = [] if row.gradients_to_target == row.steps_to_target else [f"{row.gradients_to_target} g"]
    work += [f"{row.evaluations_to_target} f"] if row.evaluations_to_target else []
    return f"{row.steps_to_target}" + (f" ({', '.join(work)})" if work else "")


def _time(row: Any) -> str:
    time = seconds(row.time_to_target_s)
    return f"≈ {time}" if row.tied and time else time


def _end(row: Any) -> str:
    if row.status in ("diverged", "nonfinite") or pd.isna(row.final_loss):
        return ""
    if pd.isna(row.final_gap):
        return f"f {number(row.final_loss)}"
    return f"< {row.gap_floor:.1e}" if abs(row.final_gap) < row.gap_floor else f"{row.final_gap:.1e}"


def _step(row: Any) -> str:
    """The step time; a run that cannot win is not given that of others."""
    if (row.status not in SOUND and not row.timed) or not seconds(row.step_s):
        return ""
    return ("" if row.timed else "~ ") + seconds(row.step_s)


def _ratio(row: Any) -> str:
    if pd.isna(row.step_vs_reference):
        return ""
    half = (row.step_vs_reference_hi - row.step_vs_reference_lo) / 2
    mark = "" if pd.isna(row.overhead_bound) or row.overhead_bound else " *"
    return f"{digits(row.step_vs_reference)} ± {half:.2f}{mark}"


def _closing(runs: pd.DataFrame, folder: Path) -> list[RenderableType]:
    """Counts, resolution, reasons, the best, and where to go on."""
    lines = [_counts(runs), *_resolution(runs), *_legend(runs), *_caveats(runs), *_reasons(runs)]
    lines += [_best(runs, best) for _, best in best_per_problem(runs).iterrows()]
    lines += [f"Files: {folder}", f"Next: python -m gdbench report {folder}"]
    return [closing_line(line, whole=line.startswith(("Files", "Next"))) for line in lines]


def closing_line(line: str, whole: bool) -> Text:
    """A line below a table: a remark is wrapped, a command or a path stays whole, to be copied."""
    return Text(line, no_wrap=whole, overflow="ignore" if whole else None)


def _counts(runs: pd.DataFrame) -> str:
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


def _resolution(runs: pd.DataFrame) -> list[str]:
    """The dtypes in which the lower rungs of the ladder are not told."""
    coarse = (
        runs[runs["gap_floor"] > 1e-12].groupby(["objective", "dtype"], sort=False, as_index=False)["gap_floor"].max()
    )
    return [
        f"{row['dtype']} tells gaps down to {row['gap_floor']:.0e} on {row['objective']}; targets below are null."
        for _, row in coarse.iterrows()
    ]


def _legend(runs: pd.DataFrame) -> list[str]:
    """What the marks of this table mean, of those it uses."""
    lines = []
    if (runs["gradients_to_target"] != runs["steps_to_target"]).fillna(False).any() or (
        runs["evaluations_to_target"] > 0
    ).any():
        lines.append("(n g, m f): gradients and values evaluated up to the target; runs rank by gradients.")
    if (~runs["timed"].fillna(False) & runs["step_s"].notna() & runs["status"].isin(SOUND)).any():
        lines.append("~ not timed itself: the median of its cell (timing=full times more).")
    if "timing_error" in runs and len(reasons := runs["timing_error"].dropna()):
        lines.append(f"no times ({len(reasons)} of {len(runs)} runs): {reasons.iloc[0]}.")
    if tied_with_previous(runs).any():
        lines.append("≈ same work as the row above, and the times of this process do not tell them apart.")
    if (~runs["overhead_bound"].fillna(True)).any():
        lines.append("* bound by its numbers, not by overhead: the reference loop is no yardstick for it.")
    return lines


def _caveats(runs: pd.DataFrame) -> list[str]:
    """What a reader must know before believing the table, where it holds."""
    shifted, subnormal = runs["shifted_minimum"].fillna(False).sum(), (runs["denormals"] > 0).sum()
    decaying = format_count(int(shifted), "run uses", "runs use")
    lines = [f"{decaying} weight decay, which moves the minimum: none of them is called best."] if shifted else []
    if subnormal:
        lines.append(f"Subnormal numbers slow a CPU down: {subnormal} of these runs end among them (column denormals).")
    lines += describe_randomness(runs)
    idle = runs[~runs["seed_effective"].fillna(True)]
    if idle["seed"].nunique() > 1:
        lines.append(
            "The seed changes nothing here (start_noise=0): each run was made once, its copies are no repeats."
        )
    return lines


def _reasons(runs: pd.DataFrame) -> list[str]:
    """Why runs failed or were unavailable, each reason once, and how often."""
    counted = runs[runs["error"].notna()].groupby(["status", "error"], sort=False).size().reset_index(name="runs")
    return [
        f"{row['status']}: {textwrap.shorten(str(row['error']), LONGEST_REASON, placeholder=' …')}"
        + (f" ({row['runs']} runs)" if row["runs"] > 1 else "")
        for _, row in counted.iterrows()
    ]


def _best(runs: pd.DataFrame, best: pd.Series) -> str:
    """The best run of a problem, by every setting that tells it from the others of its problem."""
    alike = runs[runs["problem"] == best["problem"]]
    where = f" on {best['problem']}" if runs["problem"].nunique() > 1 else ""
    differing = [name for name in differing_settings(alike) if name not in ("objective", "optimizer", "impl", "lr")]
    words = [
        WORDED.get(name, f"{setting_header(name, differing)} {{}}").format(text)
        for name in differing
        if (text := text_among(best[name], alike[name]))
    ]
    lr = text_among(best["lr"], alike["lr"])
    edge = edge_of_grid(alike, best)
    advice = f", the edge of your grid: try {edge} lrs" if edge else ""
    return f"Best{where}: {best['optimizer']} ({best['impl']}) at {', '.join([f'lr {lr}', *words])}{advice}."
