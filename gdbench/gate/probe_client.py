"""Asks both sides, each in a process of its own, at once: nothing is timed here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import site
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdbench.engine.git import make_clean_environment
from gdbench.errors import NotMeasured
from gdbench.gate.series import Series, Side

__all__ = ["Answers", "ask", "ask_both", "environment"]

PROBE = Path(__file__).resolve().with_name("probe.py")
HOME = Path(__file__).parents[2]
"""Where this gdbench lies: a checkout, or the folder of installed packages."""
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
LAST_WORDS = 3
"""Lines of a dead process that its reader is shown."""

Heard = Callable[[str], None]
"""Hears the name of every series that a side has answered."""


@dataclass
class Answers:
    """What a side said."""

    facts: dict[str, Any] = field(default_factory=dict)
    series: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the bits of a trajectory depend on beside the code."""
        return dict(self.facts.get("fingerprint", {}))


def ask_both(series: Sequence[Series], base: Side, head: Side, heard: Heard) -> tuple[Answers, Answers]:
    """The answers of both sides."""
    living: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(2) as pool:
        try:
            asked = [
                pool.submit(ask, series, side, other, heard, living) for side, other in ((base, head), (head, base))
            ]
            return asked[0].result(), asked[1].result()
        except BaseException:  # Ctrl-C too: nobody reads what they would still say
            for process in living:
                _kill(process)
            raise


def ask(
    series: Sequence[Series],
    side: Side,
    other: Side | None = None,
    heard: Heard = lambda name: None,
    living: list[subprocess.Popen[str]] | None = None,
) -> Answers:
    """The answers of one side. Raises NotMeasured where its process dies, or used files of the ``other`` side."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(side.python), "-P", str(PROBE)],
            cwd=side.root,
            env=environment(side),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        if living is not None:
            living.append(process)
        try:
            answers, foreign = _heard(process, json.dumps(_request(series, side, other)), heard)
        finally:
            _kill(process)
        if foreign is None:
            raise NotMeasured(f"{side.label}: its process ended early ({_last_words(errors)}).")
    if foreign and other:
        raise NotMeasured(f"{side.label} imported {foreign[0]} of {other.label}: the two cannot be told apart.")
    return answers


def _heard(process: subprocess.Popen[str], request: str, heard: Heard) -> tuple[Answers, list[str] | None]:
    """What a probe says, until it has said all; the files that it should not have used are None if it never came."""
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(request + "\n")
        process.stdin.flush()
    answers, foreign = Answers(), None
    for line in process.stdout:
        told = json.loads(line)
        if "fingerprint" in told:
            answers.facts = told
        elif "foreign" in told:
            foreign = told["foreign"]
        else:
            name = told.pop("name")
            answers.series[name] = told
            heard(name)
    return answers, foreign


def _kill(process: subprocess.Popen[str]) -> None:
    """End a probe, and whatever it has started."""
    with process, contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def environment(side: Side) -> dict[str, str]:
    """The environment in which a side runs: its own tree first, then what this process knows, then this gdbench."""
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    home = [] if str(HOME) in (*INSTALLED, *site.getsitepackages()) else [str(HOME)]
    return {
        **make_clean_environment(),
        "PYTHONPATH": os.pathsep.join([*side.path, *known, *home]),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",  # a user's tree stays as it is
    }


def _request(series: Sequence[Series], side: Side, other: Side | None) -> dict[str, Any]:
    asked = []
    for each in series:
        fixed, words = side.composing(each)
        asked.append({"name": each.name, "fixed": fixed, "words": words})
    return {"series": asked, "foreign": _roots(side, other)}


def _roots(side: Side, other: Side | None) -> list[list[str]]:
    """Where files may come from, and where not: a worktree lies within the repository and is not part of it."""
    ours, theirs = side.root.resolve(), other.root.resolve() if other else None
    if theirs is None or theirs == ours:
        return [[], []]
    return [[] if theirs.is_relative_to(ours) else [f"{ours}{os.sep}"], [f"{theirs}{os.sep}"]]


def _last_words(errors: Any) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return "; ".join(lines[-LAST_WORDS:]) or "without a word"
