"""The names of a user's own options: none may be one of gdbench's, which would be taken instead without a word."""

from __future__ import annotations

from pathlib import Path

from gdbench.config.paths import config_folder
from gdbench.config.schema import GROUPS
from gdbench.errors import UsageError

__all__ = ["check_own_names"]


def check_own_names(folder: Path) -> None:
    """``UsageError`` where a file of a user's folder has the name of a shipped option of its group."""
    shipped = config_folder()
    for group in (*GROUPS, "experiment"):
        for file in sorted((folder / group).glob("*.yaml")):
            if (shipped / group / file.name).is_file() and not file.samefile(shipped / group / file.name):
                raise UsageError(
                    f"{file}: gdbench ships {group}={file.stem}, which would be taken instead; give yours another name."
                )
