"""List of sweeps, one row each: time, name, commit, machine, cells, runs, statuses, and the best configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gdbench.errors import UsageError, did_you_mean
from gdbench.results.index import Index
from gdbench.results.labels import Labels, read_labels
from gdbench.results.query import SWEEP_TYPES, Condition, match_rows
from gdbench.results.statuses import STATUS_RANK
from gdbench.results.sweep_info import SweepInfo
from gdbench.results.sweep_lookup import parse_sweep_name
from gdbench.results.sweep_ranks import RANK, RANKING_FIELDS, SWEEP_NUMBER

__all__ = ["BEST_COLUMNS", "get_query_types", "list_sweeps", "sort_sweeps"]

BEST_COLUMNS = ("objective", "optimizer", "impl", "lr", "run_id", *(f"_{name}" for name in RANKING_FIELDS))
"""Columns of the best configuration, as ``best_<name>``: ``best_value``, in units of ``best_measure``, is the median
over its ``best_n`` seeds; ``best_run_id`` is the run of the median seed."""


def get_query_types(index: Index) -> dict[str, Any]:
    """Types of all columns that a query can name."""
    return {**{name: kind for name, kind in index.kinds.items() if not name.startswith("_")}, **SWEEP_TYPES}


def list_sweeps(index: Index, conditions: Sequence[Condition], outputs: Path) -> pd.DataFrame:
    """One row per sweep with a run that meets all conditions; counts are of those runs."""
    of_runs = [condition for condition in conditions if condition.column not in SWEEP_TYPES]
    names = list(dict.fromkeys(["status", "cell", RANK, *(condition.column for condition in of_runs)]))
    rows = index.read_rows(names)
    if of_runs:
        rows = rows.filter(pa.array(match_rows(rows, of_runs)))
    table = _describe_sweeps(index.sweeps, outputs)
    table = table.join(_count_runs(rows, len(table)))
    chosen = _match_sweeps(table, [condition for condition in conditions if condition.column in SWEEP_TYPES])
    if of_runs:
        chosen &= table["runs"].to_numpy() > 0
    return _add_best(table[chosen], index)


def _describe_sweeps(sweeps: Sequence[SweepInfo], outputs: Path) -> pd.DataFrame:
    said = [_read_labels(outputs / sweep.folder) for sweep in sweeps]
    return pd.DataFrame(
        {
            "when": pd.to_datetime([sweep.began for sweep in sweeps], unit="s", utc=True).floor("s"),
            "folder": [sweep.folder for sweep in sweeps],
            "name": [own.name or parse_sweep_name(sweep.folder) for own, sweep in zip(said, sweeps, strict=True)],
            "tags": [list(own.tags) for own in said],
            "note": [own.note for own in said],
            "commit": [sweep.commit for sweep in sweeps],
            "dirty": pd.array([sweep.dirty for sweep in sweeps], dtype="boolean"),
            "machine": [sweep.machine for sweep in sweeps],
            "planned": np.array([sweep.planned for sweep in sweeps], np.int64),
            "ended": np.array([sweep.ended for sweep in sweeps], np.int64),
            "fault": [sweep.fault for sweep in sweeps],
        }
    )


def _read_labels(folder: Path) -> Labels:
    """Labels of a sweep; a note instead of labels that cannot be read."""
    with contextlib.suppress(UsageError):
        return read_labels(folder)
    return Labels(note="(its labels.json cannot be read)")


def _count_runs(rows: pa.Table, sweeps: int) -> pd.DataFrame:
    """Cells, runs, runs by status, and the best rank, of each sweep."""
    number = rows.column(SWEEP_NUMBER).to_numpy()
    cell = rows.column("cell").to_numpy() if rows.num_rows else np.empty(0)
    pairs = np.unique(number * 2**32 + np.nan_to_num(cell).astype(np.int64)) // 2**32
    status = rows.column("status").to_pandas().astype("category")
    known = [*STATUS_RANK, *(name for name in status.cat.categories if name not in STATUS_RANK)]
    codes = status.cat.set_categories(known).cat.codes.to_numpy().astype(np.int64)
    counts = np.bincount(number[codes >= 0] * len(known) + codes[codes >= 0], minlength=sweeps * len(known))
    by_status = counts.reshape(sweeps, len(known))
    place = rows.column(RANK).to_pandas().astype("float64").groupby(number).min()
    return pd.DataFrame(
        {
            "cells": np.bincount(pairs, minlength=sweeps),
            "runs": np.bincount(number, minlength=sweeps),
            "statuses": [{name: int(n) for name, n in zip(known, row, strict=True) if n} for row in by_status],
            "place": place.reindex(range(sweeps)).to_numpy(),
        }
    )


def _match_sweeps(table: pd.DataFrame, conditions: Sequence[Condition]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each sweep meets the conditions on sweeps; one matching tag is enough."""
    chosen = np.ones(len(table), bool)
    for condition in conditions:
        if condition.column == "tag":
            chosen &= np.array([_has_matching_tag(tags, condition) for tags in table["tags"]], bool)
        else:
            values = _prepare_column(table[condition.column], SWEEP_TYPES[condition.column])
            chosen &= match_rows(pa.table({condition.column: values}), [condition])
    return chosen


def _prepare_column(column: pd.Series, kind: Any) -> Any:
    """Column of the list as a query reads it: empty text is null."""
    return pa.array([text or None for text in column] if kind == pa.string() else column, kind)


def _has_matching_tag(tags: Sequence[str], condition: Condition) -> bool:
    """Whether any tag matches; for ``!=``, whether none does."""
    if condition.values == (None,):
        return bool(tags) == (condition.sign == "!=")
    wanted = Condition("tag", "=" if condition.sign == "!=" else condition.sign, condition.values)
    found = tags and match_rows(pa.table({"tag": pa.array(tags)}), [wanted]).any()
    return bool(found) != (condition.sign == "!=")


def _add_best(table: pd.DataFrame, index: Index) -> pd.DataFrame:
    """List with the columns of the best configuration of each sweep; null where none is eligible."""
    wanted = np.full(len(index.sweeps), np.nan)
    wanted[table.index] = table["place"]
    found = index.read_ranked_rows(wanted, BEST_COLUMNS)
    best = pd.DataFrame(
        {f"best_{name.lstrip('_')}": found.column(name).to_pandas().astype(object) for name in BEST_COLUMNS}
    )
    best.index = pd.Index(found.column(SWEEP_NUMBER).to_numpy())
    joined = table.drop(columns="place").join(best)
    return joined.astype({"best_lr": float, "best_value": float, "best_n": "Int64", "best_tied": "Int64"})


def sort_sweeps(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """List sorted by a column, ``-column`` for descending; nulls last."""
    name = by.removeprefix("-")
    allowed = [str(column) for column in table if column not in ("tags", "statuses")]
    if name not in allowed:
        raise UsageError(
            f"--sort {by} is not known.{did_you_mean(name, allowed)} Allowed: {', '.join(allowed)}; -COLUMN for the"
            " highest first."
        )
    return table.sort_values([name, "when", "folder"], ascending=[not by.startswith("-"), False, False], kind="stable")
