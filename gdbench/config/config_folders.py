"""The folder of the configurations that gdbench ships, and that of a user's own (--config-dir)."""

from __future__ import annotations

from pathlib import Path

from gdbench.config.schema import GROUPS
from gdbench.errors import UsageError
from gdbench.results.user_paths import expand_user

__all__ = ["check_own_names", "config_folder", "find_config_dir"]


def config_folder() -> Path:
    """The folder of the shipped configurations: in the wheel beside the code, in a checkout at its top."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"


def find_config_dir(folder: str | Path | None, option: str = "") -> Path | None:
    """The full path of a user's folder; ``UsageError``, in which it is named as ``option`` names it, if it is none."""
    if not folder:
        return None
    path = expand_user(folder)
    if not path.is_dir():
        raise UsageError(
            f"{option}{folder} is no folder: it must hold objective/*.yaml or optimizer/*.yaml of your own."
        )
    check_own_names(path)
    return path.resolve()


def check_own_names(folder: Path) -> None:
    """``UsageError`` where a file of a user's folder has the name of a shipped option of its group."""
    shipped = config_folder()
    for group in (*GROUPS, "experiment"):
        for file in sorted((folder / group).glob("*.yaml")):
            if (shipped / group / file.name).is_file() and not file.samefile(shipped / group / file.name):
                raise UsageError(
                    f"{file}: gdbench ships {group}={file.stem}, which would be taken instead; give yours another name."
                )
