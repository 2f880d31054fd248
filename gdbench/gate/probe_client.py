"""Runs the probe of each side in a process of its own, both at once: nothing is timed here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import site
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gdbench.engine.git import make_clean_environment
from gdbench.errors import NotMeasured
from gdbench.gate.series import Series, SourceTree

__all__ = ["ProbeResults", "build_environment", "kill_process", "read_last_lines", "run_probe", "run_probes"]
__all__ += ["start_process"]

PROBE = Path(__file__).resolve().with_name("probe.py")
HOME = Path(__file__).parents[2]
"""The folder of this gdbench: a checkout, or the folder of installed packages."""
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
LAST_LINES = 3
"""Lines of standard error that are shown of a process that died."""

Advance = Callable[[str], None]
"""Called with the name of each series that a side has answered."""


@dataclass
class ProbeResults:
    """Answers of one side."""

    process: dict[str, Any] = field(default_factory=dict)
    """Its fingerprint and Python version."""
    series: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The answer on each series, by name."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the bits of a trajectory depend on besides the code."""
        return dict(self.process.get("fingerprint", {}))


def run_probes(
    series: Sequence[Series], base: SourceTree, head: SourceTree, advance: Advance
) -> tuple[ProbeResults, ProbeResults]:
    """Probe both sides at once."""
    running: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(2) as pool:
        try:
            sides = ((base, head), (head, base))
            futures = [pool.submit(run_probe, series, side, other, advance, running) for side, other in sides]
            return futures[0].result(), futures[1].result()
        except BaseException:  # Ctrl-C too
            for process in running:
                kill_process(process)
            raise


def run_probe(
    series: Sequence[Series],
    side: SourceTree,
    other: SourceTree | None = None,
    advance: Advance = lambda name: None,
    running: list[subprocess.Popen[str]] | None = None,
) -> ProbeResults:
    """Probe one side. Raises NotMeasured if its process dies, or imported files of the ``other`` side."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = start_process(side.python, PROBE, side.root, build_environment(side), errors)
        if running is not None:
            running.append(process)
        try:
            results, foreign = _read_answers(process, json.dumps(_build_request(series, side, other)), advance)
        finally:
            kill_process(process)
        if foreign is None:
            raise NotMeasured(f"{side.label}: its process ended early ({read_last_lines(errors, LAST_LINES)}).")
    if foreign and other:
        raise NotMeasured(f"{side.label} imported {foreign[0]} of {other.label}: the two sides cannot be separated.")
    return results


def _read_answers(
    process: subprocess.Popen[str], request: str, advance: Advance
) -> tuple[ProbeResults, list[str] | None]:
    """The answers of a probe, and the other side's files that it imported; None if it ended before saying so."""
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(request + "\n")
        process.stdin.flush()
    results, foreign = ProbeResults(), None
    for line in process.stdout:
        answer = json.loads(line)
        if "fingerprint" in answer:
            results.process = answer
        elif "foreign" in answer:
            foreign = answer["foreign"]
        else:
            name = answer.pop("name")
            results.series[name] = answer
            advance(name)
    return results, foreign


def start_process(
    python: Path, file: Path, folder: Path, environment: Mapping[str, str], errors: TextIO
) -> subprocess.Popen[str]:
    """Start a file of the gate's by any interpreter, in a process group of its own: Ctrl-C is for the gate."""
    return subprocess.Popen(
        [str(python), "-P", str(file)],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )


def kill_process(process: subprocess.Popen[str]) -> None:
    """Kill a process and all of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError), process:  # whose end closes the pipes, and waits
        pass


def build_environment(side: SourceTree) -> dict[str, str]:
    """Environment variables of a side; sys.path: its own tree, then this process's PYTHONPATH, then this gdbench."""
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    home = [] if str(HOME) in (*INSTALLED, *site.getsitepackages()) else [str(HOME)]
    return {
        **make_clean_environment(),
        "PYTHONPATH": os.pathsep.join([*side.import_path, *inherited, *home]),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",  # a user's tree stays as it is
    }


def _build_request(series: Sequence[Series], side: SourceTree, other: SourceTree | None) -> dict[str, Any]:
    requests = []
    for one in series:
        fixed, words = side.build_request(one)
        requests.append({"name": one.name, "fixed": fixed, "words": words})
    return {"series": requests, "foreign": _list_roots(side, other)}


def _list_roots(side: SourceTree, other: SourceTree | None) -> list[list[str]]:
    """Folders that files may come from, and those they must not: a worktree may lie within the repository."""
    ours, theirs = side.root.resolve(), other.root.resolve() if other else None
    if theirs is None or theirs == ours:
        return [[], []]
    return [[] if theirs.is_relative_to(ours) else [f"{ours}{os.sep}"], [f"{theirs}{os.sep}"]]


def read_last_lines(errors: TextIO, count: int) -> str:
    """The last lines of what a process wrote to standard error, in one line."""
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return "; ".join(lines[-count:]) or "no message"
