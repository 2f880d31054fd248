"""Atomic writes: a file or folder appears complete, or not at all."""

from __future__ import annotations

import contextlib
import datetime
import errno
import itertools
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gdbench.errors import UsageError

__all__ = [
    *("check_writable", "create_report_folder", "explain_write_errors", "replace_atomically"),
    *("write_json", "write_text"),
]


ABANDONED_S = 3600.0
"""Age in seconds above which an unfinished report folder is removed."""


@contextlib.contextmanager
def replace_atomically(file: Path) -> Iterator[Path]:
    """Context manager: a temporary path that replaces ``file`` at the end, and is removed on errors."""
    beside = file.with_name(f".{file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        yield beside
        beside.replace(file)
    finally:
        with contextlib.suppress(OSError):  # a file system that is read-only refuses even to remove nothing
            beside.unlink()


def write_text(file: Path, text: str, is_outputs: bool = False) -> None:
    """Write a text file atomically; ``UsageError`` if the disk refuses. ``is_outputs``: as explain_write_errors."""
    with explain_write_errors(file.parent if is_outputs else file, is_outputs), replace_atomically(file) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file of a sweep's folder atomically."""
    write_text(file, json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n", is_outputs=True)


def check_writable(file: Path) -> None:
    """Raise ``UsageError`` unless ``file`` can be written, before time is spent on its content.

    Folders created for the check are removed again.
    """
    missing = [folder for folder in file.parents if not folder.exists()]
    with explain_write_errors(file, is_outputs=False):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        beside.touch()
        beside.unlink()
        for folder in missing:
            with contextlib.suppress(OSError):  # another process has put something there meanwhile
                folder.rmdir()


@contextlib.contextmanager
def explain_write_errors(place: str | Path, is_outputs: bool = True) -> Iterator[None]:
    """Turn an OSError into a UsageError of one line; ``is_outputs``: the place was chosen by ``outputs=``."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space or choose" if full or not is_outputs else "Choose"
        other = "folder with outputs=FOLDER; finished parts are intact" if is_outputs else "place"
        raise UsageError(
            f"{'outputs=' * is_outputs}{place} cannot be written ({error.strerror or error}). {advice} another {other}."
        ) from error


def create_report_folder(outputs: Path, contents: Mapping[str, bytes]) -> Path:
    """New folder ``gate/<date>_<time>`` with these files; it appears with all of them."""
    place = outputs / "gate"
    place.mkdir(parents=True, exist_ok=True)
    (place / ".gitignore").write_text("*\n")
    for left in place.glob(".making-*"):
        if time.time() - left.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    making = place / f".making-{uuid.uuid4().hex[:8]}"
    making.mkdir()
    for name, content in contents.items():
        (making / name).write_bytes(content)
    stem = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for count in itertools.count(1):
        folder = place / (stem if count == 1 else f"{stem}_{count}")
        try:
            os.rename(making, folder)  # noqa: PTH104 (Path.rename would replace an empty folder)
            return folder
        except OSError:
            if not folder.exists():
                raise
    raise AssertionError
