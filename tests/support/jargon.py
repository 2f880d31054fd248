"""Words of parsers, of Python and of gdbench's insides, which no message may say that was not given them."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["find_jargon"]

JARGON = re.compile(
    r"Lexer|NoViable|viable|mismatched|expecting|EOF|BRACKET|OmegaConf|omegaconf|struct|ConfigKey|full_key|Traceback"
    r"|override|append|parsing|Ambiguous|\bNone\b|\bTrue\b|\bFalse\b|\bcode\b|\bpart\b|[A-Z]\w+Error|\bException"
    r"|codec|surrogate|antlr"
)


def find_jargon(message: str, words: Iterable[str]) -> str | None:
    """The first such word of a message that is in none of the words which were typed; None where there is none."""
    own = set(re.findall(r"\w+", message)) - set(re.findall(r"\w+", " ".join(words)))
    found = JARGON.search(" ".join(sorted(own)))
    return found[0] if found else None
