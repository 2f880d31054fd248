"""Paths as a person writes them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["PATH", "expand_user", "expand_word", "find_cache_folder"]


def find_cache_folder() -> Path:
    """Where this user's programs keep what can be made again, as a folder of gdbench's own.

    Of a user without a home folder, as in a container, it is one below that for temporary files.
    """
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(given) if given else Path.home() / ".cache") / "gdbench"
    except RuntimeError:  # no HOME, and nobody whom the system knows
        return Path(tempfile.gettempdir()) / f"gdbench-{os.getuid()}"


def expand_user(place: str | Path) -> Path:
    """A path with ``~`` or ``~name`` at its begin replaced by that home folder, as a shell would."""
    return Path(os.path.expanduser(place))  # noqa: PTH111  (of a name that nobody has, Path would raise)


def expand_word(word: str) -> str:
    """A word of a command with its folder expanded: not every shell does that behind ``=``, and Hydra refuses ``~``."""
    option, _, place = word.partition("=")
    if option in ("--config-dir", "outputs", "resume") and place.startswith("~"):
        return f"{option}={expand_user(place)}"
    return str(expand_user(word)) if word.startswith("~/") else word


PATH: dict[str, Any] = {"parser": expand_user, "metavar": "PATH"}
"""What makes an argument of a verb a path of this kind; a shell expands ``--to ~/x``, and not ``--to=~/x``."""
