"""Times in the JSON of pytest-benchmark."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.cli import main as pytest_benchmark

import gdbench
from gdbench.errors import UsageError
from gdbench.results.export.pytest_benchmark import write_benchmarks


@pytest.fixture
def written(once: Callable[..., Path], command: Callable[..., Any]) -> Path:
    """The times of two runs."""
    folder = once("-m optimizer=gd,adam lr=0.1 steps=50 timing.seconds=0.05 --quiet name=timed")
    done = command("export", "pytest-benchmark", str(folder), "--uri", "times.json")

    assert (done.code, done.out) == (0, "2 benchmarks: times.json\n")
    return folder


def test_a_sweep_may_be_named(written: Path, command: Callable[..., Any]) -> None:
    """The name of a sweep serves as its folder does, and one benchmark is not several."""
    done = command("export", "pytest-benchmark", "timed", "--uri", "named.json")
    none = command("export", "pytest-benchmark", "tmed", "--uri", "named.json")

    assert (done.code, done.out) == (0, "2 benchmarks: named.json\n")
    assert none.err.startswith("gdbench: SWEEP=tmed is no sweep of outputs. Did you mean timed")


def test_pytest_benchmark_compares_what_we_write(
    written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own command reads the file, and shows both runs."""
    monkeypatch.setattr(sys, "argv", ["pytest-benchmark", "compare", "times.json", "--columns=median,rounds,outliers"])
    pytest_benchmark()
    shown = capsys.readouterr().out

    assert "gd manual notebook_manual float32 0.1 0" in shown
    assert "adam manual notebook_manual float32 0.1 0" in shown


def test_written_statistics_are_those_of_the_blocks(written: Path) -> None:
    """The median is that of the blocks; the run's exact numbers travel along."""
    benchmarks = json.loads(Path("times.json").read_text())["benchmarks"]
    stats = [benchmark["stats"] for benchmark in benchmarks]
    runs, blocks = gdbench.load(written), gdbench.load(written, "blocks")
    medians = blocks.groupby("run_id", sort=False)["step_s"].median()

    assert np.allclose(sorted(stat["median"] for stat in stats), sorted(medians))
    assert sum(stat["rounds"] for stat in stats) == len(blocks)
    assert benchmarks[0]["extra_info"]["status"] == runs["status"][0]


def test_what_is_none_is_refused(tmp_path: Path, command: Callable[..., Any]) -> None:
    """A sweep that was not timed."""
    command("lr=0.1", "timing=off", "--quiet", "name=untimed")
    (folder,) = Path("outputs").glob("*/*_untimed")

    with pytest.raises(UsageError, match="timing=quick"):
        write_benchmarks(folder, tmp_path / "x.json")
