"""When a sweep began, as an instant: folder names are local time, which goes back in autumn and differs by zone."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["parse_folder_time", "read_environment", "read_start_time"]


def read_environment(file: Path) -> dict[str, Any]:
    """The facts that an ``environment.json`` holds; none where it is missing, cut off, or something else."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def read_start_time(folder: Path) -> tuple[float, str]:
    """The instant at which a sweep began, in seconds since 1970, and its name, which orders those of one instant.

    As its environment.json recorded it; where that is missing, as its folder is named.
    """
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return datetime.fromisoformat(read_environment(folder / "environment.json")["at"]).timestamp(), str(folder)
    return parse_folder_time(folder), str(folder)


def parse_folder_time(folder: Path) -> float:
    """The instant that a folder's name says, in this machine's time zone; else when the folder was changed."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(f"{folder.parent.name} {folder.name[:8]}", "%Y-%m-%d %H-%M-%S").timestamp()
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
