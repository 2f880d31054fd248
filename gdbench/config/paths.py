"""The folder of the configurations that gdbench ships."""

from __future__ import annotations

from pathlib import Path

__all__ = ["config_folder"]


def config_folder() -> Path:
    """Where the configurations lie: in the wheel beside the code, in a checkout at its top."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"
