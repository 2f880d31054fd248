"""Damaged files of a sweep's folder: how they are reported, and the checked reader of its JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

__all__ = ["DamagedFile", "read_json"]

MAX_JSON_BYTES = 2**26
"""A folder may be a stranger's: larger files are not parsed. A sweep of 10,000 cells has JSON files of about 10 MB."""
JSON_NAMES = {dict: "an object", list: "a list"}
Content = TypeVar("Content", dict, list)  # type: ignore[type-arg]


class DamagedFile(Exception):
    """A file is not one of gdbench or is damaged; the message says why."""


def read_json(file: Path, kind: type[Content]) -> Content:
    """Content of a JSON file; ``DamagedFile`` unless it is of this kind, FileNotFoundError if it is missing."""
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise DamagedFile(f"it is larger than {MAX_JSON_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedFile(str(error).partition("\n")[0]) from error
    except RecursionError as error:
        raise DamagedFile("it is nested too deeply") from error
    if not isinstance(content, kind):
        raise DamagedFile(f"it is not {JSON_NAMES[kind]}")
    return content
