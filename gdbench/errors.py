"""Exceptions that a user can meet, and helpers that word their messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "NotMeasured",
    "TimeLimitReached",
    "Unavailable",
    "UsageError",
    "describe_exception",
    "did_you_mean",
    "find_similar",
    "format_count",
    "format_install_command",
    "format_range",
    "list_few",
    "to_one_line",
    "was_interrupted",
]


SIMILARITY_MARGIN = 0.15
"""Of similar words, all are suggested whose similarity is lower than that of the best by at most this."""


class UsageError(Exception):
    """Invalid input: one line that says what came, what is allowed and what to do; exit code 2."""


class Unavailable(Exception):
    """What was asked is not available here (device, implementation, compiler): a row with this status and reason."""


def describe_exception(error: BaseException) -> str:
    """Word an exception and its notes in one line of at most 500 characters: its type, and its message."""
    notes = getattr(error, "__notes__", [])
    words = f"{type(error).__name__}: {error}"
    return to_one_line("; ".join([words.rstrip("."), *notes]) if notes else words)


def to_one_line(text: object, most: int = 500) -> str:
    """The first characters of a text, without line breaks and repeated blanks."""
    return " ".join(str(text).split())[:most]


class TimeLimitReached(BaseException):
    """A cell, or its sweep, has taken its time: its rows say timeout; ``except Exception`` does not catch it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Word a suggestion, `` Did you mean a or b?``; empty where no known word is similar."""
    similar = find_similar(word, known)
    return f" Did you mean {' or '.join(similar)}?" if similar else ""


def find_similar(word: str, known: Iterable[str]) -> list[str]:
    """The known words that a mistyped one most likely means, the likeliest first; empty where none is similar."""
    known = list(dict.fromkeys(known))  # two sweeps may have one name
    tail = word.lower().rpartition(".")[2]
    if same := [name for name in known if name.lower() in (word.lower(), tail)]:
        return same
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.55)
    similarity = [difflib.SequenceMatcher(None, name, word).ratio() for name in near]
    return [name for name, share in zip(near, similarity, strict=True) if share > similarity[0] - SIMILARITY_MARGIN]


class NotMeasured(Exception):
    """Nothing can be compared: one line that says why; exit code 4."""


def format_install_command(extra: str) -> str:
    """Word the shell command that installs an extra: ``pip install -c constraints.txt -e '.[mlflow]'``, with paths.

    gdbench is on no package index yet: in an editable checkout the command names its folder, elsewhere the URL of the
    repository in the package's metadata. The versions are those of the checkout's ``constraints.txt``.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -c '{checkout / 'constraints.txt'}' -e '{checkout}[{extra}]'"
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
    """Whether an exception was raised while a KeyboardInterrupt was handled, as in a ``finally`` of OmegaConf."""
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
    """Word a count, ``1 run``, ``0 runs``, ``1,234 runs``: a number and its noun in the singular or plural.

    ``several`` is the plural, by default ``one`` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def format_range(counts: Iterable[int], one: str) -> str:
    """Word a range of counts, ``2 to 4 seeds``; ``3 seeds`` where all counts are the same."""
    lowest, *between = sorted({int(count) for count in counts})
    return f"{lowest:,} to {format_count(between[-1], one)}" if between else format_count(lowest, one)


def list_few(names: Iterable[str], most: int = 4) -> str:
    """Word a list, ``a, b, c, d and 3 others``: the first names, without repetition, and the number of the others."""
    different = list(dict.fromkeys(names))
    if len(different) <= most + 1:  # "and 1 other" would be no shorter than its name
        return ", ".join(different)
    return f"{', '.join(different[:most])} and {len(different) - most} others"
