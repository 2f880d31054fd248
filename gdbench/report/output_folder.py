"""Folder of a report on several sweeps, or of a comparison: one for each set of sweeps."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["output_folder"]

MAX_NAME = 100
"""Characters of a folder's name, followed by a checksum if cut; file systems allow 255 bytes."""
SEPARATOR = "__"


def output_folder(kind: str, places: Sequence[Path], outputs: Path = Path("outputs")) -> Path:
    """The folder ``outputs/<kind>/<a>__<b>`` for these places in this order; equal places have the same folder.

    A place within outputs is named by its path there, such as ``2026-12-01_09-54-14_mine``; any other by its name and a
    checksum of its path.
    """
    name = SEPARATOR.join(_folder_name(place, outputs) for place in places)
    if len(name) > MAX_NAME:
        name = f"{name[:MAX_NAME]}_{_checksum(name)}"
    return outputs / kind / name


def _folder_name(place: Path, outputs: Path) -> str:
    path, root = place.resolve(), outputs.resolve()
    if path == root:
        return "all"
    if path.is_relative_to(root):
        return _replace_special(path.relative_to(root).as_posix())
    return f"{_replace_special(path.name)}-{_checksum(str(path))}"


def _replace_special(text: str) -> str:
    return re.sub(r"[^\w.=+-]", "_", text)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode(errors='surrogateescape')):08x}"
