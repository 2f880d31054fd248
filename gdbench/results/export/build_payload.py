"""Conversion of a sweep's folder to what trackers accept: parameters, finite metrics, tags, curves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.columns import is_setting
from gdbench.results.environment_file import find_environment, read_environment
from gdbench.results.export.payload import Curves, RunPayload, SweepPayload
from gdbench.results.load import load
from gdbench.results.values import is_null

__all__ = ["build_payload"]

MAX_RUNS = 20_000
"""Largest number of runs that is exported; no tracker is made for more."""
CURVES = ("loss", "gap", "grad_norm")
TAG_COLUMNS = ("run_id", "sweep", "cell", "cell_fingerprint", "process", "started_at", "overrides")
"""Columns that are neither settings nor results, and become tags."""
FILES = ("report.html", "report.md", "environment.json", "runs.parquet", "tables/*", "figures/*.svg", "*.diff")


def build_payload(folder: Path) -> SweepPayload:
    """Payload of the sweep in a folder; ``UsageError`` where there is none, or several, or too many runs."""
    runs = load(folder).drop_duplicates("run_id")
    if runs["sweep"].nunique() != 1:
        raise UsageError(f"{folder} holds {runs['sweep'].nunique()} sweeps: name the folder of one.")
    if len(runs) > MAX_RUNS:
        raise UsageError(f"{folder} holds {len(runs)} runs, more than the {MAX_RUNS} that trackers are made for.")
    sweep, curves = str(runs["sweep"].iloc[0]), _read_curves(folder)
    key = _compute_sweep_id(folder, sweep)
    swept = [str(name) for name in runs if is_setting(str(name)) and runs[name].nunique(dropna=False) > 1]
    rows = runs.astype(object).to_dict(orient="records")
    payloads = [_build_run({str(name): value for name, value in row.items()}, key, curves, swept) for row in rows]
    return SweepPayload(key, sweep, _build_tags(folder, runs), payloads, list(_iterate_files(folder)))


def _compute_sweep_id(folder: Path, sweep: str) -> str:
    """Identifier of a sweep that survives copies: hash of its name and its environment.json."""
    file = folder / "environment.json"
    return _hash_words(sweep, file.read_text(encoding="utf-8") if file.is_file() else "")


def _hash_words(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).hexdigest()


def _iterate_files(folder: Path) -> Iterator[Path]:
    for pattern in FILES:
        yield from sorted(file for file in folder.glob(pattern) if file.is_file())


def _build_tags(folder: Path, runs: pd.DataFrame) -> dict[str, str]:
    known = find_environment(folder, runs.sort_values("started_at").iloc[-1])
    git = (known.get("git") or {}).get("gdbench") or {}
    command = folder / ".hydra" / "command.json"
    words = read_environment(command).get("words") or known.get("command") or []
    counts = runs["status"].value_counts()
    return {
        "command": " ".join(["python -m gdbench", *map(str, words)]),
        "runs": str(len(runs)),
        "statuses": ", ".join(f"{counts[status]} {status}" for status in counts.index),
        "commit": str(git.get("commit")),
        "dirty": str(git.get("dirty")),
        "torch": str((known.get("packages") or {}).get("torch")),
        "cpu": str(known.get("cpu")),
        "machine": str(known.get("machine")),
    }


def _read_curves(folder: Path) -> dict[str, Curves]:
    try:
        traces = load(folder, "traces", ["run_id", "step", *CURVES])
    except UsageError:  # trace=none
        return {}
    return {
        str(run): Curves(
            trace["step"].to_numpy(np.int64),
            {f"trace/{name}": trace[name].to_numpy(np.float64, na_value=np.nan) for name in CURVES},
        )
        for run, trace in traces.groupby("run_id", sort=False)
    }


def _build_run(row: dict[str, Any], sweep: str, curves: dict[str, Curves], swept: list[str]) -> RunPayload:
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for name, value in row.items():
        if is_null(value):
            continue
        if is_setting(name):
            params[name] = value
        elif name not in TAG_COLUMNS and isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isfinite(value):
                metrics[name] = float(value)
            else:
                tags[name] = str(value)
        else:
            tags[name] = str(value)
    shown = [name for name in ("optimizer", "impl", *swept) if name in params]
    name = " ".join(_format_setting(column, params[column]) for column in dict.fromkeys(shown))
    run = str(row["run_id"])
    return RunPayload(
        id=_hash_words(sweep, run, str(row["started_at"])),
        name=name,
        params=params,
        metrics=metrics,
        tags=tags,
        curves=curves.get(run, Curves(np.empty(0, np.int64), {})),
    )


def _format_setting(name: str, value: Any) -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return number if isinstance(value, str) else f"{name.rpartition('.')[2]}={number}"
