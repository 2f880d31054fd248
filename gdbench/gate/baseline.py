"""Exact measures in a CSV file: one row per series, sorted, so that changes are easy to read in a diff."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError, to_one_line
from gdbench.gate.exact_measures import EVERYWHERE, HERE, ExactResult, collect_measures, compare_answers, has_run
from gdbench.gate.probe_client import ProbeResults
from gdbench.gate.series import Series
from gdbench.results.atomic import write_text

__all__ = ["OPTIONAL_SETTINGS", "build_series", "compare_with_baseline", "format_fingerprint", "hash_file"]
__all__ += ["read_baseline", "save_baseline"]

SETTINGS = ("objective", "optimizer", "impl", "dtype", "lr", "steps", "seed")
OPTIONAL_SETTINGS = (
    "target",
    "target_loss",
    "target_metric",
    "judge_every",
    "exact",
    "start_noise",
    "schedule",
    "clip",
    "noise",
    "average",
)
"""Columns of an experiment's ``expected.csv`` that are settings, the latter if there, as well as optimizer.* ..."""
FROZEN_NAMES = {
    "gradient_evals_to_target": "gradients_to_target",
    "function_evals_to_target": "evaluations_to_target",
}
"""Compared columns of an experiment that have another name in the gate's facade."""
FIRST_COLUMNS = ("series", "fingerprint", "status", "trajectory")
UNRECORDED = {
    "outcome": "absent",
    "error": "the baseline does not hold it: record it with gdbench gate save-baseline",
}


def format_fingerprint(fingerprint: Mapping[str, Any]) -> str:
    """A fingerprint in one line: ``torch 2.13.0+cpu, cf30153, AVX2, AMD EPYC, MKL auto``."""
    rest = dict(fingerprint)
    torch, mkl = rest.pop("torch", "?"), rest.pop("mkl", None)
    return ", ".join([f"torch {torch}", *map(str, rest.values()), *([] if mkl is None else [f"MKL {mkl}"])])


def save_baseline(file: Path, results: ProbeResults) -> int:
    """Write the exact measures of a side; returns the number of series."""
    fingerprint = format_fingerprint(results.fingerprint)
    rows = [
        {"series": name, "fingerprint": fingerprint, **collect_measures(answer)}
        for name, answer in sorted(results.series.items())
        if has_run(answer)
    ]
    table = pd.DataFrame(rows)
    integers = {name: "Int64" for name in table if _is_integer(table[name])}
    ordered = [*FIRST_COLUMNS, *(name for name in table if name not in FIRST_COLUMNS)]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, table.astype(integers)[ordered].to_csv(index=False, lineterminator="\n"))
    return len(rows)


def _is_integer(column: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or column.name in ("start_loss", "final_loss"):
        return False
    values = column.dropna()
    return bool(len(values)) and bool((values % 1 == 0).all())


def read_baseline(file: Path) -> pd.DataFrame:
    """A file that ``save_baseline`` wrote, or an experiment's ``expected.csv``."""
    try:
        table = pd.read_csv(file).rename(columns=FROZEN_NAMES)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--baseline {file} cannot be read ({to_one_line(error)}): gate save-baseline FILE writes one."
        ) from None
    if "series" not in table and not set(SETTINGS) <= set(table):
        raise UsageError(f"--baseline {file} holds neither series nor {', '.join(SETTINGS)}: it is no baseline.")
    if not set(EVERYWHERE + HERE) & (set(table) - {"status"}):
        raise UsageError(f"--baseline {file} holds no number that is compared beside the status: it is no baseline.")
    if "series" in table and (twice := sorted(set(table["series"][table["series"].duplicated()]))):
        raise UsageError(f"--baseline {file} holds several rows of {twice[0]}: save it again with gate save-baseline.")
    return table


def hash_file(file: Path) -> str:
    """Digest of a baseline, independent of its line endings."""
    return hashlib.blake2b(file.read_text(encoding="utf-8").encode(), digest_size=6).hexdigest()


def build_series(table: pd.DataFrame) -> list[Series]:
    """The series of an experiment's rows; their names state the settings that differ between rows."""
    optional = tuple(name for name in OPTIONAL_SETTINGS if name in table)
    groups = tuple(f"{name}." for name in ("optimizer", "objective", *optional))
    stated = [*SETTINGS, *optional, *(name for name in map(str, table) if name.startswith(groups))]
    differing = [name for name in stated if table[name].nunique(dropna=False) > 1]
    series = []
    for _, row in table.iterrows():
        settings = {name: _convert(row[name]) for name in stated if not pd.isna(row[name])}
        all_settings = tuple(settings.items())
        words = [str(settings.pop(name)) for name in ("optimizer", "impl", "objective", "dtype")]
        words += [f"{name}={value}" for name, value in settings.items() if name in ("lr", "seed", *differing)]
        series.append(Series(" ".join(words), all_settings))
    names = [one.name for one in series]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--baseline holds several rows of {twice}: record it with the columns that tell them apart.")
    return series


def _convert(value: Any) -> Any:
    """A cell as a Python value; whole numbers in a column of floats become int again."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def compare_with_baseline(
    table: pd.DataFrame, series: Sequence[Series], results: ProbeResults, ulps: Mapping[str, float]
) -> tuple[list[ExactResult], bool]:
    """Compare series with a baseline's rows; also returns whether all rows were recorded on this fingerprint."""
    here = format_fingerprint(results.fingerprint)
    rows = {str(row["series"]): _make_answer(row) for _, row in table.iterrows()}
    is_alike = {name: row["columns"].get("fingerprint") == here for name, row in rows.items()}
    names = [one.name for one in series]
    if "status" not in table:  # not recorded, as in experiments whose status is chaotic: any but a failure will do
        for name, row in rows.items():
            row["columns"]["status"] = (results.series.get(name) or {}).get("columns", {}).get("status")
    compared = [
        compare_answers(name, rows.get(name, UNRECORDED), results.series.get(name), is_alike.get(name, False), ulps)
        for name in [*names, *(name for name in rows if name not in names)]
    ]
    return compared, all(is_alike.values())


def _make_answer(row: pd.Series) -> dict[str, Any]:
    """A row of a baseline in the form of a probe's answer."""
    columns = {str(name): None if pd.isna(value) else _convert(value) for name, value in row.items()}
    return {"outcome": "measured", "columns": columns, "trajectory": columns.get("trajectory")}
