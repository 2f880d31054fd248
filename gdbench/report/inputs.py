"""Inputs of a report: runs, traces and environments of one or more sweeps, and how complete the sweeps are."""

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

__all__ = ["ReportInputs", "read_inputs"]


@dataclass
class ReportInputs:
    """Runs and traces of some sweep folders, and the content of each environment.json by the folder's name."""

    folders: list[Path]
    runs: pd.DataFrame
    traces: pd.DataFrame
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    partial: list[str] = field(default_factory=list)
    """A remark per folder with missing cells."""


def read_inputs(places: Sequence[Path]) -> ReportInputs:
    """All runs and traces in some folders, their subfolders included; UsageError if a folder does not exist."""
    folders: set[Path] = set()
    for place in places:
        if not place.exists():
            raise UsageError(f"{place} does not exist: give the folder of a sweep, or a folder of sweeps.")
        here = _find_folders(place)
        if not here:
            load(place)  # raises: beside others a place without a sweep would go unnoticed
        folders |= here
    runs = load(list(places))
    try:
        traces = load(list(places), "traces")
    except UsageError:  # trace=none
        traces = runs[["run_id"]].head(0).reindex(columns=["run_id", "step", "loss", "gap", "grad_norm", "x"])
    inputs = ReportInputs(sorted(folders), runs, traces)
    for folder in inputs.folders:
        if environment := read_environment(folder / "environment.json"):
            inputs.environments[folder.name] = environment
        if remark := _describe_unfinished(folder):
            inputs.partial.append(remark)
    return inputs


def _find_folders(place: Path) -> set[Path]:
    return {place.parent} if place.is_file() else set(find_sweep_folders(place))


def _describe_unfinished(folder: Path) -> str:
    """The number of finished cells if some are missing, else empty; a copied sweep may have another folder name."""
    planned = len(list((folder / ".hydra").glob("cell-*.yaml")))
    try:
        ended = load(folder, columns=["cell"])["cell"].nunique()
    except UsageError:  # no rows yet
        ended = 0
    return "" if ended >= planned else f"{folder.name}: {ended} of {planned} cells have finished; only they are shown."
