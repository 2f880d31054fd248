"""A query: conditions such as ``optimizer=adam``, ``lr<0.1`` or ``since=7d``, all of which must hold."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.errors import UsageError, nearest

__all__ = ["FORMS", "Condition", "holds", "parse"]

FORMS = "COLUMN=VALUE, or with != < <= > >= or ~ (holds the text), such as optimizer=adam,gd 'lr<0.1' since=7d"
CONDITION = re.compile(r"\s*([\w.-]+?)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
AGO = re.compile(r"(\d+)([dhm])")
UNITS = {"d": "days", "h": "hours", "m": "minutes"}
SPANS = {"since": ">=", "until": "<"}
"""Words for the time a sweep began."""
ORDER = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NULL = "null"
HEADED = {"sweep": "folder", "tags": "tag"}
"""Columns that the list of sweeps heads otherwise."""
COUNTS = ("cells", "runs", "planned", "ended")
SEPARATED = re.compile(r"\d{1,3}(,\d{3})+")
UNFINISHED = re.compile(r"([\d,]+) of ([\d,]+)")
ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")
"""A commit by its first digits."""
LENGTHS = {
    r"\d{4}-\d\d-\d\d": timedelta(days=1),
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d": timedelta(minutes=1),
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d": timedelta(seconds=1),
}


@dataclass(frozen=True)
class Condition:
    """A column, how it is compared, and with what: text as it was typed, a list of values, or None for null."""

    column: str
    sign: str
    values: tuple[Any, ...]


def parse(words: Sequence[str], kinds: Mapping[str, Any]) -> list[Condition]:
    """Conditions on columns of these types; ``UsageError`` in one line if a word is none.

    A column may be named as the list of sweeps heads it, and its text given as it stands there: ``cells='2 of 5'``.
    """
    return [condition for word in words for condition in _conditions(word, kinds)]


def _conditions(word: str, kinds: Mapping[str, Any]) -> list[Condition]:
    """What a word asks: one condition, or several where the list of sweeps prints several things as one text."""
    match = CONDITION.fullmatch(word)
    if not match:
        raise UsageError(f"QUERY={word!r} must be {FORMS}.")
    name, sign, text = match.groups()
    name = HEADED.get(name, name)
    if name in SPANS:
        if sign != "=":
            raise UsageError(f"{word}: write {name}=2026-11-01, or {name}=7d (also h, m) for so long ago.")
        return [Condition("when", SPANS[name], (_time(name, text),))]
    if name == "cells" and (unfinished := UNFINISHED.fullmatch(text)):
        ended, planned = map(_without_separators, unfinished.groups())
        return [Condition("cells", sign, (float(ended),)), Condition("planned", sign, (float(planned),))]
    if name == "tag" and sign == "=" and len(text.split()) > 1:
        return [Condition("tag", sign, (tag,)) for tag in text.split()]
    if sign == "=" and name in kinds and pa.types.is_timestamp(kinds[name]) and (length := _find_length(text)):
        start = _time(name, text)
        return [Condition(name, ">=", (start,)), Condition(name, "<", (start + length,))]
    return [_condition(word, name, sign, text, kinds)]


def _condition(word: str, name: str, sign: str, text: str, kinds: Mapping[str, Any]) -> Condition:
    if name not in kinds:
        shown = [*kinds, *SPANS]
        near = _last_part(name, shown) or nearest(name, shown)
        raise UsageError(
            f"{name} is no column of these sweeps.{near} All: python -m gdbench list columns, and {_own(shown)}."
        )
    if text == NULL and sign in ("=", "!="):
        return Condition(name, sign, (None,))
    kind = kinds[name]
    allowed = ("=", "!=", "~") if _is_text(kind) else ("=", "!=") if pa.types.is_boolean(kind) else ("=", "!=", *ORDER)
    if sign not in allowed:
        raise UsageError(f"{word}: {name} is {_worded(kind)}; it can be compared by {' '.join(allowed)} alone.")
    text = _without_separators(text) if name in COUNTS else text
    several = [text] if sign in ORDER or sign == "~" else text.split(",")
    if _is_text(kind) and len(several) > 1:
        several.append(text)  # a comma may stand in the text itself
    return Condition(name, sign, tuple(_value(name, choice.strip(), kind) for choice in several))


def _without_separators(text: str) -> str:
    """``1,234`` as 1234: what the list of sweeps prints of a count."""
    return text.replace(",", "") if SEPARATED.fullmatch(text) else text


def _find_length(text: str) -> timedelta | None:
    """How long the day, minute or second lasts that a text names; None for so long ago, and for a finer instant."""
    for form, length in LENGTHS.items():
        if re.fullmatch(form, text):
            return length
    return None


def _last_part(name: str, shown: Sequence[str]) -> str:
    """``beta1`` is meant to be ``optimizer.beta1``."""
    meant = dict.fromkeys(column for column in shown if column.rpartition(".")[2] == name)
    return f" Did you mean {' or '.join(meant)}?" if meant else ""


def _own(shown: Sequence[str]) -> str:
    """Columns of the list that COLUMNS does not know."""
    return ", ".join(name for name in (*OWN, *SPANS) if name in shown)


OWN = ("when", "folder", "name", "tag", "note", "commit", "dirty", "machine", "planned", "ended", "cells", "runs")
"""Columns of a sweep, not of a run."""


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_null(kind))


def _worded(kind: Any) -> str:
    return "text" if _is_text(kind) else "true or false" if pa.types.is_boolean(kind) else str(kind)


def _value(name: str, text: str, kind: Any) -> Any:
    if _is_text(kind):
        text = text.replace("…", "*")  # where the terminal has cut it
        return f"{text}*" if name == "commit" and ABBREVIATED.fullmatch(text) else text
    if pa.types.is_boolean(kind):
        if text.lower() not in TRUTH:
            raise UsageError(f"{name}={text} must be true, false or null.")
        return TRUTH[text.lower()]
    if pa.types.is_timestamp(kind):
        return _time(name, text)
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name}={text} must be a number, or null.") from None


def _time(name: str, text: str) -> datetime:
    """A day, a day and a time, both of this machine's time zone unless they name one, or how long ago."""
    if ago := AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(
            f"{name}={text} must be 2026-11-01, 2026-11-01T09:30, or 7d, 12h, 30m for so long ago."
        ) from None


# ------------------------------------------------------------------------------------------------------------ asking


def holds(table: pa.Table, conditions: Sequence[Condition]) -> npt.NDArray[np.bool_]:
    """Whether all conditions hold in each row; null fulfils none but ``=null``."""
    kept = np.ones(table.num_rows, bool)
    for condition in conditions:
        kept &= _mask(table.column(condition.column), condition)
    return kept


def _mask(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    present = _flags(column.is_valid())
    if condition.values == (None,):
        return present if condition.sign == "!=" else np.logical_not(present)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), bool)
    if _numeric(column):
        column = column.cast(pa.float64(), safe=False)
    if condition.sign in ORDER:
        found = ORDER[condition.sign](column, pa.scalar(condition.values[0], column.type))
        return _flags(found.fill_null(False))
    found = _coded(column, condition) if pa.types.is_dictionary(column.type) else _any(column, condition)
    return np.logical_and(present, ~found if condition.sign == "!=" else found)


def _flags(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def _numeric(column: Any) -> bool:
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def _coded(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    """Texts, each different one compared once."""
    words = column.dictionary.to_pylist()
    if not words:
        return np.zeros(len(column), bool)
    fits = np.array([any(_fits(word, each, condition.sign) for each in condition.values) for word in words])
    return np.asarray(fits[column.indices.fill_null(0).to_numpy()])


def _fits(word: str, wanted: str, sign: str) -> bool:
    if sign == "~":
        return wanted.lower() in word.lower()
    first_line = word.partition("\n")[0]  # all that a list shows
    if not set(wanted) & set("*?"):
        return wanted in (word, first_line)
    pattern = wanted.replace("[", "[[]")
    return fnmatch.fnmatchcase(word, pattern) or fnmatch.fnmatchcase(first_line, pattern)


def _any(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    return _flags(pc.is_in(column, pa.array(condition.values, column.type)))
