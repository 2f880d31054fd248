"""A thousand sweeps of a million runs: how long it takes to list them, to ask for some, and to ask in SQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdbench
from gdbench.results.index import open_index
from gdbench.results.query import parse_query
from gdbench.results.sql import run_sql
from gdbench.results.sweep_list import get_query_types, list_sweeps

SWEEPS, RUNS = 1000, 1000
ALLOWED_S = 1.0


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of a real sweep, each with numbers of its own, and an index that knows them."""
    outputs = tmp_path_factory.mktemp("store") / "outputs"
    made = gdbench.sweep(
        "rosenbrock", optimizer=["gd", "adam", "momentum"], lr="tag(log,interval(1e-4,1))", timing="off",
        outputs=outputs.parent / "made",
    )  # fmt: skip
    source = Path(made.attrs["folder"])
    table = pq.read_table(source / "runs.parquet")
    random = np.random.default_rng(0)
    for number in range(SWEEPS):
        folder = outputs / f"2026-01-{1 + number % 28:02d}" / f"09-{number // 60:02d}-{number % 60:02d}_sweep"
        shutil.copytree(source / ".hydra", folder / ".hydra")
        shutil.copy(source / "environment.json", folder)
        rows = table.take(pa.array(random.integers(0, len(table), RUNS)))
        for name in ("lr", "final_loss", "final_gap", "grad_norm"):
            drawn = pa.array(random.uniform(1e-9, 1.0, RUNS))
            rows = rows.set_column(rows.column_names.index(name), name, drawn)
        keys = pa.array([f"{key:016x}" for key in random.integers(0, 2**62, RUNS)])
        pq.write_table(rows.set_column(rows.column_names.index("run_id"), "run_id", keys), folder / "runs.parquet")
    with open_index(outputs) as index:
        assert len(index.sweeps) == SWEEPS
    return outputs


@pytest.mark.parametrize("words", [[], ["optimizer=adam", "lr<0.1", "status!=diverged"], ["steps>1"]], ids=" ".join)
def test_a_thousand_sweeps_answer_at_once(
    outputs: Path, words: list[str], benchmark: Any, figures: Callable[..., None]
) -> None:
    """Listing and filtering a million runs takes less than a second once they have been read."""

    def asked() -> int:
        with open_index(outputs) as index:
            return len(list_sweeps(index, parse_query(words, get_query_types(index)), outputs))

    assert benchmark.pedantic(asked, rounds=3, warmup_rounds=1) == SWEEPS
    figures(answer_s=benchmark.stats.stats.min)
    assert benchmark.stats.stats.min < ALLOWED_S


def test_sql_answers_at_once(outputs: Path, benchmark: Any, figures: Callable[..., None]) -> None:
    """So does a statement over all runs."""
    statement = "select optimizer, count(*) n, min(final_gap) from runs group by all"

    def asked() -> int:
        with open_index(outputs) as index:
            return int(run_sql(index, statement, outputs)["n"].sum())

    assert benchmark.pedantic(asked, rounds=3, warmup_rounds=1) == SWEEPS * RUNS
    figures(answer_s=benchmark.stats.stats.min)
    assert benchmark.stats.stats.min < ALLOWED_S
