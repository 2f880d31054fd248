"""Write and read values in the grammar of Hydra's overrides; no other module quotes them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
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
    "write_command",
]

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.:+-]*")
"""Text that needs no quotes; what begins with a digit or a sign might be a number."""
WORD = re.compile(r"[A-Za-z0-9_/.+*$%@?|-]*")
ESCAPED = r"([\\()\[\]{}:=, \t])"
"""What a key of a mapping may hold beside what the grammar escapes."""
RESERVED = frozenset(("true", "false", "null", "inf", "nan"))
"""Words that the parser does not read as text, in upper or lower case."""


def format_override(key: str, value: Any) -> str:
    """``key=value``, from which Hydra's parser reads the same value back."""
    return f"{key}={format_value(value)}"


def format_value(value: Any) -> str:
    """A value in the override grammar: text is quoted where needed, a sequence is a list."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping) and not all(WORD.fullmatch(re.sub(ESCAPED, "", str(key))) for key in value):
        return quote_text(json.dumps(value), literal=False)  # the grammar has no quotes for keys
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_escape_key(str(key))}:{format_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(format_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else _format_text(str(value))


def _escape_key(key: str) -> str:
    return re.sub(ESCAPED, r"\\\1", key)


def _format_text(text: str) -> str:
    plain = PLAIN.fullmatch(text) and text.lower() not in RESERVED
    return text if plain else quote_text(text, literal=False)


def quote_text(text: str, literal: bool = True) -> str:
    """Text in quotes, from which Hydra's parser reads the same text back.

    With ``literal``, OmegaConf does too: ``${`` is no interpolation.
    """
    text = escape_interpolations(text) if literal else text
    # Backslashes are special only before a quote, the closing one included: only there they are doubled.
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"


def read_text(word: str) -> str:
    """The text that ``quote_text`` quoted; any other word unchanged."""
    if len(word) < 2 or not (word[0] == word[-1] == "'"):
        return word
    text = re.sub(r"(\\+)$", _halve, word[1:-1])
    text = re.sub(r"(\\+)'", lambda match: f"{match[1][: len(match[1]) // 2]}'", text)
    return re.sub(r"(\\+)\$\{", lambda match: f"{match[1][: len(match[1]) // 2]}${{", text)


def _halve(backslashes: re.Match[str]) -> str:
    return backslashes[0][: len(backslashes[0]) // 2]


def escape_interpolations(text: str) -> str:
    """Text with ``${`` escaped, which OmegaConf resolves to the original."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def code_override(folder: str | Path) -> str:
    """The override that names the folder of the user's code to a cell's process."""
    return f"code={quote_text(str(folder))}"


def search_path_override(folder: str | Path) -> str:
    """The override that adds a user's folder to Hydra's search path."""
    return f"hydra.searchpath=[{quote_text(f'file://{folder}', literal=False)}]"


def write_command(overrides: Iterable[str], dropped: Collection[str] = (), added: Iterable[str] = ()) -> str:
    """The shell command that runs one cell: its overrides without ``dropped`` keys, then those ``added``."""
    options: list[str] = []
    words: list[str] = []
    for word in overrides:
        key, _, value = word.partition("=")
        if key == "code":
            options = ["--config-dir", read_text(value)]
        elif key not in dropped:
            words.append(word)
    return shlex.join(["python", "-m", "gdbench", *options, *words, *added])
