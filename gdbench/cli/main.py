"""The command line: a verb, or settings alone, which are those of ``run``. Imports little, so that --help is fast."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gdbench import __version__
from gdbench.cli.completion import complete_verbs
from gdbench.cli.help import FORMER_VERBS, HELP, VERBS
from gdbench.cli.run import run
from gdbench.cli.signals import describe_ignored, print_ended, say, was_signalled
from gdbench.cli.word_order import place_verb_first
from gdbench.config.schema import SETTINGS
from gdbench.errors import UsageError, did_you_mean, was_interrupted
from gdbench.report.escaping import format_error_line
from gdbench.sweeps.torchrun import is_follower

__all__ = ["main"]

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of the disk that count as the user's, also where they name no file."""
COMPOSING = {"hydra", "omegaconf"}
"""Packages that warn of what the user wrote, such as ``${oc.deprecated:lr}``."""


LONG_VERBS = ("run", "tune", "reproduce", "gate")
"""Verbs that run cells, and so may take hours."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings(), _silence_followers():  # restores how warnings are shown
            warnings.showwarning = _shorten_warnings(warnings.showwarning)
            return _dispatch(words)
    except KeyboardInterrupt as interrupt:
        return print_ended(*interrupt.args)
    except Exception as error:
        if was_signalled() or was_interrupted(error):
            return print_ended()
        if (line := _describe_error(error)) is None:
            raise
        print(f"gdbench: {format_error_line(line)}", file=sys.stderr)
        return 2


@contextlib.contextmanager
def _silence_followers() -> Iterator[None]:
    """Print nothing to stdout in a process of torchrun that is not the first."""
    if not is_follower():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _describe_error(error: Exception) -> str | None:
    """One line about a mistake in the command or an error of the disk; None for a bug of gdbench."""
    if isinstance(error, OSError) and (error.filename is not None or error.errno in DISK_ERRORS):
        place = f"{error.filename} " if error.filename is not None else "a file "
        return f"{place}cannot be read or written ({error.strerror or error})."
    return str(error) if isinstance(error, UsageError) else None


def _shorten_warnings(show: Callable[..., None]) -> Callable[..., None]:
    """A ``showwarning`` that prints warnings of gdbench and of composition as one line, once; others by ``show``."""
    printed: set[str] = set()

    def show_shortened(
        message: Warning | str, category: type[Warning], filename: str, *rest: Any, **others: Any
    ) -> None:
        if not category.__module__.startswith("gdbench.") and not COMPOSING & set(Path(filename).parts):
            show(message, category, filename, *rest, **others)
        elif (
            str(message) not in printed
        ):  # a file is read several times: for its runs, its traces and their environment
            print(f"gdbench: {format_error_line(str(message))}", file=sys.stderr)
            printed.add(str(message))

    return show_shortened


def _dispatch(words: list[str]) -> int:
    words = place_verb_first(words, VERBS)
    first = words[0] if words else ""
    if (first in LONG_VERBS or "=" in first or first == "-m") and (line := describe_ignored()):
        say(line)
    if first in VERBS and first != "run":
        return _run_verb(words)
    if first in ("--help", "-h") or (set(words) & {"--help", "-h"}):
        print(HELP, end="")
        return 0
    if first == "--version":
        print(f"gdbench {__version__}")
        return 0
    if first == "run":
        words = words[1:]
    else:
        _check_first_word(first)
    completes = any(word.startswith("query=") for word in words) and set(words) & {"-sc", "--shell-completion"}
    if completes and complete_verbs(os.environ.get("COMP_LINE", "")):
        return 0
    return run(words)


def _check_first_word(first: str) -> None:
    """``UsageError`` for a first word that is no setting, or was a verb of earlier versions."""
    if first in FORMER_VERBS:
        raise UsageError(f"{first} is not a verb. Did you mean {FORMER_VERBS[first]}? See python -m gdbench --help.")
    if re.fullmatch(r"[a-z]+", first) and not _is_known_word(first):
        raise UsageError(
            f"{first} is neither a verb nor KEY=VALUE.{did_you_mean(first, VERBS)} See python -m gdbench --help."
        )


def _is_known_word(word: str) -> bool:
    """Whether a word is a setting or an option without its ``=``; what to write is said where settings are checked."""
    from gdbench.config.command_errors import read_option_files

    return word in (*SETTINGS, "experiment") or any(
        word in read_option_files(group) for group in ("optimizer", "objective")
    )


def _run_verb(words: list[str]) -> int:
    """Run a verb by typer; returns the exit code."""
    from gdbench.cli.app import VerbInterrupted, build_command

    try:
        return int(build_command()(words, prog_name="python -m gdbench", standalone_mode=False) or 0)
    except VerbInterrupted as interrupt:
        raise KeyboardInterrupt(*interrupt.args) from None
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's class for a mistake on the command line has it
            raise
        from gdbench.cli.mistakes import describe_mistake

        raise UsageError(describe_mistake(error, words)) from None
