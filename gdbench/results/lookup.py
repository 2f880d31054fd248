"""What a sweep's folder keeps beside its tables: where it lies, how it was run, and each cell's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.folder_layout import sweep_folders
from gdbench.results.load import load
from gdbench.results.sweep_start import read_environment

__all__ = ["environment_of", "find_run", "home", "trace"]

EPOCH = pd.Timestamp(0, tz="UTC")


def find_run(run: str, folder: Path) -> pd.Series:
    """The latest row of the run whose key begins so; ``UsageError`` where none does, or several do."""
    runs = load(folder)
    found = runs[runs["run_id"].str.startswith(run, na=False)]
    if found["run_id"].nunique() != 1:
        near = ", ".join(found["run_id"].unique()[:5]) if len(found) else "none"
        raise UsageError(f"RUN={run} must name one run of {folder}; it begins {near}. Keys are in the column run.")
    return found.sort_values("started_at").iloc[-1]


def home(folder: Path, row: pd.Series) -> Path:
    """The folder of the sweep that a row comes from, below ``folder``, also where that was moved or copied."""
    if (folder / ".hydra").is_dir():
        return folder
    named = Path(str(row["sweep"])).parts
    return next((place for place in sweep_folders(folder) if place.parts[-len(named) :] == named), folder)


def environment_of(place: Path, row: pd.Series) -> dict[str, Any]:
    """What was written down of the environment when the row's cell ran: of several the latest before it."""
    held = [read_environment(file) for file in sorted(place.glob("environment*.json"))]
    known = [(_instant(environment), environment) for environment in held if environment]
    before = [entry for entry in known if not entry[0] > row["started_at"]]
    _, latest = max(before or known, key=lambda entry: entry[0], default=(EPOCH, {}))
    return latest


def _instant(environment: Mapping[str, Any]) -> pd.Timestamp:
    """When an environment was written down; the epoch where it does not say so."""
    try:
        return pd.Timestamp(str(environment["at"])).tz_convert("UTC")
    except (KeyError, ValueError, TypeError):
        return EPOCH


def trace(place: Path, run: str) -> pd.DataFrame:
    """What was recorded of a run step by step; empty where nothing was."""
    try:
        traces = load(place, "traces")
    except UsageError:
        return pd.DataFrame()
    return traces[traces["run_id"] == run].reset_index(drop=True)
