"""What it takes to copy a sweep to a tracker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gdbench
from gdbench.results.export import export_sweep

RUNS = 1000
MOST_S = 60.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
def test_a_thousand_runs_reach_mlflow_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: Callable[..., Any], figures: Callable[..., None]
) -> None:
    """1,000 runs of 100 steps, with curves and a local SQLite store that is new, take less than 60 s."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # at the sight of it MLflow watches its own sessions
    monkeypatch.chdir(tmp_path)
    settings = {"lr": "tag(log,interval(1e-4,1))", "points": RUNS, "timing": "off", "outputs": str(tmp_path)}
    folder = Path(gdbench.run("notebook_manual", **settings).attrs["folder"])

    def exported() -> float:
        started = time.perf_counter()
        assert export_sweep("mlflow", folder, f"sqlite:///{tmp_path}/mlflow.db").added == RUNS
        return time.perf_counter() - started

    taken = timed(exported)
    figures(export_s=taken, a_run_s=taken / RUNS)
    assert taken < MOST_S
