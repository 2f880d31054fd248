"""Look up one run of a folder: its row, its sweep, its environment and its trace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.environment_file import read_environment
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.load import load

__all__ = ["find_environment", "find_run", "find_sweep_of_run", "load_trace"]

EPOCH = pd.Timestamp(0, tz="UTC")


def find_run(run: str, folder: Path) -> pd.Series:
    """Latest row of the run whose run_id begins with ``run``; ``UsageError`` where not exactly one run does."""
    runs = load(folder)
    found = runs[runs["run_id"].str.startswith(run, na=False)]
    if found["run_id"].nunique() != 1:
        near = ", ".join(found["run_id"].unique()[:5]) if len(found) else "none"
        raise UsageError(f"RUN={run} must name one run of {folder}; it begins {near}. Keys are in the column run.")
    return found.sort_values("started_at").iloc[-1]


def find_sweep_of_run(folder: Path, row: pd.Series) -> Path:
    """Folder of the sweep that a row comes from, below ``folder``, also after a move or copy."""
    if (folder / ".hydra").is_dir():
        return folder
    named = Path(str(row["sweep"])).parts
    return next((place for place in find_sweep_folders(folder) if place.parts[-len(named) :] == named), folder)


def find_environment(place: Path, row: pd.Series) -> dict[str, Any]:
    """Environment recorded when the row's cell ran: the latest one before its start."""
    held = [read_environment(file) for file in sorted(place.glob("environment*.json"))]
    known = [(_read_time(environment), environment) for environment in held if environment]
    before = [entry for entry in known if not entry[0] > row["started_at"]]
    _, latest = max(before or known, key=lambda entry: entry[0], default=(EPOCH, {}))
    return latest


def _read_time(environment: Mapping[str, Any]) -> pd.Timestamp:
    """Time at which an environment was recorded; the epoch if missing."""
    try:
        return pd.Timestamp(str(environment["at"])).tz_convert("UTC")
    except (KeyError, ValueError, TypeError):
        return EPOCH


def load_trace(place: Path, run: str) -> pd.DataFrame:
    """Trace of a run; empty if none was recorded."""
    try:
        traces = load(place, "traces")
    except UsageError:
        return pd.DataFrame()
    return traces[traces["run_id"] == run].reset_index(drop=True)
