"""Fresh processes on the clock, and measured figures that are printed as well as kept."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def seconds(words: Sequence[str | Path], folder: Path) -> float:
    """Wall time of a fresh ``python`` with these arguments, from start to exit."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    return taken


def medians(folder: Path, rounds: int, **commands: Sequence[str]) -> dict[str, float]:
    """The median wall time of each command, over rounds that run them all in turn."""
    taken = [{name: seconds(words, folder) for name, words in commands.items()} for _ in range(rounds)]
    return {name: statistics.median(each[name] for each in taken) for name in commands}


@pytest.fixture
def timed(benchmark: Any) -> Callable[[Callable[[], Any]], Any]:
    """Calls once what keeps time by itself, so that its figures are reported among the benchmarks."""
    return lambda call: benchmark.pedantic(call, rounds=1, iterations=1)


@pytest.fixture
def figures(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Prints measured figures, by name, and stores them with the benchmark."""

    def keep(**measured: float | Sequence[float]) -> None:
        benchmark.extra_info.update(measured)
        with capsys.disabled():
            for name, each in measured.items():
                text = f"{each:.4g}" if isinstance(each, float) else " ".join(f"{one:.3f}" for one in each)
                print(f"\n    {name.replace('_', ' ')}: {text}", end="")

    return keep
