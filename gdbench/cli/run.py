"""The verb ``run``: one configuration or a sweep; its words go to Hydra, and its table is printed at the end.

It is not part of the typer app, whose import of pydantic would cost every sweep 0.09 s of CPU.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from gdbench.cli.signals import print_ended
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError, format_count
from gdbench.report.escaping import format_error_line
from gdbench.results.statuses import WITHOUT_RESULT
from gdbench.results.user_paths import expand_user, expand_word

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.sweeps.sweep_result import SweepResult

__all__ = ["run"]


@dataclass(frozen=True)
class Output:
    """What to print of a sweep, and whether to trust its folder; each field is an option."""

    quiet: bool = False
    json: bool = False
    all_runs: bool = False
    """One row per run, rather than one per configuration."""
    dry_run: bool = False
    """Print what would run, and run nothing."""
    trust: bool = False


OPTIONS = {f"--{field.name.replace('_', '-')}": field.name for field in fields(Output)}
"""Options of a sweep that are none of Hydra's."""


def run(words: list[str]) -> int:
    """Run one configuration, or with -m a sweep, and print its table; returns the exit code."""
    output = Output(**{name: option in words for option, name in OPTIONS.items()})
    words = [expand_word(word) for word in words if word not in OPTIONS]
    return _run(_expand_resume(words, output.trust), output)


def _expand_resume(words: list[str], trust: bool) -> list[str]:
    """The words, preceded by the command that made FOLDER where ``resume=FOLDER`` stands without other settings."""
    settings = [word for word in words if "=" in word and not word.startswith("-")]
    folders = [word.partition("=")[2] for word in settings if word.startswith("resume=")]
    if not folders or any(not word.startswith(("resume=", "retry=")) for word in settings):
        return words
    from gdbench.config.overrides import read_text
    from gdbench.sweeps.resume import read_command

    given_code = any(word in ("--config-dir", "-cd") or word.startswith("--config-dir=") for word in words)
    return [*read_command(read_text(folders[-1]), given_code, trust), *words]


def _run(words: list[str], output: Output) -> int:
    """Run a sweep by Hydra, and show its result; returns the exit code."""
    with pause_gc():
        from gdbench.report.terminal.progress import choose_progress
        from gdbench.sweeps.command_line import run_command

    try:
        result = run_command(words, None if output.quiet or output.json else choose_progress(), output.dry_run)
    except KeyboardInterrupt as interrupt:
        return _show_interrupted(getattr(interrupt, "result", None), output)
    if result is None:
        return 0
    if output.dry_run:
        return _show_plan(result, output)
    return _show_result(result, output)


def _show_plan(result: SweepResult, output: Output) -> int:
    """Print the cells of a sweep, their state and predicted time; returns the exit code."""
    from gdbench.report.terminal.plan import predict_times, print_plan

    status = result.status
    assert status is not None
    outputs = str(expand_user(status.jobs[0].config["outputs"] or "outputs"))
    print_plan(predict_times(status.rows(), outputs), status.summary(), result.folder, output.json)
    return 0


def _show_interrupted(result: SweepResult | None, output: Output) -> int:
    """Print the table so far of an interrupted sweep, and where its finished cells are; returns the exit code."""
    folder = result.folder if result else None
    with contextlib.suppress(UsageError):  # no cell has ended
        if result and folder:
            _show_result(result, output)
    return print_ended(*[f"Finished cells: {folder}"] * bool(folder))


def _show_result(result: SweepResult, output: Output) -> int:
    """Print the table of a sweep and the remarks of its sweeper; returns the exit code."""
    from gdbench.results.load import load

    folder = result.folder
    assert folder is not None
    runs = load(folder, columns=["status", "error"] if output.quiet and not output.json else None)
    if output.json:
        from gdbench.report.json_format import runs_as_json

        print(runs_as_json(runs))
    elif not output.quiet:
        from gdbench.report.terminal.sweep import print_sweep

        print_sweep(runs, folder, output.all_runs)
        print(*result.remarks, sep="\n", end="\n" if result.remarks else "")
    if (line := _describe_missing(runs)) is None:
        return 0
    print(f"gdbench: {format_error_line(line)}", file=sys.stderr)
    return 1 if runs["status"].isin(WITHOUT_RESULT).all() or (runs["status"] == "failed").any() else 0


def _describe_missing(runs: pd.DataFrame) -> str | None:
    """One line with the number of runs without a result, and the reason of the first; None if all have one."""
    missing = runs[runs["status"].isin(WITHOUT_RESULT)]
    if not len(missing):
        return None
    counts = missing["status"].value_counts()
    words = ", ".join(f"{counts[status]} {status}" for status in WITHOUT_RESULT if status in counts)
    reasons = list(missing["error"].dropna().unique())
    more = f"; {format_count(len(reasons) - 1, 'other reason')} in the column error" if len(reasons) > 1 else ""
    return f"{len(missing)} of {len(runs)} runs have no result: {words} ({' '.join(reasons[:1])[:200]}{more})."
