"""A sweep's folder as trackers want it: parameters, finite metrics, tags, curves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.columns import asked
from gdbench.results.export.tracked import Curves, Tracked, TrackedSweep
from gdbench.results.load import load
from gdbench.results.lookup import environment_of
from gdbench.results.sweep_start import read_environment

__all__ = ["read"]

MOST = 20_000
"""Runs of a sweep that a tracker is given; none of them is made for more."""
CURVES = ("loss", "gap", "grad_norm")
WORDS = ("run_id", "sweep", "cell", "cell_fingerprint", "process", "started_at", "overrides")
"""What is no result of a run, and goes into its tags."""
FILES = ("report.html", "report.md", "environment.json", "runs.parquet", "tables/*", "figures/*.svg", "*.diff")


def read(folder: Path) -> TrackedSweep:
    """The sweep in a folder. ``UsageError`` where there is none, or several, or too many runs."""
    runs = load(folder).drop_duplicates("run_id")
    if runs["sweep"].nunique() != 1:
        raise UsageError(f"{folder} holds {runs['sweep'].nunique()} sweeps: name the folder of one.")
    if len(runs) > MOST:
        raise UsageError(f"{folder} holds {len(runs)} runs, more than the {MOST} that trackers are made for.")
    sweep, curves = str(runs["sweep"].iloc[0]), _curves(folder)
    key = _key(folder, sweep)
    swept = [str(name) for name in runs if asked(str(name)) and runs[name].nunique(dropna=False) > 1]
    rows = runs.astype(object).to_dict(orient="records")
    told = [_tracked({str(name): value for name, value in row.items()}, key, curves, swept) for row in rows]
    return TrackedSweep(key, sweep, _tags(folder, runs), told, list(_files(folder)))


def _key(folder: Path, sweep: str) -> str:
    """What tells the sweep from all others, wherever it is copied: its name, and what it was run with, and when."""
    file = folder / "environment.json"
    return _digest(sweep, file.read_text(encoding="utf-8") if file.is_file() else "")


def _digest(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for pattern in FILES:
        yield from sorted(file for file in folder.glob(pattern) if file.is_file())


def _tags(folder: Path, runs: pd.DataFrame) -> dict[str, str]:
    """What is told of the whole sweep."""
    known = environment_of(folder, runs.sort_values("started_at").iloc[-1])
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


def _curves(folder: Path) -> dict[str, Curves]:
    """The traces by run."""
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


def _tracked(row: dict[str, Any], sweep: str, curves: dict[str, Curves], swept: list[str]) -> Tracked:
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for name, value in row.items():
        if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
            continue
        if asked(name):
            params[name] = value
        elif name not in WORDS and isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isfinite(value):
                metrics[name] = float(value)
            else:
                tags[name] = str(value)
        else:
            tags[name] = str(value)
    shown = [name for name in ("optimizer", "impl", *swept) if name in params]
    name = " ".join(_word(each, params[each]) for each in dict.fromkeys(shown))
    run = str(row["run_id"])
    return Tracked(
        id=_digest(sweep, run, str(row["started_at"])),
        name=name,
        params=params,
        metrics=metrics,
        tags=tags,
        curves=curves.get(run, Curves(np.empty(0, np.int64), {})),
    )


def _word(name: str, value: Any) -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return number if isinstance(value, str) else f"{name.rpartition('.')[2]}={number}"
