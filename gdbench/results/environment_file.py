"""Reader of environment.json, and the start time of a sweep: folder names are in local time, which is ambiguous."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.results.damaged_files import DamagedFile, read_json

__all__ = ["find_environment", "parse_folder_time", "read_environment", "read_start_time", "read_time"]

SCHEMA: dict[str, type] = {
    **dict.fromkeys(("at", "folder", "cpu", "machine"), str),
    **dict.fromkeys(("command", "words", "accelerators"), list),
    **dict.fromkeys(("packages", "git", "sources", "data"), dict),
    "cpu_count": int,
}
"""Types of the fields that gdbench reads; a field of another type is left out."""


def read_environment(file: Path) -> dict[str, Any]:
    """Content of an ``environment.json``; empty if it is missing or damaged."""
    try:
        fields = read_json(file, dict)
    except (FileNotFoundError, DamagedFile):
        return {}
    fields = {name: value for name, value in fields.items() if isinstance(value, SCHEMA.get(name, object))}
    git = fields.get("git", {})
    return fields | {"git": {name: value for name, value in git.items() if isinstance(value, dict)}} if git else fields


def find_environment(folder: Path, row: pd.Series) -> dict[str, Any]:
    """Environment recorded when the row's cell ran: the latest one before its start."""
    held = [read_environment(file) for file in sorted(folder.glob("environment*.json"))]
    known = [(read_time(environment) or 0.0, environment) for environment in held if environment]
    start = row["started_at"].timestamp() if pd.notna(row["started_at"]) else math.inf
    before = [entry for entry in known if entry[0] <= start]
    return max(before or known, key=lambda entry: entry[0], default=(0.0, {}))[1]


def read_time(environment: Mapping[str, Any]) -> float | None:
    """Time at which an environment was recorded, in seconds since 1970; None if it does not say so."""
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        return datetime.fromisoformat(environment["at"]).timestamp()
    return None


def read_start_time(folder: Path) -> tuple[float, str]:
    """Start of a sweep in seconds since 1970, and its path, which breaks ties.

    From environment.json, else from the folder's name.
    """
    recorded = read_time(read_environment(folder / "environment.json"))
    return parse_folder_time(folder) if recorded is None else recorded, str(folder)


def parse_folder_time(folder: Path) -> float:
    """Time in a folder's name, as local time, in seconds since 1970; else its modification time."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(f"{folder.parent.name} {folder.name[:8]}", "%Y-%m-%d %H-%M-%S").timestamp()
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
