"""Where a report of several sweeps, or a comparison, is written: a folder for each set of them, so nothing is lost."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["output_folder"]

LONGEST = 100
"""Characters of a folder's name, beyond which a checksum stands for the rest: systems refuse more than 255."""
BETWEEN = "__"


def output_folder(kind: str, places: Sequence[Path], outputs: Path = Path("outputs")) -> Path:
    """The folder in outputs for what is made of these places, in this order: ``outputs/compare/<a>__<b>``.

    A place within outputs is called by its path there, such as ``2026-12-01_09-54-14_mine``; any other by its name and
    a checksum of where it is. The same places have the same folder, which is written anew.
    """
    name = BETWEEN.join(_folder_name(place, outputs) for place in places)
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}_{_checksum(name)}"
    return outputs / kind / name


def _folder_name(place: Path, outputs: Path) -> str:
    whole, home = place.resolve(), outputs.resolve()
    if whole == home:
        return "all"
    if whole.is_relative_to(home):
        return _replace_special(whole.relative_to(home).as_posix())
    return f"{_replace_special(whole.name)}-{_checksum(str(whole))}"


def _replace_special(text: str) -> str:
    """A path as one part of a name."""
    return re.sub(r"[^\w.=+-]", "_", text.replace("/", "_"))


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode(errors='surrogateescape')):08x}"
