"""Numbers and the nouns behind them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gdbench
from gdbench.errors import format_count


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1234, "1,234 runs"), (-1, "-1 runs")]
)
def test_a_noun_agrees_with_its_number(count: int, words: str) -> None:
    """One alone is singular."""
    assert format_count(count, "run") == words


def test_a_verb_agrees_too() -> None:
    """What stands behind the noun is given with both forms."""
    assert format_count(1, "run was", "runs were") == "1 run was"
    assert format_count(2, "run was", "runs were") == "2 runs were"


def test_nobody_else_forms_a_plural() -> None:
    """There is one function for it: no text of the package appends an s to a noun by itself."""
    idiom = re.compile(r"""['"]s['"] ?(\*|if)""")
    files = sorted(Path(gdbench.__file__).parent.rglob("*.py"))

    assert [file.name for file in files if idiom.search(file.read_text(encoding="utf-8"))] == []
