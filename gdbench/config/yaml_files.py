"""YAML files as plain containers; whatever is wrong with one is told with its name, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdbench.errors import UsageError

__all__ = [
    "describe_cycle",
    "describe_decoding_error",
    "describe_shape_error",
    "describe_yaml_error",
    "parse_yaml",
    "read_yaml",
]

NO_MAPPING = "cannot be read: it must hold lines of the form KEY: VALUE."


def read_yaml(file: Path, resolve: bool = True) -> Any:
    """What a file holds, interpolations resolved where that is asked; ``UsageError`` if it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(_not_utf8(file, error)) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}).") from None
    return parse_yaml(text, file, resolve)


def parse_yaml(text: str, file: Path, resolve: bool = True) -> Any:
    """What the text of a file says, as plain containers."""
    try:
        return OmegaConf.to_container(OmegaConf.create(text), resolve=resolve)
    except AssertionError:  # OmegaConf's, of a bare number
        raise UsageError(f"{file} {NO_MAPPING}") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        if cycle := _find_cycle(text):
            raise UsageError(f"{file} {cycle}") from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise UsageError(describe_yaml_error(error, file) or f"{file} cannot be read: {first}.") from None


def describe_yaml_error(error: BaseException, file: Path | None = None) -> str | None:
    """A mistake in YAML in one line, with the file's name and the line; None for any other error.

    Without ``file`` the name is the one that the parser was given.
    """
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        place = error.problem_mark
        return f"{file or place.name} cannot be read: line {place.line + 1}, {error.problem}."
    if isinstance(error, yaml.reader.ReaderError):
        return f"{file or error.name} cannot be read: character {error.position + 1}, {error.reason}."
    if isinstance(error, yaml.YAMLError) and file:
        return f"{file} cannot be read: {' '.join(str(error).split())}."
    return None


def describe_decoding_error(error: UnicodeDecodeError, folders: Iterable[Path]) -> str | None:
    """Which YAML file of these folders is not UTF-8, in one line; None where all are.

    Hydra reads the files, and the error that it hands on knows some bytes of one, and no name.
    """
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError):  # one that cannot be opened is not the one that was read
            content = file.read_bytes()
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as own:
                if error.object in content:
                    return _not_utf8(file, own)
    return None


def describe_shape_error(folders: Iterable[Path]) -> str | None:
    """Which YAML file of these folders holds a bare number or text, in one line; None where none does."""
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            if isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), (int, float)):
                return f"{file} {NO_MAPPING}"
    return None


def describe_cycle(folders: Iterable[Path]) -> str | None:
    """Which YAML file of these folders holds an anchor that holds itself, in one line; None where none does."""
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError, ValueError):
            if cycle := _find_cycle(file.read_text(encoding="utf-8")):
                return f"{file} {cycle}"
    return None


def _find_cycle(text: str) -> str | None:
    """Where a text refers to an anchor from within what that names; None where it does not."""
    within: list[str | None] = []
    with contextlib.suppress(yaml.YAMLError):
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                within.append(event.anchor)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                within.pop()
            elif isinstance(event, yaml.AliasEvent) and event.anchor in within:
                line = event.start_mark.line + 1
                return (
                    f"cannot be read: line {line}, *{event.anchor} stands within &{event.anchor}, which would hold"
                    " itself without end."
                )
    return None


def _not_utf8(file: Path, error: UnicodeDecodeError) -> str:
    line = error.object.count(b"\n", 0, error.start) + 1
    return (
        f"{file} cannot be read: line {line} holds the byte 0x{error.object[error.start]:02x}, which is not UTF-8."
        " Save the file as UTF-8."
    )
