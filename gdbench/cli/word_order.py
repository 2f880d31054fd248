"""Options may stand before the verb, as in most programs: they are moved behind it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from gdbench.cli.help import GROUPS

__all__ = ["place_verb_first"]

HYDRA_OPTIONS = (
    *("--config-dir", "--config-path", "--config-name", "--cfg", "--package"),
    *("-cd", "-cp", "-cn", "-c", "-p"),
)
"""Options of a run that take a value."""


def place_verb_first(words: Sequence[str], verbs: Collection[str]) -> list[str]:
    """The words with the options that stand before a verb behind it; unchanged where there is no such verb.

    ``--config-dir mine list optimizers`` becomes ``list --config-dir mine optimizers``, and ``gate --only x bisect``
    becomes ``gate bisect --only x``: the verbs below another verb take its options too.
    """
    is_group = bool(words) and words[0] in GROUPS
    if not words or not (words[0].startswith("-") or is_group) or not set(words) & set(verbs):
        return list(words)
    from gdbench.cli.app import build_command

    root = build_command()
    ordered = _move(words, verbs, _find_valued(root) | set(HYDRA_OPTIONS))
    if ordered[0] in GROUPS:
        group = root.commands[ordered[0]]
        ordered = [ordered[0], *_move(ordered[1:], group.commands, _find_valued(group))]
    return ordered


def _move(words: Sequence[str], verbs: Collection[str], valued: Collection[str]) -> list[str]:
    """The words with the verb first, if only options, with their values, stand before it."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        position += 2 if words[position] in valued else 1
    if position < len(words) and words[position] in verbs:
        return [words[position], *words[:position], *words[position + 1 :]]
    return list(words)


def _find_valued(command: Any) -> set[str]:
    """The options, of a command and of all commands below it, that take a value."""
    own = {
        name
        for parameter in command.params
        if getattr(parameter, "is_flag", None) is False and not getattr(parameter, "count", False)
        for name in parameter.opts
    }
    return own.union(*(_find_valued(below) for below in getattr(command, "commands", {}).values()))
