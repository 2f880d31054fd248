"""What ``show`` prints: the table of a sweep that ran, or everything about one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gdbench.config.trust import remove_stamp
from gdbench.errors import UsageError
from gdbench.report.diff_text import list_differences
from gdbench.report.escaping import escape_control_codes
from gdbench.report.repro_command import repro_command
from gdbench.report.terminal.sweep import print_sweep
from gdbench.results.catalog import SweepNotFound, find_newest_sweep, find_sweep
from gdbench.results.load import load
from gdbench.results.lookup import find_run, find_sweep_of_run

if TYPE_CHECKING:
    from gdbench.sweeps.reproduce import Reproduction

__all__ = ["check_options", "find_shown", "list_repeat", "show_run", "show_table"]


KEY = re.compile(r"[0-9a-f]{0,16}")
"""What may be the begin of a run's key."""


def find_shown(word: str | None, folder: Path) -> tuple[Path | None, Any]:
    """The sweep that a word means, the newest for None; or else None, and the latest row of the run that it begins."""
    if word is None:
        return find_newest_sweep(folder), None
    if not word:
        return None, find_run(word, folder)
    try:
        return find_sweep(word, folder), None  # named so, or the begin of its date
    except UsageError as error:
        if KEY.fullmatch(word) and _begins_a_key(word, folder):
            return None, find_run(word, folder)
        if not isinstance(error, SweepNotFound):
            raise
        find_newest_sweep(folder)  # says so where there is none at all
        raise UsageError(
            f"{word} is neither a sweep nor the begin of a run's key in {folder}.{error.near} Allowed: a sweep's"
            " folder or name, as python -m gdbench runs lists them; or the first digits of a run's key, from the"
            " column run of the table that show SWEEP prints."
        ) from None


def _begins_a_key(word: str, folder: Path) -> bool:
    """Whether a run's key begins so."""
    try:
        return bool(load(folder, columns=["run_id"])["run_id"].str.startswith(word, na=False).any())
    except UsageError:  # there is no sweep, which is the reason why none was found
        return False


def check_options(
    sweep: Path | None, word: str | None, of_sweeps: Mapping[str, bool], of_runs: Mapping[str, bool]
) -> None:
    """``UsageError`` for an option that a sweep, or a run, does not have."""
    wrong = [name for name, given in (of_sweeps if sweep is None else of_runs).items() if given]
    if wrong and sweep is None:
        raise UsageError(f"show --{wrong[0]} is for a sweep, and {word} is a run: leave it out, or name a sweep.")
    if wrong:
        raise UsageError(f"show --{wrong[0]} is for a run, and {sweep} is a sweep: leave it out, or name a run.")


def show_table(sweep: Path, each: bool) -> None:
    """Print the table of a sweep as it was printed at its end."""
    print_sweep(load(sweep), sweep, each)


def show_run(row: Any, folder: Path) -> None:
    """Print everything about a run: columns, where it failed, its configuration, and the command that repeats it."""
    known = row.dropna()
    for name, value in known.drop("traceback", errors="ignore").items():
        typer.echo(escape_control_codes(f"{name:22}  {value}"))
    if "traceback" in known:
        typer.echo(escape_control_codes(f"\n# where it failed\n{str(known['traceback']).rstrip()}", lines=True))
    configuration = _configuration(find_sweep_of_run(folder, row), row)
    typer.echo(escape_control_codes(f"\n# its configuration\n{configuration}", lines=True))
    given = "objective:\n  python:" in configuration
    typer.echo(escape_control_codes(f"# repeat it\n{_call(row) if given else repro_command(row)}", lines=True))


def _configuration(place: Path, row: Any) -> str:
    file = place / ".hydra" / f"cell-{row['cell']:05d}.yaml"
    return remove_stamp(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else "(not kept)\n"


def _call(row: Any) -> str:
    """What to say where no command can repeat a run, for its objective was given from Python."""
    return f"gdbench.run({row['objective']}, x0=..., ...) with the settings above: its objective is a Python function."


def list_repeat(repeat: Reproduction) -> list[str]:
    """What came of a repetition, the verdict first, then whatever is not as it was."""
    points = f" and {repeat.points} recorded points" if repeat.points else ""
    if repeat.same:
        verdict = f"Same: {repeat.columns} exact columns{points}."
    else:
        step = "" if repeat.first_step is None else f"; the trajectory first differs at step {repeat.first_step}"
        count = len(repeat.results)
        verdict = f"Different: {count} of {repeat.columns} exact columns{step}."
    return [
        verdict,
        *list_differences("Result, then -> now", repeat.results),
        *list_differences("Asked otherwise", repeat.configuration),
        *list_differences("Source edited since (digests)", repeat.sources),
        *list_differences("Data changed since (digests)", repeat.data),
        *list_differences("Environment", repeat.environment),
        *_unexplained(repeat),
    ]


def _unexplained(repeat: Reproduction) -> list[str]:
    """What is left to say where no recorded fact explains a difference."""
    if not repeat.steady:
        return ["Two repeats here differ from each other as well: the run is not deterministic."]
    if repeat.stale and not repeat.sources:
        return ["Its source, data, torch or device is not what it was (cell_fingerprint)."]
    if repeat.same or repeat.configuration or repeat.sources or repeat.data or repeat.environment:
        return []
    return ["No fact that was recorded differs, and two repeats here agree with each other."]
