"""Differences by name between two mappings, tables of runs, environments or traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gdbench.results.columns import is_exact, is_setting
from gdbench.results.values import is_null

__all__ = [
    *("ValueDiff", "diff_mappings", "diff_results", "diff_settings"),
    *("find_first_differing_step", "flatten_environment"),
]

EXCLUDED_FIELDS = ("at", "command", "folder", "git.folder", "sources", "data")
"""Fields of environment.json that are not part of the environment, or are compared separately."""


class ValueDiff(NamedTuple):
    """A name with different values on the two sides; None where a side has no value."""

    name: str
    a: Any
    b: Any


def diff_mappings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[ValueDiff]:
    """Names whose values differ between two mappings, in the order of the first, then of the second."""
    every = dict.fromkeys([*a, *b])
    return [ValueDiff(name, a.get(name), b.get(name)) for name in every if not _is_equal(a.get(name), b.get(name))]


def flatten_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Versions, hardware and switches of ``environment.json`` by dotted names."""
    flat = dict(_flatten(environment, ""))
    return {name: value for name, value in flat.items() if not _is_below(name, EXCLUDED_FIELDS)}


def diff_settings(a: pd.DataFrame, b: pd.DataFrame) -> list[ValueDiff]:
    """Settings with different values in two tables of runs: all values of each, in order of appearance."""
    names = [name for name in dict.fromkeys([*a, *b]) if is_setting(str(name))]
    return diff_mappings(*({name: _find_values(runs, name) for name in names} for runs in (a, b)))


def diff_results(a: pd.Series, b: pd.Series) -> list[ValueDiff]:
    """Deterministic result columns in which two runs differ."""
    answers = [{str(name): row[name] for name in row.index if _is_result(str(name))} for row in (a, b)]
    return diff_mappings(*answers)


def find_first_differing_step(a: pd.DataFrame, b: pd.DataFrame) -> int | None:
    """First recorded step at which two traces are not bitwise equal; None if they are equal."""
    columns = ["step", "loss", "gap", "grad_norm", "x"]
    for here, there in zip(_list_rows(a, columns), _list_rows(b, columns), strict=False):
        if diff_mappings(here, there):
            return int(min(here["step"], there["step"]))
    return int(min(len(a), len(b))) if len(a) != len(b) else None


def _is_result(name: str) -> bool:
    return is_exact(name) and not is_setting(name) and name != "run_id"


def _list_rows(trace: pd.DataFrame, columns: list[str]) -> Iterable[dict[str, Any]]:
    return trace.reindex(columns=columns).astype(object).to_dict(orient="records")  # type: ignore[return-value]


def _find_values(runs: pd.DataFrame, name: str) -> Any:
    """Distinct values of a column; a single one without its list; None if the column is missing or all null."""
    found = [value for value in runs[name].unique() if not is_null(value)] if name in runs else []
    return found[0] if len(found) == 1 else (found or None)


def _flatten(value_or_mapping: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(value_or_mapping, Mapping):
        yield prefix, value_or_mapping
        return
    for name, value in value_or_mapping.items():
        yield from _flatten(value, f"{prefix}.{name}" if prefix else str(name))


def _is_below(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _is_equal(a: Any, b: Any) -> bool:
    if is_null(a) or is_null(b):
        return is_null(a) and is_null(b)
    return bool(_to_python(a) == _to_python(b))


def _to_python(value: Any) -> Any:
    """Value without NumPy types: comparing an array with a list would be elementwise."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return list(map(_to_python, value)) if isinstance(value, (list, tuple)) else value
