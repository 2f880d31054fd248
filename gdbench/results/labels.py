"""Labels of a sweep given by the user: name, tags and note, in ``labels.json`` in its folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import filelock

from gdbench.errors import UsageError
from gdbench.results.atomic import write_json
from gdbench.results.damaged_files import DamagedFile, read_json
from gdbench.results.locks import hold_lock

__all__ = ["FILE", "Labels", "check_label", "read_labels", "update_labels"]

FILE = "labels.json"
LOCK = ".hydra/labels.lock"
LOCK_TIMEOUT_S = 10.0
WORD = re.compile(r"[^\s,=*?/]+")
"""Names and tags need no quotes in a query or a shell."""


@dataclass(frozen=True)
class Labels:
    """Name (default: that of the folder), tags, and a note of any text."""

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def read_labels(folder: Path) -> Labels:
    """Labels of a sweep; ``UsageError`` if their file is damaged."""
    file = folder / FILE
    try:
        held = read_json(file, dict)
        if not isinstance(tags := held.get("tags", []), list):
            raise DamagedFile("its tags are not a list")
    except FileNotFoundError:
        return Labels()
    except DamagedFile as error:
        raise UsageError(f"{file} cannot be read ({error}): mend or remove it; the tables are intact.") from None
    return Labels(str(held.get("name", "")), tuple(map(str, tags)), str(held.get("note", "")))


def update_labels(folder: Path, changed: Callable[[Labels], Labels]) -> Labels:
    """Read, change and write the labels of a sweep under a lock."""
    try:
        (folder / LOCK).parent.mkdir(exist_ok=True)
        with hold_lock(folder / LOCK, LOCK_TIMEOUT_S):
            new = changed(read_labels(folder))
            write_json(folder / FILE, asdict(replace(new, tags=tuple(sorted(set(new.tags))))))
    except filelock.Timeout:
        raise UsageError(f"{folder}: another process holds its labels; try again.") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error}); its labels are as before.") from None
    return new


def check_label(kind: str, word: str) -> str:
    """The name or tag itself; ``UsageError`` unless a query can contain it."""
    if not WORD.fullmatch(word):
        raise UsageError(
            f"{kind}={word!r} must be one word, without spaces and any of , = * ? /; a note may be any text."
        )
    return word
