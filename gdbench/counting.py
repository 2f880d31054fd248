"""How many there are of something, in words that agree with the number."""

from __future__ import annotations

__all__ = ["format_count"]


def format_count(count: int, one: str, several: str | None = None) -> str:
    """``1 run``, ``0 runs``, ``1,234 runs``: a number and its noun, or noun and verb, in the form that it takes.

    ``several`` is the form of all numbers but one, by default ``one`` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
