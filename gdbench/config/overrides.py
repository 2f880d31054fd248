"""Overrides as text: the only place where a value is written, quoted or read in the grammar of Hydra's command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "code_override",
    "escape_interpolations",
    "format_override",
    "format_value",
    "quote_text",
    "read_text",
    "search_path_override",
]

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.:+-]*")
"""Text that Hydra's parser reads as it stands; what begins with a digit or a sign might be a number."""
RESERVED = frozenset(("true", "false", "null", "inf", "nan"))
"""Words that the parser reads as something other than text, in any case of letters."""


def format_override(key: str, value: Any) -> str:
    """``key=value``, such that Hydra's parser reads this value back."""
    return f"{key}={format_value(value)}"


def format_value(value: Any) -> str:
    """A value in the grammar of Hydra's overrides: text is quoted where it must be, a sequence is a list."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_escape_key(str(key))}:{format_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(format_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else _format_text(str(value))


def _escape_key(key: str) -> str:
    return re.sub(r"([\\()\[\]{}:=, \t])", r"\\\1", key)


def _format_text(text: str) -> str:
    plain = PLAIN.fullmatch(text) and text.lower() not in RESERVED
    return text if plain else quote_text(text, literal=False)


def quote_text(text: str, literal: bool = True) -> str:
    """Text in quotes, such that Hydra's parser reads this text back, whatever stands in it.

    With ``literal`` OmegaConf reads the same text too, and sees no interpolation in ``${``.
    """
    text = escape_interpolations(text) if literal else text
    # Backslashes count only before a quote, and the closing one is one: they are doubled there, and no others.
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"


def read_text(word: str) -> str:
    """The text of a value that ``quote_text`` wrote; of any other word the word itself."""
    if len(word) < 2 or not (word[0] == word[-1] == "'"):
        return word
    text = re.sub(r"(\\+)$", _halve, word[1:-1])
    text = re.sub(r"(\\+)'", lambda match: f"{match[1][: len(match[1]) // 2]}'", text)
    return re.sub(r"(\\+)\$\{", lambda match: f"{match[1][: len(match[1]) // 2]}${{", text)


def _halve(backslashes: re.Match[str]) -> str:
    return backslashes[0][: len(backslashes[0]) // 2]


def escape_interpolations(text: str) -> str:
    """Text in which OmegaConf finds no interpolation, and which it resolves to the text that came."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def code_override(folder: str | Path) -> str:
    """The override by which a cell finds the code in a user's folder, wherever it runs."""
    return f"code={quote_text(str(folder))}"


def search_path_override(folder: str | Path) -> str:
    """The override by which Hydra finds the configurations in a user's folder."""
    return f"hydra.searchpath=[{quote_text(f'file://{folder}', literal=False)}]"
