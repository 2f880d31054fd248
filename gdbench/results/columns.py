"""Schema of runs.parquet, traces.parquet and blocks.parquet: type, unit, direction and meaning of each column.

The columns themselves are the rows of columns.csv.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    *("COLUMNS", "LADDER", "TABLE_COLUMNS", "Field", "ColumnMeanings"),
    *("describe_columns", "get_column", "is_exact", "is_setting"),
]


@dataclass(frozen=True)
class Field:
    """Type and unit of a column, which direction is better, and its meaning: a row of columns.csv.

    Kinds are str, int, float, bool, time, list, and shared: text common to the runs of a cell, a category in pandas.
    """

    kind: str
    unit: str
    better: str
    meaning: str

    @property
    def description(self) -> str:
        """Meaning, unit and direction, as in ``median time per step [s] (lower is better)``."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.meaning}{unit}" + (f" ({self.better} is better)" if self.better else "")


def _read_columns() -> dict[str, dict[str, Field]]:
    """Columns of each table, in the order of columns.csv."""
    columns: dict[str, dict[str, Field]] = {}
    with Path(__file__).with_name("columns.csv").open(encoding="utf-8", newline="") as file:
        for table, name, *field in itertools.islice(csv.reader(file), 1, None):
            columns.setdefault(table, {})[name] = Field(*field)
    return columns


TABLE_COLUMNS = _read_columns()
COLUMNS = TABLE_COLUMNS["runs"]
"""Columns of runs.parquet, in their order; hyper-parameters come beside them as optimizer.<name>, objective.<name>."""
LADDER = {f"hit_1e-{power:02d}": 10.0**-power for power in range(1, 13)}
"""Column of each target of the ladder: the step of its first hit; the target is a relative gap."""
METRIC_KINDS = {
    "final": "value at the last step",
    "best": "best value at a judged step",
    "selected": "value at selected_step",
}
"""Prefixes of the columns of metrics, as in ``final.held_out.accuracy``, and what they hold."""


def get_column(name: str) -> Field:
    """Field of that name; the meaning of a hyper-parameter is made from its name."""
    if name in COLUMNS:
        return COLUMNS[name]
    group, _, parameter = name.partition(".")
    if group in METRIC_KINDS:
        return Field("float", "", "", f"{METRIC_KINDS[group]} of {parameter}")
    return Field("any", "", "", f"{parameter} of the {group}")


class ColumnMeanings(dict[str, str]):
    """Meanings by column for ``DataFrame.attrs``: pandas deep-copies attrs often, so this is shared."""

    def __deepcopy__(self, memo: object) -> ColumnMeanings:
        """Itself, as it is immutable by convention."""
        return self


def describe_columns(names: Iterable[str], known: Mapping[str, Field]) -> ColumnMeanings:
    """Text of each column, as ``Field.description``; ``known`` is looked up before COLUMNS."""
    return ColumnMeanings({name: (known[name] if name in known else get_column(name)).description for name in names})


SETTING_GROUPS = ("objective", "optimizer", "schedule", "clip", "noise", "average")
SETTINGS = (
    *(*SETTING_GROUPS, "impl", "dtype", "device", "seed", "lr", "lr_scale", "lr_scale_of"),
    *("steps", "target", "target_loss", "target_metric", "judge_every", "exact", "start_noise", "threads"),
)
PROVENANCE = (
    *("sweep", "cell", "cell_fingerprint", "process", "overrides", "started_at"),
    *("traceback", "tuned_place", "tuned_for", "selection_metric", "selection_value"),
)
"""When and where a run was made, where it failed, and how a search rated it."""
TIMING = ("timed", "timing_error", "verified_steps", "ops", "peak_bytes", "overhead_bound", "time_to_target_kind")
"""Results of the timed pass other than seconds: null without timing."""


LR_ORIGIN = ("lr_scale", "lr_scale_of")
"""How lr was derived: runs of equal lr are the same question."""


def is_setting(name: str) -> bool:
    """Whether a column is a setting of a run, and not a result."""
    return name in SETTINGS or name.partition(".")[0] in SETTING_GROUPS


def is_exact(name: str) -> bool:
    """Whether a column is reproduced bitwise by the same settings, source and machine.

    Steps, counts, losses and statuses are; seconds, their ratios, and provenance are not.
    """
    return not (
        name in (*PROVENANCE, *TIMING, *LR_ORIGIN) or get_column(name).unit == "s" or name.startswith("step_time_ratio")
    )
