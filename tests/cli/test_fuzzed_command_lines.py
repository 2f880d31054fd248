"""Hostile command lines, drawn with a fixed seed: each works, or is refused in one line and leaves nothing behind."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.fuzzed_words import draw_runs, draw_verbs
from support.jargon import find_jargon

from gdbench.cli.app import build_command

CHUNK = 50
CHUNKS = 20
"""Of each kind, 20 times 50 command lines: a thousand of ``run``, a thousand of verbs."""
FEW_RUNS, FEW_VERBS = 16, 12
CPU_SECONDS = 30
"""A command line of these that takes longer hangs."""
LONGEST_LINE = 3_200
SWEEPS = ("-m optimizer=gd lr=0.1,0.2 steps=5 timing=off --quiet name=one",)
LEFT_OUT = {"--help", "--open", "--yes"}
"""Options that open a browser, or remove what all command lines of a chunk share."""
HEAVY = ("gate", "gate calibrate", "gate save-baseline", "gate bisect", "gate history")
"""Verbs that measure for minutes where their options are in order."""
ADDED = {"sweeps watch": ("--once",), "tune": ("steps=2", "trials=2", "timing=off", "--quiet")}
"""Words that end a verb which would go on for long."""


class Hang(BaseException):
    """A command line took more processor time than any of these should."""


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """A signal after seconds of this process's own time: the machine may be busy."""

    def refuse(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, refuse)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def list_verbs() -> list[str]:
    """The verbs with their options, those that take a value with ``=``: ``sweeps rm:--json --outputs=``."""

    def walk(command: Any, path: str) -> Iterator[str]:
        for name, below in sorted(getattr(command, "commands", {}).items()):
            yield from walk(below, f"{path} {name}".strip())
        if path and path not in HEAVY:
            options = [param for param in command.params if param.param_type_name == "option"]
            named = [option.opts[-1] + ("" if option.is_flag else "=") for option in options]
            yield f"{path}:{' '.join(name for name in named if name.rstrip('=') not in LEFT_OUT)}"

    return list(walk(build_command(), ""))


def snapshot(folder: Path) -> set[tuple[str, int]]:
    """The files below a folder with their sizes, without the index of sweeps, which is a cache."""
    return {
        (str(file), file.stat().st_size) for file in folder.rglob("*") if ".index" not in file.parts and file.is_file()
    }


def find_fault(words: Sequence[str], command: Callable[..., Any], folder: Path, codes: set[int]) -> str:
    """What is wrong with how a command line ended; nothing where it worked or was refused as it should be."""
    before = snapshot(folder)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        done = command(*words)
    except SystemExit as end:
        return "" if end.code in (None, 0) else f"exit {end.code}"
    except (Exception, Hang) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if done.code not in codes or "Traceback" in done.out + done.err:
        return f"exit code {done.code}: {(done.out + done.err)[-500:]}"
    if jargon := find_jargon(done.err, words):
        return f"jargon {jargon}: {done.err[:500]}"
    if done.code != 2:
        return ""
    if done.out or not re.fullmatch(r"gdbench: [^\n]+\n", done.err) or len(done.err) > LONGEST_LINE:
        return f"not one line: {done.out[:100]} {done.err[:500]}"
    left = snapshot(folder) - before
    return f"refused, and left {sorted(left)[:3]}" if left else ""


def find_faults(lines: Iterator[tuple[str, ...]], check: Callable[[tuple[str, ...]], str]) -> list[str]:
    """The command lines with a fault, and what it is."""
    faults = ((line, check(line)) for line in lines)
    return [f"{[word[:60] for word in line]}: {fault}" for line, fault in faults if fault]


@pytest.fixture
def check_run(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """The fault of a command line of ``run``, from an empty folder."""

    def check(words: tuple[str, ...]) -> str:
        folder = tmp_path / "here"
        folder.mkdir()
        monkeypatch.chdir(folder)
        fault = find_fault(words, command, folder, {0, 1, 2})
        shutil.rmtree(folder)
        return fault

    return check


@pytest.fixture
def check_verb(
    command: Callable[..., Any], carried_out: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """The fault of a verb, from a folder with a sweep."""

    def check(words: tuple[str, ...]) -> str:
        folder = tmp_path / "here"
        shutil.copytree(carried_out(*SWEEPS), folder)
        monkeypatch.chdir(folder)
        path = " ".join(words[:2]) if words[0] in ("sweeps", "gate") else words[0]
        codes = {0, 1, 2, 3, 4} if words[0] == "gate" else {0, 1, 2}
        fault = find_fault((*words, *ADDED.get(path, ())), command, folder, codes)
        shutil.rmtree(folder)
        return fault

    return check


GOOD = ("one", "outputs", "tensorboard", "pytest-benchmark", "objectives", "md", "optimizer=gd", "lr<0.1", "select 1")
"""Words that some verb takes, among the hostile ones."""


@pytest.mark.filterwarnings("default")
def test_a_few_hostile_command_lines_work_or_are_refused(check_run: Callable[..., str]) -> None:
    """No traceback, no word of a parser, and one line with exit code 2 and nothing written where it is refused."""
    assert find_faults(draw_runs(0, FEW_RUNS), check_run) == []


@pytest.mark.filterwarnings("default")
def test_a_few_hostile_verbs_work_or_are_refused(check_verb: Callable[..., str]) -> None:
    """The same of verbs, with options and arguments that are hostile or good."""
    assert find_faults(draw_verbs(0, FEW_VERBS, list_verbs(), GOOD), check_verb) == []


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("seed", range(1, CHUNKS + 1))
def test_hostile_command_lines_work_or_are_refused(check_run: Callable[..., str], seed: int) -> None:
    """The same of a thousand command lines of ``run``."""
    assert find_faults(draw_runs(seed, CHUNK), check_run) == []


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("seed", range(1, CHUNKS + 1))
def test_hostile_verbs_work_or_are_refused(check_verb: Callable[..., str], seed: int) -> None:
    """The same of a thousand command lines of verbs."""
    assert find_faults(draw_verbs(seed, CHUNK, list_verbs(), GOOD), check_verb) == []
