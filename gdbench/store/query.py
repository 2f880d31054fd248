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

from gdbench.schema import UsageError, nearest

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


@dataclass(frozen=True)
class Condition:
    """A column, how it is compared, and with what: text as it was typed, a list of values, or None for null."""

    column: str
    sign: str
    values: tuple[Any, ...]


def parse(words: Sequence[str], kinds: Mapping[str, Any]) -> list[Condition]:
    """Conditions on columns of these types; ``UsageError`` in one line if a word is none."""
    return [_condition(word, kinds) for word in words]


def _condition(word: str, kinds: Mapping[str, Any]) -> Condition:
    match = CONDITION.fullmatch(word)
    if not match:
        raise UsageError(f"QUERY={word!r} must be {FORMS}.")
    name, sign, text = match.groups()
    if name in SPANS:
        if sign != "=":
            raise UsageError(f"{word}: write {name}=2026-11-01, or {name}=7d (also h, m) for so long ago.")
        return Condition("when", SPANS[name], (_time(name, text),))
    if name not in kinds:
        shown = [*kinds, *SPANS]
        near = _last_part(name, shown) or nearest(name, shown)
        raise UsageError(
            f"{name} is no column of these sweeps.{near} All: python -m gdbench columns, and {_own(shown)}."
        )
    if text == NULL and sign in ("=", "!="):
        return Condition(name, sign, (None,))
    kind = kinds[name]
    allowed = ("=", "!=", "~") if _is_text(kind) else ("=", "!=") if pa.types.is_boolean(kind) else ("=", "!=", *ORDER)
    if sign not in allowed:
        raise UsageError(f"{word}: {name} is {_worded(kind)}; it can be compared by {' '.join(allowed)} alone.")
    several = [text] if sign in ORDER or sign == "~" else text.split(",")
    return Condition(name, sign, tuple(_value(name, each.strip(), kind) for each in several))


def _last_part(name: str, shown: Sequence[str]) -> str:
    """``beta1`` is meant to be ``optimizer.beta1``."""
    meant = [each for each in shown if each.rpartition(".")[2] == name]
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
        return text
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
    return fnmatch.fnmatchcase(word, wanted) if set(wanted) & set("*?") else word == wanted


def _any(column: Any, condition: Condition) -> npt.NDArray[np.bool_]:
    return _flags(pc.is_in(column, pa.array(condition.values, column.type)))
