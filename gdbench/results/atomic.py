"""Files that are there whole or not at all."""

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

__all__ = ["check_writable", "new_reports", "open_beside", "replace_text", "write_json", "write_text", "writing"]


FORGOTTEN_S = 3600.0
"""A folder in the making that is older was left by a process that died."""


@contextlib.contextmanager
def open_beside(file: Path) -> Iterator[Path]:
    """The path of a new file that takes the place of ``file`` when the block ends, and is gone if it raises."""
    beside = file.with_name(f".{file.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        yield beside
        beside.replace(file)
    finally:
        with contextlib.suppress(OSError):  # a file system that is read-only refuses even to remove nothing
            beside.unlink()


def replace_text(file: Path, text: str) -> None:
    """Write a file in one piece; ``UsageError`` where the disk refuses."""
    with _writing(file), open_beside(file) as beside:
        beside.write_text(text, encoding="utf-8")


def check_writable(file: Path) -> None:
    """``UsageError`` unless a file can be written at this place, before hours are spent on what it is to hold.

    Folders that are made for the trial go again: a gate that is killed leaves nothing.
    """
    missing = [folder for folder in file.parents if not folder.exists()]
    with _writing(file):
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
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written ({error.strerror or error}). Free some space or choose another place."
        ) from error


def new_reports(outputs: Path, contents: Mapping[str, bytes]) -> Path:
    """A new folder ``gate/<date>_<time>`` that holds these files: it appears with all of them."""
    place = outputs / "gate"
    place.mkdir(parents=True, exist_ok=True)
    (place / ".gitignore").write_text("*\n")
    for left in place.glob(".making-*"):
        if time.time() - left.stat().st_mtime > FORGOTTEN_S:
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


@contextlib.contextmanager
def writing(place: str | Path) -> Any:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space or choose" if full else "Choose"
        raise UsageError(
            f"outputs={place} cannot be written ({error.strerror or error})."
            f" {advice} another folder with outputs=FOLDER; finished parts are intact."
        ) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all."""
    with writing(path.parent), open_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
