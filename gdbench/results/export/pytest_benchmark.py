"""Step times as pytest-benchmark's JSON, and its JSON as a table: for ``pytest-benchmark compare`` and dashboards."""

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
from gdbench.results.atomic import replace_text
from gdbench.results.load import load

__all__ = ["read_benchmarks", "write_benchmarks"]

NAMED = ("optimizer", "impl", "objective", "dtype", "lr", "seed")


def write_benchmarks(folder: Path, file: Path) -> int:
    """Write the runs of a sweep that were timed, each block of steps a round; returns how many there are.

    ``extra_info`` holds what pytest-benchmark has no place for: the run, its status, steps and ratio to the reference.
    """
    runs = load(folder)
    timed = runs[runs["timed"].fillna(False)].drop_duplicates("run_id")
    if not len(timed):
        raise UsageError(f"{folder} holds no run that was timed itself: sweep with timing=quick or timing=full.")
    by_run = dict(list(load(folder, "blocks").groupby("run_id")["step_s"]))
    written = {
        "machine_info": {"node": platform.node(), "system": platform.system(), "machine": platform.machine()},
        "commit_info": {},
        "benchmarks": [_benchmark(row, by_run[row["run_id"]].to_numpy()) for _, row in timed.iterrows()],
        "datetime": timed["started_at"].max().isoformat(),
        "version": f"gdbench {__version__}",
    }
    replace_text(file, json.dumps(written, indent=1, default=str))
    return len(timed)


def _benchmark(row: pd.Series, seconds: npt.NDArray[np.float64]) -> dict[str, Any]:
    params = {name: row[name] for name in NAMED}
    name = " ".join(str(each) for each in params.values())
    extra = {key: row[key] for key in ("run_id", "status", "steps_to_target", "step_time_ratio", "final_gap")}
    return {
        "group": row["objective"],
        "name": name,
        "fullname": f"gdbench::{name}",
        "params": {key: _plain(value) for key, value in params.items()},
        "param": None,
        "extra_info": {key: _plain(value) for key, value in extra.items()},
        "options": {"disable_gc": True, "timer": "perf_counter", "warmup": True},
        "stats": _stats(seconds),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _stats(seconds: npt.NDArray[np.float64]) -> dict[str, Any]:
    """pytest-benchmark's statistics, outliers as it defines them: beyond 1.5 interquartile ranges, or one deviation."""
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
    return {**{name: float(each) for name, each in numbers.items()}, **counts, "outliers": f"{strays};{beyond}"}


def read_benchmarks(file: Path) -> pd.DataFrame:
    """What pytest-benchmark, or ``write_benchmarks``, wrote: name, group, rounds, and its statistics in seconds."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        rows = [
            {"name": each["fullname"], "group": each["group"], "cpu": _cpu(told), **_in_seconds(each["stats"])}
            for each in told["benchmarks"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no JSON of pytest-benchmark ({type(error).__name__}: {error}).") from None
    return pd.DataFrame(rows)


def _in_seconds(stats: dict[str, Any]) -> dict[str, Any]:
    """Its statistics under names that carry their unit."""
    times = ("min", "max", "mean", "stddev", "median", "iqr", "q1", "q3")
    return {**{f"{name}_s": stats[name] for name in times}, "rounds": stats["rounds"]}


def _cpu(told: dict[str, Any]) -> str | None:
    """The processor's name; only times of one and the same compare."""
    return (told.get("machine_info", {}).get("cpu") or {}).get("brand_raw")
