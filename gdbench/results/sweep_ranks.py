"""Rank of each run within its sweep, and the value by which its configuration is ranked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from gdbench.results.arrow import ARROW_TYPES, to_pandas
from gdbench.results.columns import COLUMNS, is_setting
from gdbench.results.costs import REQUIRED_COLUMNS, select_comparable
from gdbench.results.ranking import KEYS, rank_configurations
from gdbench.results.run_outcomes import is_eligible
from gdbench.results.run_settings import name_configurations, name_problems
from gdbench.results.schema_union import convert_column, get_column_or_null

__all__ = ["RANK", "RANKING_COLUMNS", "RANKING_FIELDS", "SWEEP_NUMBER", "add_sweep_ranks"]

SWEEP_NUMBER = "_sweep"
"""Column with the number of a row's sweep."""
RANK = "_place"
"""Column with the rank of an eligible row within its sweep, lowest is best; null if ineligible."""
RANKING_FIELDS = {
    "problem": pa.string(),
    "outcome": pa.string(),
    "measure": pa.string(),
    "value": pa.float64(),
    "n": pa.int64(),
    "configuration": pa.string(),
    "tied": pa.int64(),
}
"""Columns ``_<name>`` of a row's configuration; ``tied`` is the number that share its place."""
RANKING_COLUMNS = (
    "run_id", "optimizer", "impl", "lr", "status", "gradient_evals_to_target", "steps_to_target", "steps_to_settle",
    "time_to_target_s", "step_s", "target", "target_loss", "final_gap", "gap_floor", "final_loss", "best_loss",
    "start_loss", "shifted_minimum", "seed_used", "started_at", "objective", "seed", "tuned_place", "tuned_for",
    "selection_metric", "selection_value", "lower_is_better", "target_shortfall",
)  # fmt: skip
"""Columns needed to rank configurations, in addition to the settings."""


def add_sweep_ranks(table: pa.Table, numbers: npt.NDArray[np.int64]) -> pa.Table:
    """Rows of several sweeps with RANK, SWEEP_NUMBER and RANKING_FIELDS; ``numbers``: sweep of each row."""
    rows = _prepare_rows(table).assign(**{SWEEP_NUMBER: numbers})
    compared = select_comparable(rows[rows[list(REQUIRED_COLUMNS)].notna().all(axis=1)], [SWEEP_NUMBER])
    sweeps = [sweep for _, sweep in compared.groupby(SWEEP_NUMBER, sort=False)]
    problem = pd.concat([name_problems(sweep) for sweep in sweeps]) if sweeps else compared["problem"]
    configuration = pd.concat([name_configurations(sweep) for sweep in sweeps]) if sweeps else compared["configuration"]
    compared = compared.assign(problem=compared[SWEEP_NUMBER].astype(str) + ":" + problem)
    order = rank_configurations(compared)
    order["position"], order["tied"] = np.arange(len(order)), _count_tied(order)
    of_rows = compared[[*KEYS, "run_id"]].merge(order, on=list(KEYS), how="left", suffixes=("", "_middle"))
    of_rows.index = compared.index
    of_rows["problem"], of_rows["configuration"] = problem, configuration
    able = of_rows[is_eligible(compared).to_numpy(bool)]
    able = able.assign(other=able["run_id"] != able["run_id_middle"]).sort_values(["position", "other"], kind="stable")
    place = pd.Series(np.arange(len(able)), able.index)
    first = place.groupby(compared.loc[able.index, SWEEP_NUMBER]).transform("min")
    columns = {RANK: (place - first).reindex(rows.index).astype("Int64")}
    columns |= {f"_{name}": of_rows[name].reindex(rows.index) for name in RANKING_FIELDS}
    kinds = {RANK: pa.int64(), **{f"_{name}": kind for name, kind in RANKING_FIELDS.items()}}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, kinds[name], from_pandas=True))
    return table.append_column(SWEEP_NUMBER, pa.array(numbers))


def _count_tied(order: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Number of configurations that share the place of each, itself included; tune's choices tie among each other.

    Implementations of one configuration count once.
    """
    keys = [order["problem"], order["place"], order["tuned_for"].notna()]
    names = order["optimizer"].astype(str) + " " + order["configuration"].astype(str)
    return names.groupby(keys, sort=False).transform("nunique").to_numpy(np.int64)


def _prepare_rows(table: pa.Table) -> pd.DataFrame:
    """Columns that distinguish and rank configurations; null where a sweep lacks one."""
    settings = [name for name in table.column_names if is_setting(name) and name not in RANKING_COLUMNS]
    columns = {name: table.column(name) for name in settings}
    for name in RANKING_COLUMNS:
        there = get_column_or_null(table, name)
        columns[name] = convert_column(there, ARROW_TYPES[COLUMNS[name].kind]) if name in COLUMNS else there
    return to_pandas(pa.table(columns))
