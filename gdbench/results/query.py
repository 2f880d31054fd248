"""Queries: conditions such as ``optimizer=adam``, ``lr<0.1`` or ``since=7d``, all of which must hold."""

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

from gdbench.errors import UsageError, did_you_mean

__all__ = ["FORMS", "SWEEP_TYPES", "Condition", "match_rows", "parse_query"]

FORMS = "COLUMN=VALUE, or with != < <= > >= or ~ (holds the text), such as optimizer=adam,gd 'lr<0.1' since=7d"
CONDITION = re.compile(r"\s*([\w.-]+?)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
AGO = re.compile(r"(\d+)([dhm])")
UNITS = {"d": "days", "h": "hours", "m": "minutes"}
SWEEP_TYPES = {
    "when": pa.timestamp("us", tz="UTC"),
    "folder": pa.string(),
    "name": pa.string(),
    "tag": pa.string(),
    "note": pa.string(),
    "commit": pa.string(),
    "dirty": pa.bool_(),
    "machine": pa.string(),
    "planned": pa.int64(),
    "ended": pa.int64(),
    "cells": pa.int64(),
    "runs": pa.int64(),
}
"""Columns of a sweep that a query can name, in addition to those of its runs."""
TIME_BOUNDS = {"since": ">=", "until": "<"}
"""Words for the start time of a sweep."""
ORDERINGS = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NULL = "null"
COLUMN_ALIASES = {"sweep": "folder", "tags": "tag"}
"""Columns that the list of sweeps shows under another heading."""
COUNT_COLUMNS = ("cells", "runs", "planned", "ended")
SEPARATED = re.compile(r"\d{1,3}(,\d{3})+")
UNFINISHED = re.compile(r"([\d,]+) of ([\d,]+)")
ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")
"""A commit by its first digits."""
DURATIONS = {
    r"\d{4}-\d\d-\d\d": timedelta(days=1),
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d": timedelta(minutes=1),
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d": timedelta(seconds=1),
}


@dataclass(frozen=True)
class Condition:
    """Column, comparison operator, and values: text, parsed values, or None for null."""

    column: str
    sign: str
    values: tuple[Any, ...]


def parse_query(words: Sequence[str], kinds: Mapping[str, Any]) -> list[Condition]:
    """Conditions of words, on columns of these types; ``UsageError`` for an invalid word.

    Columns and values may be given as the list of sweeps shows them: ``cells='2 of 5'``.
    """
    return [condition for word in words for condition in _parse_conditions(word, kinds)]


def _parse_conditions(word: str, kinds: Mapping[str, Any]) -> list[Condition]:
    """Conditions of one word; several where the list of sweeps shows several values as one text."""
    match = CONDITION.fullmatch(word)
    if not match:
        raise UsageError(f"QUERY={word!r} must be {FORMS}.")
    name, sign, text = match.groups()
    name = COLUMN_ALIASES.get(name, name)
    if name in TIME_BOUNDS:
        if sign != "=":
            raise UsageError(f"{word}: write {name}=2026-11-01, or {name}=7d (also h, m) for so long ago.")
        return [Condition("when", TIME_BOUNDS[name], (_parse_time(name, text),))]
    if name == "cells" and (unfinished := UNFINISHED.fullmatch(text)):
        ended, planned = map(_drop_separators, unfinished.groups())
        return [Condition("cells", sign, (float(ended),)), Condition("planned", sign, (float(planned),))]
    if name == "tag" and sign == "=" and len(text.split()) > 1:
        return [Condition("tag", sign, (tag,)) for tag in text.split()]
    if sign == "=" and name in kinds and pa.types.is_timestamp(kinds[name]) and (length := _find_duration(text)):
        start = _parse_time(name, text)
        return [Condition(name, ">=", (start,)), Condition(name, "<", (start + length,))]
    return [_parse_condition(word, name, sign, text, kinds)]


def _parse_condition(word: str, name: str, sign: str, text: str, kinds: Mapping[str, Any]) -> Condition:
    if name not in kinds:
        shown = [*kinds, *TIME_BOUNDS]
        near = _suggest_parameter(name, shown) or did_you_mean(name, shown)
        raise UsageError(
            f"{name} is no column of these sweeps.{near} All: python -m gdbench list columns, and"
            f" {_list_sweep_columns(shown)}."
        )
    if text == NULL and sign in ("=", "!="):
        return Condition(name, sign, (None,))
    kind = kinds[name]
    allowed = (
        ("=", "!=", "~") if _is_text(kind) else ("=", "!=") if pa.types.is_boolean(kind) else ("=", "!=", *ORDERINGS)
    )
    if sign not in allowed:
        raise UsageError(f"{word}: {name} is {_describe_type(kind)}; it can be compared by {' '.join(allowed)} alone.")
    text = _drop_separators(text) if name in COUNT_COLUMNS else text
    several = [text] if sign in ORDERINGS or sign == "~" else text.split(",")
    if _is_text(kind) and len(several) > 1:
        several.append(text)  # a comma may stand in the text itself
    return Condition(name, sign, tuple(_parse_value(name, choice.strip(), kind) for choice in several))


def _drop_separators(text: str) -> str:
    """``1,234`` as 1234: the format of counts in the list of sweeps."""
    return text.replace(",", "") if SEPARATED.fullmatch(text) else text


def _find_duration(text: str) -> timedelta | None:
    """Length of the day, minute or second that a text names; None for relative and finer times."""
    for form, length in DURATIONS.items():
        if re.fullmatch(form, text):
            return length
    return None


def _suggest_parameter(name: str, shown: Sequence[str]) -> str:
    """Suggestion for a hyper-parameter without its group: ``optimizer.beta1`` for ``beta1``."""
    meant = dict.fromkeys(column for column in shown if column.rpartition(".")[2] == name)
    return f" Did you mean {' or '.join(meant)}?" if meant else ""


def _list_sweep_columns(shown: Sequence[str]) -> str:
    """Columns of the list of sweeps that COLUMNS does not have."""
    return ", ".join(name for name in (*SWEEP_TYPES, *TIME_BOUNDS) if name in shown)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_null(kind))


def _describe_type(kind: Any) -> str:
    return "text" if _is_text(kind) else "true or false" if pa.types.is_boolean(kind) else str(kind)


def _parse_value(name: str, text: str, kind: Any) -> Any:
    if _is_text(kind):
        text = text.replace("…", "*")  # where the terminal has cut it
        return f"{text}*" if name == "commit" and ABBREVIATED.fullmatch(text) else text
    if pa.types.is_boolean(kind):
        if text.lower() not in TRUTH:
            raise UsageError(f"{name}={text} must be true, false or null.")
        return TRUTH[text.lower()]
    if pa.types.is_timestamp(kind):
        return _parse_time(name, text)
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name}={text} must be a number, or null.") from None


def _parse_time(name: str, text: str) -> datetime:
    """Date, date and time (local unless they state a zone), or relative time, as UTC."""
    if ago := AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(
            f"{name}={text} must be 2026-11-01, 2026-11-01T09:30, or 7d, 12h, 30m for so long ago."
        ) from None


# ------------------------------------------------------------------------------------------------------------ asking


def match_rows(table: pa.Table, conditions: Sequence[Condition]) -> npt.NDArray[np.bool_]:
    """Whether each row meets all conditions; null meets none but ``=null``."""
    kept = np.ones(table.num_rows, bool)
    for condition in conditions:
        kept &= _match_condition(table.column(condition.column), condition)
    return kept


def _match_condition(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    present = _to_flags(column.is_valid())
    if condition.values == (None,):
        return present if condition.sign == "!=" else np.logical_not(present)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), bool)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    if condition.sign in ORDERINGS:
        found = ORDERINGS[condition.sign](column, pa.scalar(condition.values[0], column.type))
        return _to_flags(found.fill_null(False))
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        matches = _match_texts(column, condition)
    else:
        matches = _to_flags(pc.is_in(column, pa.array(condition.values, column.type)))
    return np.logical_and(present, ~matches if condition.sign == "!=" else matches)


def _to_flags(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def _match_texts(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    """Match of texts: each distinct text is compared once."""
    column = column.dictionary_encode()
    words = column.dictionary.to_pylist()
    if not words:
        return np.zeros(len(column), bool)
    fits = np.array([any(_is_match(word, wanted, condition.sign) for wanted in condition.values) for word in words])
    return np.asarray(fits[column.indices.fill_null(0).to_numpy()])


def _is_match(word: str, wanted: str, sign: str) -> bool:
    if sign == "~":
        return wanted.lower() in word.lower()
    first_line = word.partition("\n")[0]  # all that a list shows
    if not set(wanted) & set("*?"):
        return wanted in (word, first_line)
    pattern = wanted.replace("[", "[[]")
    return fnmatch.fnmatchcase(word, pattern) or fnmatch.fnmatchcase(first_line, pattern)
