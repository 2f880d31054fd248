"""A hundred thousand runs in a report, ten thousand sweeps in a folder, ten thousand cells: time and memory of each.

python -m pytest tests/speed/test_size.py
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import peak_bytes

import gdbench

MIB = 2**20
QUIET = ["device=cpu", "timing=off", "--quiet"]
GRID = [
    "objective=rosenbrock,himmelblau,quadratic",
    "optimizer=gd,momentum,adam,rmsprop",
    "lr=tag(log,interval(1e-4,1))",
]
SHAPES = {
    "seeds": ["points=104", "seed=range(80)", "start_noise=0.1", "steps=1000"],
    "learning rates": ["points=8334", "steps=300"],
}


def measure(
    words: list[str], folder: Path, count: int, timed: Callable[..., Any], figures: Callable[..., None], benchmark: Any
) -> float:
    """Peak memory in MiB of a command, printed with its time and the time of one of ``count``."""
    peak = timed(lambda: peak_bytes(["-m", "gdbench", *words], folder)) / MIB
    taken = benchmark.stats.stats.min
    figures(command_s=taken, ms_of_one=1000 * taken / count, peak_mib=peak)
    return float(peak)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_report_of_a_hundred_thousand_runs(
    shape: str, tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None], benchmark: Any
) -> None:
    """Page, pictures and tables of 100,000 runs take less than 1.2 GB, whether seeds or learning rates are many."""
    peak_bytes(["-m", "gdbench", "-m", *GRID, *SHAPES[shape], *QUIET, "outputs=big"], tmp_path)

    assert measure(["report", "big"], tmp_path, 100_000, timed, figures, benchmark) < 1200


def test_the_first_list_of_ten_thousand_sweeps(
    tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None], benchmark: Any
) -> None:
    """Indexing 10,000 sweeps of 6 runs takes less than 700 MiB."""
    made = gdbench.sweep(
        "rosenbrock", optimizer=["gd", "adam"], lr=[0.001, 0.01, 0.1], steps=50, timing="off", outputs=tmp_path / "made"
    )
    source = Path(made.attrs["folder"])
    table = pq.read_table(source / "runs.parquet")
    place = table.column_names.index("run_id")
    for number in range(10_000):
        folder = tmp_path / "outputs" / f"day-{number // 100:03d}" / f"sweep-{number % 100:02d}"
        shutil.copytree(source / ".hydra", folder / ".hydra")
        shutil.copy(source / "environment.json", folder)
        keys = pa.array([f"{number:012x}{row:04x}" for row in range(len(table))])
        pq.write_table(table.set_column(place, "run_id", keys), folder / "runs.parquet")

    assert measure(["sweeps"], tmp_path, 10_000, timed, figures, benchmark) < 700


def test_a_sweep_of_ten_thousand_cells(
    tmp_path: Path, timed: Callable[..., Any], figures: Callable[..., None], benchmark: Any
) -> None:
    """10,000 cells of one run each take less than 900 MiB, their merging included."""
    words = ["-m", "optimizer=gd", "lr=0.001", "steps=range(1,10001)", *QUIET]

    assert measure(words, tmp_path, 10_000, timed, figures, benchmark) < 900
