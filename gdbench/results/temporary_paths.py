"""Hidden temporary paths named for their process, and the removal of those whose process is gone."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

__all__ = ["make_temporary_path", "remove_leftovers"]

HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"
"""A folder may be shared: a process can be looked up on its own machine only."""


def make_temporary_path(place: Path, kind: str, name: str = "") -> Path:
    """Hidden path in ``place``, named for this process: ``.removed-myhost-123-name``.

    Names that begin with a dot are ignored by all readers of sweeps.
    """
    return place / f".{kind}-{HOST}-{os.getpid()}{f'-{name}' if name else ''}"


def remove_leftovers(place: Path, kind: str) -> None:
    """Remove paths of ``make_temporary_path`` whose process on this machine has ended."""
    owner = re.compile(rf"\.{re.escape(kind)}-{HOST}-(\d+)(-.*)?", re.DOTALL)
    for path in place.glob(f".{kind}-{HOST}-*"):
        match = owner.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)  # another process may do the same
            else:
                path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
