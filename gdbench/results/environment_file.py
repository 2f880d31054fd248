"""Reader of environment.json, and the start time of a sweep: folder names are in local time, which is ambiguous."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["parse_folder_time", "read_environment", "read_start_time"]


def read_environment(file: Path) -> dict[str, Any]:
    """Content of an ``environment.json``; empty if missing, damaged or not an object."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def read_start_time(folder: Path) -> tuple[float, str]:
    """Start of a sweep in seconds since 1970, and its path, which breaks ties.

    From environment.json, else from the folder's name.
    """
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return datetime.fromisoformat(read_environment(folder / "environment.json")["at"]).timestamp(), str(folder)
    return parse_folder_time(folder), str(folder)


def parse_folder_time(folder: Path) -> float:
    """Time in a folder's name, as local time, in seconds since 1970; else its modification time."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(f"{folder.parent.name} {folder.name[:8]}", "%Y-%m-%d %H-%M-%S").timestamp()
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
