"""Errors that a user meets, and how they are worded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "NotMeasured",
    "Unavailable",
    "UsageError",
    "format_count",
    "format_range",
    "install_command",
    "list_few",
    "nearest",
    "was_interrupted",
]


SLIP = 0.15
"""Of words that are near, those are meant too that are so much less alike than the nearest."""


class UsageError(Exception):
    """Input that cannot be carried out: one line that says what came, what is allowed and what to do; exit code 2."""


class Unavailable(Exception):
    """What was asked cannot be had here (no such device, twin or compiler): a row with this status, and the reason."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``Did you mean a or b?``, or nothing where no known word is near."""
    known = list(dict.fromkeys(known))  # two sweeps may bear one name
    tail = word.lower().rpartition(".")[2]
    if same := [name for name in known if name.lower() in (word.lower(), tail)]:
        return f" Did you mean {' or '.join(same)}?"
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.55)
    ratios = [difflib.SequenceMatcher(None, name, word).ratio() for name in near]
    meant = [name for name, ratio in zip(near, ratios, strict=True) if ratio > ratios[0] - SLIP]
    return f" Did you mean {' or '.join(meant)}?" if meant else ""


class NotMeasured(Exception):
    """There is nothing to compare: one line that says why; exit code 4."""


def install_command(extra: str) -> str:
    """The shell command that adds an extra: ``pip install -e '/my/gdbench[mlflow]'``.

    gdbench is on no package index yet: in an editable checkout the command names its folder, elsewhere the repository
    by the URL that the package's metadata state.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e '{checkout}[{extra}]'"
    return f"pip install 'gdbench[{extra}] @ git+{_repository()}'"


def _repository() -> str:
    from importlib.metadata import PackageNotFoundError, metadata  # 13 ms, for a hint that is seldom given

    try:
        urls = metadata("gdbench").get_all("Project-URL") or []
    except PackageNotFoundError:  # a copied folder that nothing installed
        urls = []
    named: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return str(named.get("Repository", "REPOSITORY"))


def was_interrupted(error: BaseException) -> bool:
    """Whether an exception was raised while a KeyboardInterrupt was handled, as in a ``finally`` of OmegaConf's."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if isinstance(link, KeyboardInterrupt):
            return True
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            links += [link.__cause__, link.__context__]
    return False


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
