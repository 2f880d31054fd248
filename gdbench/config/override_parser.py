"""Parse overrides: by Hydra's parser, and lists of plain numbers without it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, ValueType
from hydra.errors import OverrideParseException

from gdbench.config.command_errors import describe_unreadable
from gdbench.errors import UsageError

__all__ = ["parse_overrides"]

FUNCTIONS = create_functions()
MAX_LEVELS = 20
"""Brackets within brackets: many more, and reading them or setting them would exceed Python's stack."""
INTEGER = r"[+-]?(?:0|[1-9]\d*)"
NUMBER = rf"(?:{INTEGER}\.?|[+-]?(?:0|[1-9]\d*)?\.\d+)(?:[eE][+-]?\d+)?"
NUMBERS = re.compile(rf"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)=(\[?)({NUMBER}(?:,{NUMBER})+)(\]?)")
INTEGER_BEYOND_FLOAT = re.compile(r"(?<![\d.])[1-9]\d{308,}(?![\d.eE])")
"""Python converts none of more than 4,300 digits, and a float64 holds none of these."""


def parse_overrides(words: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Overrides, parsed; ``UsageError`` for the first that the grammar cannot read."""
    parser = OverridesParser(FUNCTIONS, loader)
    if long := next(filter(INTEGER_BEYOND_FLOAT.search, words), None):
        raise UsageError(f"{long} holds a number beyond 1.8e308, the largest of a float64: give a smaller one.")
    if deep := next((word for word in words if _count_levels(word) > MAX_LEVELS), None):
        raise UsageError(f"{deep} cannot be read: its brackets are nested too deep.")
    try:
        return [_parse_numbers(word, loader) or parser.parse_overrides([word])[0] for word in words]
    except OverrideParseException as error:
        raise UsageError(describe_unreadable(str(error.override))) from None


def _count_levels(word: str) -> int:
    """How deep the brackets of a word are nested."""
    brackets = re.findall(r"[\[{(\]})]", word)
    return max(itertools.accumulate(1 if bracket in "[{(" else -1 for bracket in brackets), default=0)


def _parse_numbers(word: str, loader: ConfigLoader | None) -> Override | None:
    """An override with several plain numbers, as a sweep or a list: Hydra's parser takes 5 s for 10,000; else None."""
    match = NUMBERS.fullmatch(word)
    if match is None or bool(match[2]) != bool(match[4]):
        return None
    numbers = [int(text) if re.fullmatch(INTEGER, text) else float(text) for text in match[3].split(",")]
    is_list = bool(match[2])
    kind = ValueType.ELEMENT if is_list else ValueType.SIMPLE_CHOICE_SWEEP
    value = numbers if is_list else ChoiceSweep(list=list(numbers), simple_form=True)
    return Override(OverrideType.CHANGE, match[1], kind, value, input_line=word, config_loader=loader)
