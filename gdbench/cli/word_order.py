"""A command with its verb first: options may stand before it, as most programs have it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

__all__ = ["place_verb_first"]

HYDRA_VALUED = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--cfg", "-c", "--package", "-p")
"""Options of a run that a value follows."""


def place_verb_first(words: Sequence[str], verbs: Collection[str]) -> list[str]:
    """The words with the options that stand before a verb put behind it; as they came where there is no such verb.

    ``--config-dir mine list optimizers`` is ``list --config-dir mine optimizers``, and likewise
    ``gate --only x bisect`` is ``gate bisect --only x``: what a group of verbs takes, its verbs take as well.
    """
    if not words or not (words[0].startswith("-") or words[0] == "gate") or not set(words) & set(verbs):
        return list(words)
    from gdbench.cli.app import build_command

    root = build_command()
    words = _move(words, verbs, _find_valued(root) | set(HYDRA_VALUED))
    if words[:1] == ["gate"]:
        group = root.commands["gate"]
        words = ["gate", *_move(words[1:], group.commands, _find_valued(group))]
    return words


def _move(words: Sequence[str], verbs: Collection[str], valued: Collection[str]) -> list[str]:
    """The words with the verb first, if nothing but options, with their values, stands before it."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        position += 2 if words[position] in valued else 1
    if position < len(words) and words[position] in verbs:
        return [words[position], *words[:position], *words[position + 1 :]]
    return list(words)


def _find_valued(command: Any) -> set[str]:
    """The options, of a command and of all below it, that a value follows."""
    own = {
        name
        for parameter in command.params
        if getattr(parameter, "is_flag", None) is False and not getattr(parameter, "count", False)
        for name in parameter.opts
    }
    return own.union(*(_find_valued(below) for below in getattr(command, "commands", {}).values()))
