"""Look up one run of a folder by its run_id: its row, its sweep and its trace."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError
from gdbench.results.folder_layout import find_sweep_folders, is_sweep
from gdbench.results.index import open_index
from gdbench.results.load import load
from gdbench.results.sweep_ranks import SWEEP_NUMBER

__all__ = ["find_run", "find_sweep_of_run", "has_run", "load_trace"]

RUN_ID = re.compile(r"[0-9a-f]{0,16}")
"""What the start of a run_id may look like."""


def find_run(run: str, folder: Path) -> pd.Series:
    """Latest row of the run whose run_id begins with ``run``; ``UsageError`` where not exactly one run does."""
    runs = load(_find_sweeps_with(run, folder) or folder)
    found = runs[runs["run_id"].str.startswith(run, na=False)]
    if found["run_id"].nunique() != 1:
        near = ", ".join(found["run_id"].unique()[:5]) if len(found) else "none"
        raise UsageError(f"RUN={run} must name one run of {folder}; it begins {near}. They are in the column run_id.")
    return found.sort_values("started_at").iloc[-1]


def has_run(start: str, folder: Path) -> bool:
    """Whether the run_id of any run in a folder begins with ``start``."""
    if not RUN_ID.fullmatch(start):
        return False
    try:
        runs = load(_find_sweeps_with(start, folder), columns=["run_id"])
    except UsageError:  # no sweep
        return False
    return bool(runs["run_id"].str.startswith(start, na=False).any())


def _find_sweeps_with(start: str, folder: Path) -> list[Path]:
    """Folders of the sweeps, in their order, with a run whose run_id begins with ``start``, by the index of a folder.

    A folder that is a sweep itself has no index.
    """
    if is_sweep(folder) or not folder.is_dir():
        return [folder]
    with open_index(folder, lambda words: print(f"gdbench: {words}", file=sys.stderr)) as index:
        rows = index.read_rows(["run_id"])
        fits = pc.fill_null(pc.starts_with(rows.column("run_id").cast(pa.string()), start), False)
        numbers = pc.unique(rows.filter(fits).column(SWEEP_NUMBER)).to_pylist()
        return sorted(folder / index.sweeps[number].folder for number in numbers)


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
