"""Read YAML files as plain containers; an error line names the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdbench.errors import UsageError, to_one_line

__all__ = [
    "describe_cycle",
    "describe_decoding_error",
    "describe_shape_error",
    "describe_yaml_error",
    "parse_yaml",
    "read_yaml",
]

MAX_YAML_BYTES, MAX_YAML_VALUES = 2**26, 10**6
"""A folder may be a stranger's: more is not parsed. A cell of 10,000 explicit values has 200 kB."""
NO_MAPPING = "cannot be read: it must hold lines of the form KEY: VALUE."


def read_yaml(file: Path, resolve: bool = True) -> Any:
    """The content of a file, with interpolations resolved if asked; ``UsageError`` if it cannot be read."""
    try:
        if file.stat().st_size > MAX_YAML_BYTES:
            raise UsageError(f"{file} cannot be read: it is larger than {MAX_YAML_BYTES:,} bytes.")
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(_not_utf8(file, error)) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}).") from None
    return parse_yaml(text, file, resolve)


def parse_yaml(text: str, file: Path, resolve: bool = True) -> Any:
    """The content of a file's text, as plain containers."""
    try:
        if "*" in text and _count_values(text) > MAX_YAML_VALUES:
            raise UsageError(f"{file} cannot be read: its anchors stand for more than {MAX_YAML_VALUES:,} values.")
        return OmegaConf.to_container(OmegaConf.create(text), resolve=resolve)
    except AssertionError:  # OmegaConf's, of a bare number
        raise UsageError(f"{file} {NO_MAPPING}") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        if cycle := _find_cycle(text):
            raise UsageError(f"{file} {cycle}") from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise UsageError(describe_yaml_error(error, file) or f"{file} cannot be read: {first}.") from None


def _count_values(text: str) -> int:
    """How many values a text stands for, those of an anchor as often as it is named; 0 where anchors form a cycle."""
    counts: dict[int, int] = {}

    def count(node: Any) -> int:
        if id(node) not in counts:
            counts[id(node)] = 0
            pairs = node.value if isinstance(node, yaml.CollectionNode) else []
            children = [part for pair in pairs for part in (pair if isinstance(pair, tuple) else (pair,))]
            counts[id(node)] = 1 + sum(map(count, children))
        return counts[id(node)]

    return count(yaml.compose(text, Loader=yaml.SafeLoader))


def describe_yaml_error(error: BaseException, file: Path | None = None) -> str | None:
    """The error line for invalid YAML, with file and line; None for any other error.

    Without ``file`` the name is that of the parser's stream.
    """
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        place = error.problem_mark
        return f"{file or place.name} cannot be read: line {place.line + 1}, {error.problem}."
    if isinstance(error, yaml.reader.ReaderError):
        return f"{file or error.name} cannot be read: character {error.position + 1}, {error.reason}."
    if isinstance(error, yaml.YAMLError) and file:
        return f"{file} cannot be read: {to_one_line(error)}."
    return None


def describe_decoding_error(error: UnicodeDecodeError, folders: Iterable[Path]) -> str | None:
    """The error line for the YAML file of these folders that is not UTF-8; None where all are.

    Hydra reads the files, and its error holds bytes of one but no name.
    """
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError):  # a file that cannot be opened was not the one read
            content = file.read_bytes()
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as own:
                if error.object in content:
                    return _not_utf8(file, own)
    return None


def describe_shape_error(folders: Iterable[Path]) -> str | None:
    """The error line for the YAML file of these folders that holds a bare number; None where none does."""
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            if isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), (int, float)):
                return f"{file} {NO_MAPPING}"
    return None


def describe_cycle(folders: Iterable[Path]) -> str | None:
    """The error line for the YAML file of these folders with a recursive anchor; None where none has one."""
    for file in sorted(file for folder in folders for file in folder.glob("**/*.yaml")):
        with contextlib.suppress(OSError, ValueError):
            if cycle := _find_cycle(file.read_text(encoding="utf-8")):
                return f"{file} {cycle}"
    return None


def _find_cycle(text: str) -> str | None:
    """The error line for a recursive anchor in a text; None where there is none."""
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
