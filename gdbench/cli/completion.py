"""Shell completion of verbs; Hydra completes settings."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gdbench.cli.help import GROUPS, KINDS, VERBS

__all__ = ["complete_verbs"]

WITH_SETTINGS = ("run", "tune")
"""Verbs whose words are those of a run."""


def complete_verbs(line: str) -> bool:
    """Print the verbs that may stand at the end of ``line``; returns whether Hydra has nothing to add."""
    typed = line.split()[1:] + ([""] if line.endswith(" ") else [])
    if len(typed) > 1 and typed[0] in WITH_SETTINGS:
        os.environ["COMP_LINE"] = line.replace(f"{typed[0]} ", "", 1)
        return False
    for choice in _find_choices(typed):
        if choice.startswith(typed[-1] if typed else ""):
            print(choice)
    return len(typed) > 1 and typed[0] in VERBS


def _find_choices(typed: Sequence[str]) -> Sequence[str]:
    """The words that may stand behind those that were typed."""
    if len(typed) <= 1:
        return VERBS
    if typed[0] in GROUPS:
        from gdbench.cli.app import list_subverbs

        return list_subverbs(typed[0])
    return KINDS if typed[0] == "list" else ()
