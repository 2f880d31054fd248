"""Look up one run of a folder: its row, its sweep and its trace."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.load import load

__all__ = ["find_run", "find_sweep_of_run", "has_run", "load_trace"]

RUN_ID = re.compile(r"[0-9a-f]{0,16}")
"""What the start of a run_id may look like."""


def find_run(run: str, folder: Path) -> pd.Series:
    """Latest row of the run whose run_id begins with ``run``; ``UsageError`` where not exactly one run does."""
    runs = load(folder)
    found = runs[runs["run_id"].str.startswith(run, na=False)]
    if found["run_id"].nunique() != 1:
        near = ", ".join(found["run_id"].unique()[:5]) if len(found) else "none"
        raise UsageError(f"RUN={run} must name one run of {folder}; it begins {near}. They are in the column run_id.")
    return found.sort_values("started_at").iloc[-1]


def has_run(start: str, folder: Path) -> bool:
    """Whether the run_id of any run of a folder begins with ``start``."""
    if not RUN_ID.fullmatch(start):
        return False
    try:
        return bool(load(folder, columns=["run_id"])["run_id"].str.startswith(start, na=False).any())
    except UsageError:  # no sweep
        return False


def find_sweep_of_run(folder: Path, row: pd.Series) -> Path:
    """Folder of the sweep that a row comes from, below ``folder``, also after a move or copy."""
    if (folder / ".hydra").is_dir():
        return folder
    named = Path(str(row["sweep"])).parts
    return next((place for place in find_sweep_folders(folder) if place.parts[-len(named) :] == named), folder)


def load_trace(place: Path, run: str) -> pd.DataFrame:
    """Trace of a run; empty if none was recorded."""
    try:
        traces = load(place, "traces")
    except UsageError:
        return pd.DataFrame()
    return traces[traces["run_id"] == run].reset_index(drop=True)
