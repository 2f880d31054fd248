"""Paths as users type them (``~`` expanded), and the cache folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["PATH", "expand_user", "expand_word", "find_cache_folder"]


def find_cache_folder() -> Path:
    """gdbench's folder in the user's cache (XDG_CACHE_HOME, LOCALAPPDATA or ~/.cache).

    Without a home folder, as in a container, one in the folder for temporary files.
    """
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(given) if given else Path.home() / ".cache") / "gdbench"
    except RuntimeError:  # no HOME, and nobody whom the system knows
        return Path(tempfile.gettempdir()) / f"gdbench-{os.getuid()}"


def expand_user(place: str | Path) -> Path:
    """Path with a leading ``~`` or ``~name`` expanded, as a shell does."""
    return Path(os.path.expanduser(place))  # noqa: PTH111  (of a name that nobody has, Path would raise)


def expand_word(word: str) -> str:
    """Command-line word with its path expanded: not every shell does so after ``=``, and Hydra rejects ``~``."""
    option, _, place = word.partition("=")
    if option in ("--config-dir", "outputs", "resume") and place.startswith("~"):
        return f"{option}={expand_user(place)}"
    return str(expand_user(word)) if word.startswith("~/") else word


PATH: dict[str, Any] = {"parser": expand_user, "metavar": "PATH"}
"""typer arguments of a path that is expanded; a shell expands ``--to ~/x``, but not ``--to=~/x``."""
