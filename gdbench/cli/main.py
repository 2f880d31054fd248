"""The command line: a verb (list, show, report, tune, gate ...), or Hydra overrides, which run. Loads nothing early."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gdbench import __version__
from gdbench.cli.help import HELP
from gdbench.cli.word_order import place_verb_first
from gdbench.config.schema import SETTINGS
from gdbench.engine.gc_pause import pause_gc
from gdbench.errors import UsageError, did_you_mean, format_count, was_interrupted
from gdbench.report.escaping import escape_control_codes
from gdbench.results.user_paths import expand_user, expand_word

if TYPE_CHECKING:
    import pandas as pd

    from gdbench.sweeps.sweep_result import SweepResult

__all__ = ["main"]

VERBS = (
    "archive", "columns", "compare", "diff", "export", "gate", "list", "name", "note", "plan", "report", "rm", "runs",
    "show", "tag", "tune", "unarchive", "watch",
)  # fmt: skip


OUR_OPTIONS = ("--quiet", "--json", "--each", "--trust")
"""Options of a sweep that are none of Hydra's."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""What a disk refuses for reasons of its own, also where the error names no file."""
WITHOUT_RESULT = ("failed", "unavailable")
"""Statuses of runs that something kept from running to their end."""


@dataclass
class Output:
    """What the user wants to see of a sweep."""

    quiet: bool = False
    json: bool = False
    each: bool = False
    """A row for every run, rather than for every configuration."""
    plan: bool = False
    """Say what would run, and run nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():  # only to put back how they are shown
            warnings.showwarning = _one_line(warnings.showwarning)
            return _dispatch(words)
    except KeyboardInterrupt as cut:
        print("gdbench: interrupted.", *cut.args, file=sys.stderr)
        return 130
    except Exception as error:
        if was_interrupted(error):
            print("gdbench: interrupted.", file=sys.stderr)
            return 130
        if (line := _describe_error(error)) is None:
            raise
        print(f"gdbench: {escape_control_codes(line, lines=True)}", file=sys.stderr)
        return 2


def _describe_error(error: Exception) -> str | None:
    """What is wrong with the command, or with the disk, in one line; None for a fault of ours."""
    if isinstance(error, OSError) and (error.filename is not None or error.errno in DISK_ERRORS):
        place = f"{error.filename} " if error.filename is not None else "a file "
        return f"{place}cannot be read or written ({error.strerror or error})."
    return str(error) if isinstance(error, UsageError) else None


def _one_line(show: Callable[..., None]) -> Callable[..., None]:
    """Our own warnings as one line, said once a command; all others as they were."""
    said: set[str] = set()

    def shown(message: Warning | str, category: type[Warning], *rest: Any, **others: Any) -> None:
        if category.__module__.startswith("gdbench."):
            if str(message) not in said:  # a file is read for its runs, its traces, and what they are of
                print(f"gdbench: {escape_control_codes(str(message), lines=True)}", file=sys.stderr)
            said.add(str(message))
        else:
            show(message, category, *rest, **others)

    return shown


def _dispatch(words: list[str]) -> int:
    words = place_verb_first(words, VERBS)
    first = words[0] if words else ""
    if first in VERBS and first != "plan":
        return _look(words)
    if first in ("--help", "-h") or (set(words) & {"--help", "-h"}):
        print(HELP, end="")
        return 0
    if first == "--version":
        print(f"gdbench {__version__}")
        return 0
    if first != "plan" and re.fullmatch(r"[a-z]+", first) and not _is_known_word(first):
        raise UsageError(
            f"{first} is neither a verb nor KEY=VALUE.{did_you_mean(first, VERBS)} See python -m gdbench --help."
        )
    completes = any(word.startswith("query=") for word in words) and set(words) & {"-sc", "--shell-completion"}
    if completes and _complete_verbs(os.environ.get("COMP_LINE", "")):
        return 0
    output = Output("--quiet" in words, "--json" in words, "--each" in words, plan=first == "plan")
    trust = "--trust" in words
    words = [expand_word(word) for word in words[output.plan :] if word not in OUR_OPTIONS]
    return _run(_recalled(words, trust), output)


def _is_known_word(word: str) -> bool:
    """Whether a word that is no verb names a setting or an option: how it is to be written is told later."""
    from gdbench.config.command_errors import read_option_files

    return word in (*SETTINGS, "experiment") or any(
        word in read_option_files(group) for group in ("optimizer", "objective")
    )


def _recalled(words: list[str], trust: bool) -> list[str]:
    """``resume=FOLDER`` without other settings stands for the command that the folder was made with."""
    settings = [word for word in words if "=" in word and not word.startswith("-")]
    folders = [word.partition("=")[2] for word in settings if word.startswith("resume=")]
    if not folders or any(not word.startswith(("resume=", "retry=")) for word in settings):
        return words
    from gdbench.config.overrides import read_text
    from gdbench.sweeps.resume import read_command

    given_code = any(word in ("--config-dir", "-cd") or word.startswith("--config-dir=") for word in words)
    return [*read_command(read_text(folders[-1]), given_code, trust), *words]


def _look(words: list[str]) -> int:
    """Carry out a verb."""
    from gdbench.cli.app import Interrupted, build_command

    try:
        return int(build_command()(words, prog_name="python -m gdbench", standalone_mode=False) or 0)
    except Interrupted as cut:
        raise KeyboardInterrupt(*cut.args) from None
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises for a mistake on its command line
            raise
        message = " ".join(str(error.format_message()).split()).rstrip(".")
        context = getattr(error, "ctx", None)
        path = context.command_path if context else f"python -m gdbench {words[0]}"
        raise UsageError(f"{message}{'' if message.endswith('?') else '.'} See {path} --help.") from None


def _complete_verbs(line: str) -> bool:
    """Add verbs to what Hydra completes, where a verb may stand; returns whether one stands there already."""
    typed = line.split()[1:] + ([""] if line.endswith(" ") else [])
    if len(typed) > 1 and typed[0] == "tune":  # which takes what a run takes
        os.environ["COMP_LINE"] = line.replace("tune ", "", 1)
        return False
    choices = VERBS if len(typed) <= 1 else ("objectives", "optimizers") if typed[0] == "list" else ()
    for choice in choices:
        if choice.startswith(typed[-1] if typed else ""):
            print(choice)
    return len(typed) > 1 and typed[0] in VERBS


# -------------------------------------------------------------------------------------------------------- running


def _run(words: list[str], output: Output) -> int:
    """Carry out a command line of Hydra's, and show what came of it; returns the exit code."""
    with pause_gc():
        from gdbench.report.terminal.progress import choose_progress
        from gdbench.sweeps.command_line import run_command

    try:
        result = run_command(words, None if output.quiet or output.json else choose_progress(), output.plan)
    except KeyboardInterrupt as cut:
        return _cut_short(getattr(cut, "result", None), output)
    if result is None:
        return 0
    if output.plan:
        return _planned(result, output)
    return _shown(result, output)


def _planned(result: SweepResult, output: Output) -> int:
    """Show what a sweep would do."""
    from gdbench.report.terminal.plan import predict_times, print_plan

    status = result.status
    assert status is not None
    outputs = str(expand_user(status.jobs[0].config["outputs"] or "outputs"))
    print_plan(predict_times(status.rows(), outputs), status.summary(), result.folder, output.json)
    return 0


def _cut_short(result: SweepResult | None, output: Output) -> int:
    """Show the table so far of a sweep that was interrupted, and where its finished cells are."""
    folder = result.folder if result else None
    with contextlib.suppress(UsageError):  # no cell has ended
        if result and folder:
            _shown(result, output)
    print(f"gdbench: interrupted.{f' Finished cells: {folder}' if folder else ''}", file=sys.stderr)
    return 130


def _shown(result: SweepResult, output: Output) -> int:
    """Show the table of a sweep and what its sweeper remarks; returns the exit code."""
    from gdbench.results.load import load

    folder = result.folder
    assert folder is not None
    runs = load(folder, columns=["status", "error"] if output.quiet and not output.json else None)
    if output.json:
        from gdbench.report.json_format import runs_as_json

        print(runs_as_json(runs))
    elif not output.quiet:
        from gdbench.report.terminal.sweep import print_sweep

        print_sweep(runs, folder, output.each)
        print(*result.remarks, sep="\n", end="\n" if result.remarks else "")
    if (line := _describe_missing(runs)) is None:
        return 0
    print(f"gdbench: {escape_control_codes(line, lines=True)}", file=sys.stderr)
    return 1 if runs["status"].isin(WITHOUT_RESULT).all() or (runs["status"] == "failed").any() else 0


def _describe_missing(runs: pd.DataFrame) -> str | None:
    """How many runs have no result, and why the first of them has none, in one line; None if all have one."""
    missing = runs[runs["status"].isin(WITHOUT_RESULT)]
    if not len(missing):
        return None
    counts = missing["status"].value_counts()
    words = ", ".join(f"{counts[status]} {status}" for status in WITHOUT_RESULT if status in counts)
    reasons = list(missing["error"].dropna().unique())
    more = f"; {format_count(len(reasons) - 1, 'other reason')} in the column error" if len(reasons) > 1 else ""
    return f"{len(missing)} of {len(runs)} runs have no result: {words} ({' '.join(reasons[:1])[:200]}{more})."
