"""Check whether code that a sweep's folder names may run: it is shipped, stamped by this user, or trusted.

A folder may come from somebody else. Reading it calls only factories that our own ``conf/`` names. Reproducing or
resuming it runs whatever its files name, so other code needs ``--trust``, unless the file has a stamp that only this
user can make: a keyed hash (HMAC) of its text, with a key that never leaves the home folder.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from gdbench.config.config_folders import config_folder
from gdbench.config.schema import AROUND, Settings
from gdbench.config.yaml_files import read_yaml
from gdbench.errors import UsageError

__all__ = [
    "add_stamp",
    "check_command",
    "check_configuration",
    "compute_stamp",
    "is_stamped",
    "list_shipped_targets",
    "read_configuration",
    "remove_stamp",
]  # fmt: skip

GROUPS = ("objective", "optimizer", *AROUND)
CHOICES = (*GROUPS, "timing", "experiment")
"""Keys whose value is the name of a file of ``conf/``."""
SETTINGS = {*(field.name for field in fields(Settings)), "experiment"} - {"code", "part"}
TARGET = re.compile(r"_target_:\s*([\w.]+)")
TORCH = re.compile(r"torch\.optim\.[A-Z]\w*")
KEY = re.compile(r"[a-z]\w*(\.\w+)*")
INTERPOLATION = re.compile(r"\$\{(?!logspace:)")
"""An interpolation that OmegaConf would look up; ``logspace`` only computes numbers."""
MARK = "# stamp: "
KEY_BYTES = 32


# --------------------------------------------------------------------------------------------- what is not shipped


@cache
def list_shipped_targets(group: str) -> frozenset[str]:
    """The ``_target_`` names in the shipped files of a group."""
    files = (config_folder() / group).glob("*.yaml")
    return frozenset(name for file in files for name in TARGET.findall(file.read_text(encoding="utf-8")))


def check_configuration(file: Path, config: Mapping[str, Any], trust: bool, action: str) -> None:
    """``UsageError`` listing the code that a cell's configuration would run, unless shipped, stamped or trusted."""
    foreign = [str(target) for target in _iterate_targets(config) if not _is_shipped(target)]
    code = config.get("code")
    inside = code is not None and Path(str(code)).resolve().is_relative_to(file.resolve().parent.parent)
    own = not inside and is_stamped(file.read_text(encoding="utf-8"))
    if (foreign or code is not None) and not own and not trust:
        raise _untrusted_error(file, [*dict.fromkeys(foreign), *([f"the code in {code}"] if code else [])], action)


def check_command(file: Path, words: Sequence[str], own: bool, trust: bool, action: str) -> None:
    """``UsageError`` listing the code that a recorded command would run, unless shipped, stamped or trusted."""
    foreign = list(_iterate_foreign_words(words))
    inside = any(
        Path(word).resolve().is_relative_to(file.resolve().parent.parent) for word in foreign if "=" not in word
    )
    if foreign and (inside or not own) and not trust:
        raise _untrusted_error(file, foreign, action)


def _untrusted_error(file: Path, foreign: Sequence[str], action: str) -> UsageError:
    return UsageError(
        f"{action} would run what {file} names and gdbench does not ship: {', '.join(foreign)}. It was not written by"
        " you on this machine: read it, and add --trust (in Python trust=True) if you want to run it."
    )


def _iterate_targets(config: Any) -> Iterator[Any]:
    """Every ``_target_`` of a configuration, at any depth."""
    if isinstance(config, Mapping):
        if config.get("_target_") is not None:
            yield config["_target_"]
        for value in config.values():
            yield from _iterate_targets(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _iterate_targets(value)


def _is_shipped(target: Any) -> bool:
    return TORCH.fullmatch(str(target)) is not None or any(
        str(target) in list_shipped_targets(group) for group in GROUPS
    )


def _iterate_foreign_words(words: Sequence[str]) -> Iterator[str]:
    """The words of a command that name files, code or Hydra's settings."""
    for word in words:
        key, sign, value = word.partition("=")
        if word in ("-m", "--multirun"):
            continue
        plain = bool(sign) and KEY.fullmatch(key) is not None and key.partition(".")[0] in SETTINGS
        chosen = key not in CHOICES or not re.search(r"[/.\\@]", value)
        if not (plain and chosen) or "_target_" in word or INTERPOLATION.search(value):
            yield word


def read_configuration(file: Path) -> dict[str, Any]:
    """The recorded configuration of a cell, interpolations unresolved; ``UsageError`` if there is none."""
    if not file.is_file():
        raise UsageError(f"{file} is not there: without a cell's configuration its runs cannot be repeated.")
    config = read_yaml(file, resolve=False)
    if not isinstance(config, dict) or not all(
        isinstance(config.get(group), dict) for group in ("objective", "optimizer")
    ):
        raise UsageError(f"{file} is no configuration of a cell: it names no objective or no optimizer.")
    return {str(key): value for key, value in config.items()}


# ------------------------------------------------------------------------------------------------------------ stamps


def compute_stamp(text: str) -> str | None:
    """The keyed hash of a text, which only this user can compute; None where no key can be stored."""
    key = _read_key()
    return hmac.new(key, text.encode(), "sha256").hexdigest() if key else None


def add_stamp(text: str) -> str:
    """A text of whole lines with its stamp as a comment in the last one."""
    mark = compute_stamp(text)
    return f"{text}{MARK}{mark}\n" if mark else text


def remove_stamp(text: str) -> str:
    """A text without its stamp."""
    return text.rpartition(MARK)[0] if MARK in text else text


def is_stamped(text: str) -> bool:
    """Whether a text is unchanged since this user's gdbench wrote it."""
    content, _, mark = text.rpartition(MARK)
    return bool(content) and hmac.compare_digest(mark.strip(), compute_stamp(content) or "")


def _read_key() -> bytes | None:
    """The key of this user, made at its first use; None where it cannot be stored."""
    with contextlib.suppress(OSError, RuntimeError):  # a disk that refuses, or a user without a home folder
        file = _find_state_folder() / "key"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_name(f".key.{os.getpid()}")
            beside.touch(mode=0o600)
            beside.write_bytes(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):  # of two processes that make one, the first has it
                os.link(beside, file)
            beside.unlink()
        key = file.read_bytes()
        return key if len(key) == KEY_BYTES else None
    return None


def _find_state_folder() -> Path:
    given = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".local" / "state") / "gdbench"
