"""What two things differ in, by name: rows of the table, what is known of two machines, traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gdbench.results.columns import asked, exact

__all__ = ["Difference", "configuration", "facts", "first_step", "named", "results"]

NO_FACTS = ("at", "command", "folder", "git.folder", "sources", "data")
"""What environment.json holds beside facts of an environment, or tells in a place of its own."""


class Difference(NamedTuple):
    """A thing that has one value here and another there; None where it has none."""

    name: str
    a: Any
    b: Any


def named(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """The names under which two mappings hold different things, in the order of the first."""
    every = dict.fromkeys([*a, *b])
    return [Difference(name, a.get(name), b.get(name)) for name in every if not _same(a.get(name), b.get(name))]


def facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What ``environment.json`` tells of versions, machine and switches, by dotted names."""
    flat = dict(_flat(environment, ""))
    return {name: value for name, value in flat.items() if not _under(name, NO_FACTS)}


def configuration(a: pd.DataFrame, b: pd.DataFrame) -> list[Difference]:
    """The settings whose values are not the same in two tables of runs: all values of each, in their order."""
    names = [name for name in dict.fromkeys([*a, *b]) if asked(str(name))]
    return named(*({name: _values(runs, name) for name in names} for runs in (a, b)))


def results(a: pd.Series, b: pd.Series) -> list[Difference]:
    """The exact columns in which two runs differ, but for what was asked of them."""
    answers = [{str(name): row[name] for name in row.index if _answer(str(name))} for row in (a, b)]
    return named(*answers)


def first_step(a: pd.DataFrame, b: pd.DataFrame) -> int | None:
    """The first recorded step at which the traces of two runs are not the same bits; None where there is none."""
    columns = ["step", "loss", "gap", "grad_norm", "x"]
    for here, there in zip(_rows(a, columns), _rows(b, columns), strict=False):
        if named(here, there):
            return int(min(here["step"], there["step"]))
    return int(min(len(a), len(b))) if len(a) != len(b) else None


def _answer(name: str) -> bool:
    return exact(name) and not asked(name) and name != "run_id"


def _rows(trace: pd.DataFrame, columns: list[str]) -> Iterable[dict[str, Any]]:
    return trace.reindex(columns=columns).astype(object).to_dict(orient="records")  # type: ignore[return-value]


def _values(runs: pd.DataFrame, name: str) -> Any:
    """The values of a column, a single one as it is; None where it is not there or null in every row."""
    found = [each for each in runs[name].unique() if not _missing(each)] if name in runs else []
    return found[0] if len(found) == 1 else (found or None)


def _flat(told: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(told, Mapping):
        yield prefix, told
        return
    for name, each in told.items():
        yield from _flat(each, f"{prefix}.{name}" if prefix else str(name))


def _under(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _same(a: Any, b: Any) -> bool:
    if _missing(a) or _missing(b):
        return _missing(a) and _missing(b)
    return bool(_plain(a) == _plain(b))


def _plain(value: Any) -> Any:
    """A value without numpy, whose comparison with a list would be one for each entry."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _missing(value: Any) -> bool:
    return value is None or (not hasattr(value, "__len__") and bool(pd.isna(value)))
