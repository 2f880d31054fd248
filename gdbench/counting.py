"""How many there are of something, in words that agree with the number."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["format_count", "format_range", "list_few"]


def format_count(count: int, one: str, several: str | None = None) -> str:
    """``1 run``, ``0 runs``, ``1,234 runs``: a number and its noun, or noun and verb, in the form that it takes.

    ``several`` is the form of all numbers but one, by default ``one`` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def format_range(counts: Iterable[int], one: str) -> str:
    """``2 to 4 seeds``, and ``3 seeds`` where all counts are the same: the lowest and the highest, and their noun."""
    lowest, *between = sorted({int(count) for count in counts})
    return f"{lowest:,} to {format_count(between[-1], one)}" if between else format_count(lowest, one)


def list_few(names: Iterable[str], most: int = 4) -> str:
    """``a, b, c, d and 3 others``: the first names, each once, and how many more there are."""
    different = list(dict.fromkeys(names))
    if len(different) <= most + 1:  # "and 1 other" would be no shorter than its name
        return ", ".join(different)
    return f"{', '.join(different[:most])} and {len(different) - most} others"
