"""Paths as a person writes them."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Any

__all__ = ["PATH", "expand_user"]


def expand_user(place: str | Path) -> Path:
    """A path with ``~`` or ``~name`` at its begin replaced by that home folder, as a shell would."""
    return Path(os.path.expanduser(place))  # noqa: PTH111  (of a name that nobody has, Path would raise)


PATH: dict[str, Any] = {"parser": expand_user, "metavar": "PATH"}
"""What makes an argument of a verb a path of this kind; a shell expands ``--to ~/x``, and not ``--to=~/x``."""
