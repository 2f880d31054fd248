"""What a report is made of: the tables of one or many sweeps, their environment, and how complete they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError
from gdbench.results.environment_file import read_environment
from gdbench.results.folder_layout import find_sweep_folders
from gdbench.results.load import load

__all__ = ["Source", "read"]


@dataclass
class Source:
    """Runs and traces, and for each folder what its environment.json says."""

    folders: list[Path]
    runs: pd.DataFrame
    traces: pd.DataFrame
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    partial: list[str] = field(default_factory=list)
    """One remark for each folder that is still being written, or was left unfinished."""


def read(places: Sequence[Path]) -> Source:
    """All runs and traces below some folders."""
    for place in places:
        if not place.exists():
            raise UsageError(f"{place} is not there: name a sweep's folder, or a folder of sweeps.")
    runs = load(list(places))
    try:
        traces = load(list(places), "traces")
    except UsageError:  # trace=none
        traces = runs[["run_id"]].head(0).reindex(columns=["run_id", "step", "loss", "gap", "grad_norm", "x"])
    folders = sorted({folder for place in places for folder in _sweeps(place)})
    told = Source(folders, runs, traces)
    for folder in folders:
        if environment := read_environment(folder / "environment.json"):
            told.environments[folder.name] = environment
        if remark := _unfinished(folder):
            told.partial.append(remark)
    return told


def _sweeps(place: Path) -> set[Path]:
    if place.is_file():
        return {place.parent}
    return set(find_sweep_folders(place))


def _unfinished(folder: Path) -> str:
    """How many of a sweep's cells have ended, where that is not all of them; a copy may lie under another name."""
    planned = len(list((folder / ".hydra").glob("cell-*.yaml")))
    try:
        ended = load(folder, columns=["cell"])["cell"].nunique()
    except UsageError:  # not a row yet
        ended = 0
    if ended >= planned:
        return ""
    return f"{folder.name}: {ended} of {planned} cells have ended; this report shows what is there."
