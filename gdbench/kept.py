"""What a sweep's folder keeps beside its tables: where it lies, how it was run, and each cell's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench import records
from gdbench.schema import UsageError

__all__ = ["environment_of", "find_run", "home", "trace"]


def find_run(run: str, folder: Path) -> pd.Series:
    """The latest row of the run whose key begins so; ``UsageError`` where none does, or several do."""
    runs = records.load(folder)
    found = runs[runs["run"].str.startswith(run)]
    if found["run"].nunique() != 1:
        near = ", ".join(found["run"].unique()[:5]) if len(found) else "none"
        raise UsageError(f"RUN={run} must name one run of {folder}; it begins {near}. Keys are in the column run.")
    return found.sort_values("started_at").iloc[-1]


def home(folder: Path, row: pd.Series) -> Path:
    """The folder of the sweep that a row comes from, below ``folder``, also where that was moved or copied."""
    if (folder / ".hydra").is_dir():
        return folder
    return next(iter(folder.rglob(str(row["sweep"]))), folder)


def environment_of(place: Path, row: pd.Series) -> dict[str, Any]:
    """What was written down of the environment when the row's cell ran: of several the latest before it."""
    found = []
    for file in sorted(place.glob("environment*.json")):
        try:
            found.append(json.loads(file.read_text()))
        except ValueError:
            continue
    before = [each for each in found if pd.Timestamp(each.get("at", "1970-01-01T00:00Z")) <= row["started_at"]]
    latest: dict[str, Any] = max(before or found, key=lambda each: str(each.get("at", "")), default={})
    return latest


def trace(place: Path, run: str) -> pd.DataFrame:
    """What was recorded of a run step by step; empty where nothing was."""
    try:
        traces = records.load(place, "traces")
    except UsageError:
        return pd.DataFrame()
    return traces[traces["run"] == run].reset_index(drop=True)
