"""Fresh processes on the clock."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def seconds(words: Sequence[str | Path], folder: Path, **variables: str) -> float:
    """Wall time of a fresh ``python`` with these arguments and variables, from start to exit."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    return taken


PEAK = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_bytes(words: Sequence[str | Path], folder: Path) -> int:
    """The most memory that a fresh ``python`` with these arguments has held at once (resident set size).

    A small process stands between, as a child counts what its parent held when it was forked.
    """
    told = subprocess.run(
        [sys.executable, "-c", PEAK, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    code, kilobytes = map(int, told.stdout.split())
    assert code == 0, told.stderr
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


def in_turn(folder: Path, rounds: int, **commands: Sequence[str]) -> list[dict[str, float]]:
    """The wall time of each command, in rounds that run them all in turn."""
    return [{name: seconds(words, folder) for name, words in commands.items()} for _ in range(rounds)]


def medians(folder: Path, rounds: int, **commands: Sequence[str]) -> dict[str, float]:
    """The median wall time of each command, over rounds that run them all in turn."""
    taken = in_turn(folder, rounds, **commands)
    return {name: statistics.median(each[name] for each in taken) for name in commands}
