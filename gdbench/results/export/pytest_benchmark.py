"""Step times in pytest-benchmark's JSON format (``pytest-benchmark compare``, dashboards)."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench import __version__
from gdbench.errors import UsageError
from gdbench.results.atomic import write_text
from gdbench.results.load import load
from gdbench.results.values import is_null

__all__ = ["write_benchmarks"]

NAME_COLUMNS = ("optimizer", "impl", "objective", "dtype", "lr", "seed")


def write_benchmarks(folder: Path, file: Path) -> int:
    """Write the timed runs of a sweep, each timing block as a round; returns their number.

    ``extra_info`` has run_id, status, steps and ratio to the reference.
    """
    runs, by_run = load(folder).drop_duplicates("run_id"), _read_blocks(folder)
    timed = runs[runs["timed"].fillna(False) & runs["run_id"].isin(list(by_run))]
    if not len(timed):
        raise UsageError(f"{folder} holds no run that was timed itself: sweep with timing=quick or timing=full.")
    written = {
        "machine_info": {"node": platform.node(), "system": platform.system(), "machine": platform.machine()},
        "commit_info": {},
        "benchmarks": [_build_benchmark(row, by_run[row["run_id"]]) for _, row in timed.iterrows()],
        "datetime": timed["started_at"].max().isoformat(),
        "version": f"gdbench {__version__}",
    }
    write_text(file, json.dumps(written, indent=1, default=str))
    return len(timed)


def _read_blocks(folder: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Step times in seconds of the timing blocks, by run_id; empty without timing."""
    try:
        blocks = load(folder, "blocks").dropna(subset="step_s")
    except UsageError:
        return {}
    return {str(run): step_s.to_numpy(float) for run, step_s in blocks.groupby("run_id")["step_s"]}


def _build_benchmark(row: pd.Series, seconds: npt.NDArray[np.float64]) -> dict[str, Any]:
    params = {name: row[name] for name in NAME_COLUMNS}
    name = " ".join(str(value) for value in params.values())
    extra = {key: row[key] for key in ("run_id", "status", "steps_to_target", "step_time_ratio", "final_gap")}
    return {
        "group": row["objective"],
        "name": name,
        "fullname": f"gdbench::{name}",
        "params": {key: _to_json_value(value) for key, value in params.items()},
        "param": None,
        "extra_info": {key: _to_json_value(value) for key, value in extra.items()},
        "options": {"disable_gc": True, "timer": "perf_counter", "warmup": True},
        "stats": _compute_stats(seconds),
    }


def _to_json_value(value: Any) -> Any:
    return None if is_null(value) else value.item() if isinstance(value, np.generic) else value


def _compute_stats(seconds: npt.NDArray[np.float64]) -> dict[str, Any]:
    """pytest-benchmark's statistics; outliers beyond 1.5 interquartile ranges, or one standard deviation."""
    q1, median, q3 = np.quantile(seconds, (0.25, 0.5, 0.75))
    mean, deviation = seconds.mean(), seconds.std(ddof=1) if len(seconds) > 1 else 0.0
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    inside = seconds[(seconds >= low) & (seconds <= high)]
    beyond = int((~((seconds >= low) & (seconds <= high))).sum())
    strays = int((np.abs(seconds - mean) > deviation).sum())
    numbers = {
        "min": seconds.min(),
        "max": seconds.max(),
        "mean": mean,
        "stddev": deviation,
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "ld15iqr": inside.min(),
        "hd15iqr": inside.max(),
        "ops": 1 / mean,
        "total": seconds.sum(),
    }
    counts = {"rounds": len(seconds), "iterations": 1, "iqr_outliers": beyond, "stddev_outliers": strays}
    return {**{name: float(value) for name, value in numbers.items()}, **counts, "outliers": f"{strays};{beyond}"}
