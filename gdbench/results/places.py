"""The place of each run among those of its sweep: that of its configuration, and the number it stands there by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from gdbench.results.arrow import ARROW, frame
from gdbench.results.columns import COLUMNS, asked
from gdbench.results.costs import NAMED, compared
from gdbench.results.ranking import may_win
from gdbench.results.run_settings import configuration_names, problem_names
from gdbench.results.schema_union import convert
from gdbench.results.standings import KEYS, standings

__all__ = ["NEEDED", "NUMBER", "PLACE", "STANDING", "with_places"]

NUMBER = "_sweep"
"""The column that says which of several sweeps a row is of."""
PLACE = "_place"
"""The place of a row among those of its sweep that may win, the lowest being the best; null where it may not."""
STANDING = {
    "problem": pa.string(),
    "outcome": pa.string(),
    "measure": pa.string(),
    "value": pa.float64(),
    "n": pa.int64(),
    "configuration": pa.string(),
    "tied": pa.int64(),
}
"""What is told of the configuration of a row, in columns ``_<name>``; ``tied`` counts those that share its place."""
NEEDED = (
    "run_id", "optimizer", "impl", "lr", "status", "gradient_evals_to_target", "steps_to_target", "steps_to_settle",
    "time_to_target_s", "step_s", "target", "target_loss", "final_gap", "gap_floor", "final_loss", "best_loss",
    "start_loss", "shifted_minimum", "seed_used", "started_at", "objective", "seed", "tuned_place", "tuned_for",
)  # fmt: skip
"""Columns by which configurations are ordered, beside the settings that tell them apart."""


def with_places(table: pa.Table, numbers: npt.NDArray[np.int64]) -> pa.Table:
    """The rows of several sweeps, each told by its number, with PLACE, NUMBER and the columns of STANDING."""
    rows = _rows(table).assign(**{NUMBER: numbers})
    told = compared(rows[rows[list(NAMED)].notna().all(axis=1)], [NUMBER])
    sweeps = [sweep for _, sweep in told.groupby(NUMBER, sort=False)]
    problem = pd.concat([problem_names(sweep) for sweep in sweeps]) if sweeps else told["problem"]
    configuration = pd.concat([configuration_names(sweep) for sweep in sweeps]) if sweeps else told["configuration"]
    told = told.assign(problem=told[NUMBER].astype(str) + ":" + problem)
    order = standings(told)
    order["position"], order["tied"] = np.arange(len(order)), _count_tied(order)
    of_rows = told[[*KEYS, "run_id"]].merge(order, on=list(KEYS), how="left", suffixes=("", "_middle"))
    of_rows.index = told.index
    of_rows["problem"], of_rows["configuration"] = problem, configuration
    able = of_rows[may_win(told).to_numpy(bool)]
    able = able.assign(other=able["run_id"] != able["run_id_middle"]).sort_values(["position", "other"], kind="stable")
    place = pd.Series(np.arange(len(able)), able.index)
    first = place.groupby(told.loc[able.index, NUMBER]).transform("min")
    columns = {PLACE: (place - first).reindex(rows.index).astype("Int64")}
    columns |= {f"_{name}": of_rows[name].reindex(rows.index) for name in STANDING}
    kinds = {PLACE: pa.int64(), **{f"_{name}": kind for name, kind in STANDING.items()}}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, kinds[name], from_pandas=True))
    return table.append_column(NUMBER, pa.array(numbers))


def _count_tied(order: pd.DataFrame) -> npt.NDArray[np.int64]:
    """How many configurations share the place of each, itself counted; what tune chose is tied with its choices alone.

    Impls of one configuration count once.
    """
    keys = [order["problem"], order["place"], order["tuned_for"].notna()]
    names = order["optimizer"].astype(str) + " " + order["configuration"].astype(str)
    return names.groupby(keys, sort=False).transform("nunique").to_numpy(np.int64)


def _rows(table: pa.Table) -> pd.DataFrame:
    """What tells configurations apart and orders them, null where a sweep lacks the column."""
    settings = [name for name in table.column_names if asked(name) and name not in NEEDED]
    columns = {name: table.column(name) for name in settings}
    for name in NEEDED:
        there = table.column(name) if name in table.column_names else pa.chunked_array([pa.nulls(table.num_rows)])
        columns[name] = convert(there, ARROW[COLUMNS[name].kind]) if name in COLUMNS else there
    rows = frame(pa.table(columns))
    return rows.assign(**{name: rows[name].astype(str) for name in settings if pa.types.is_nested(columns[name].type)})
