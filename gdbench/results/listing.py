"""One row a sweep: when, name, commit, machine, cells, runs, statuses, and the best of the runs that were asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gdbench.errors import UsageError, nearest
from gdbench.results.catalog import Facts, given_name
from gdbench.results.index import Index
from gdbench.results.labels import Labels, labels
from gdbench.results.places import NUMBER, PLACE, STANDING
from gdbench.results.query import Condition, holds
from gdbench.results.ranking import STATUS_RANK

__all__ = ["BEST", "SWEEP_KINDS", "kinds", "listing", "ordered"]

SWEEP_KINDS = {
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
"""Columns of a sweep that can be asked for, beside those of its runs."""
BEST = ("objective", "optimizer", "impl", "lr", "run_id", *(f"_{name}" for name in STANDING))
"""What is told of the best configuration, as ``best_<name>``: ``best_value``, in units of ``best_measure``, is the
median over its ``best_n`` seeds, and ``best_run_id`` the run in the middle of them."""


def kinds(index: Index) -> dict[str, Any]:
    """The types of all columns that a query may name."""
    return {**{name: kind for name, kind in index.kinds.items() if not name.startswith("_")}, **SWEEP_KINDS}


def listing(index: Index, conditions: Sequence[Condition], outputs: Path) -> pd.DataFrame:
    """One row a sweep that has a run for which all conditions hold, counting those runs alone."""
    of_runs = [each for each in conditions if each.column not in SWEEP_KINDS]
    names = list(dict.fromkeys(["status", "cell", PLACE, *(each.column for each in of_runs)]))
    rows = index.rows(names)
    if of_runs:
        rows = rows.filter(pa.array(holds(rows, of_runs)))
    table = _described(index.sweeps, outputs)
    table = table.join(_counted(rows, len(table)))
    chosen = _asked(table, [each for each in conditions if each.column in SWEEP_KINDS])
    if of_runs:
        chosen &= table["runs"].to_numpy() > 0
    return _with_best(table[chosen], index)


def _described(sweeps: Sequence[Facts], outputs: Path) -> pd.DataFrame:
    said = [_labels(outputs / each.folder) for each in sweeps]
    return pd.DataFrame(
        {
            "when": pd.to_datetime([each.began for each in sweeps], unit="s", utc=True).floor("s"),
            "folder": [each.folder for each in sweeps],
            "name": [own.name or given_name(each.folder) for own, each in zip(said, sweeps, strict=True)],
            "tags": [list(own.tags) for own in said],
            "note": [own.note for own in said],
            "commit": [each.commit for each in sweeps],
            "dirty": pd.array([each.dirty for each in sweeps], dtype="boolean"),
            "machine": [each.machine for each in sweeps],
            "planned": np.array([each.planned for each in sweeps], np.int64),
            "ended": np.array([each.ended for each in sweeps], np.int64),
            "fault": [each.fault for each in sweeps],
        }
    )


def _labels(folder: Path) -> Labels:
    """The labels; without those that cannot be read the sweep is listed all the same."""
    with contextlib.suppress(UsageError):
        return labels(folder)
    return Labels(note="(its labels.json cannot be read)")


def _counted(rows: pa.Table, sweeps: int) -> pd.DataFrame:
    """Cells, runs, a column for each status, and the place of the best, of each sweep."""
    number = rows.column(NUMBER).to_numpy()
    cell = rows.column("cell").to_numpy() if rows.num_rows else np.empty(0)
    pairs = np.unique(number * 2**32 + np.nan_to_num(cell).astype(np.int64)) // 2**32
    status = rows.column("status").to_pandas().astype("category")
    known = [*STATUS_RANK, *(each for each in status.cat.categories if each not in STATUS_RANK)]
    codes = status.cat.set_categories(known).cat.codes.to_numpy().astype(np.int64)
    counts = np.bincount(number[codes >= 0] * len(known) + codes[codes >= 0], minlength=sweeps * len(known))
    by_status = counts.reshape(sweeps, len(known))
    place = rows.column(PLACE).to_pandas().astype("float64").groupby(number).min()
    return pd.DataFrame(
        {
            "cells": np.bincount(pairs, minlength=sweeps),
            "runs": np.bincount(number, minlength=sweeps),
            "statuses": [{name: int(n) for name, n in zip(known, each, strict=True) if n} for each in by_status],
            "place": place.reindex(range(sweeps)).to_numpy(),
        }
    )


def _asked(table: pd.DataFrame, conditions: Sequence[Condition]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which sweeps fulfil what was asked of them; of their tags one that does is enough."""
    chosen = np.ones(len(table), bool)
    for condition in conditions:
        if condition.column == "tag":
            chosen &= np.array([_tagged(tags, condition) for tags in table["tags"]], bool)
        else:
            values = _asked_column(table[condition.column], SWEEP_KINDS[condition.column])
            chosen &= holds(pa.table({condition.column: values}), [condition])
    return chosen


def _asked_column(column: pd.Series, kind: Any) -> Any:
    """A column of the list as a query reads it: no text is null, and texts are dictionaries."""
    if kind == pa.string():
        return pa.array([each or None for each in column], kind).dictionary_encode()
    return pa.array(column, kind)


def _tagged(tags: Sequence[str], condition: Condition) -> bool:
    """Whether any tag fits; ``!=`` that none does."""
    if condition.values == (None,):
        return bool(tags) == (condition.sign == "!=")
    wanted = Condition("tag", "=" if condition.sign == "!=" else condition.sign, condition.values)
    found = tags and holds(pa.table({"tag": pa.array(tags).dictionary_encode()}), [wanted]).any()
    return bool(found) != (condition.sign == "!=")


def _with_best(table: pd.DataFrame, index: Index) -> pd.DataFrame:
    """The columns of the best configuration of each sweep, as ``best_<name>``; missing where none may win."""
    wanted = np.full(len(index.sweeps), np.nan)
    wanted[table.index] = table["place"]
    found = index.picked(wanted, BEST)
    best = pd.DataFrame({f"best_{name.lstrip('_')}": found.column(name).to_pandas().astype(object) for name in BEST})
    best.index = pd.Index(found.column(NUMBER).to_numpy())
    joined = table.drop(columns="place").join(best)
    return joined.astype({"best_lr": float, "best_value": float, "best_n": "Int64", "best_tied": "Int64"})


def ordered(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Sorted by a column, ``-column`` for the highest first; what is missing comes last."""
    name = by.removeprefix("-")
    allowed = [str(each) for each in table if each not in ("tags", "statuses")]
    if name not in allowed:
        raise UsageError(
            f"--sort {by} is not known.{nearest(name, allowed)} Allowed: {', '.join(allowed)}; -COLUMN for the"
            " highest first."
        )
    return table.sort_values([name, "when", "folder"], ascending=[not by.startswith("-"), False, False], kind="stable")
