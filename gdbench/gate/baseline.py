"""Exact columns kept in a CSV file: one row a series, sorted, so that a change of it reads well in a diff."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.errors import UsageError
from gdbench.gate.exact_measures import EVERYWHERE, HERE, Finding, compared, has_run, measures
from gdbench.gate.probe_client import Answers
from gdbench.gate.series import Series
from gdbench.results.atomic import write_text

__all__ = ["AROUND", "digest_of_file", "fingerprint_words", "kept", "posed", "read_baseline", "record"]

ASKED = ("objective", "optimizer", "impl", "dtype", "lr", "steps", "seed")
AROUND = ("target", "target_loss", "start_noise", "schedule", "clip", "noise")
"""Columns of an experiment's ``expected.csv`` that pose its questions, the latter if there, beside optimizer.* ..."""
FIRST = ("series", "fingerprint", "status", "trajectory")
UNRECORDED = {"outcome": "absent", "error": "the baseline does not hold it: record it with gdbench gate record"}


def fingerprint_words(fingerprint: Mapping[str, Any]) -> str:
    """A fingerprint in one line: ``torch 2.13.0+cpu, cf30153, AVX2, AMD EPYC, MKL auto``."""
    said = dict(fingerprint)
    return ", ".join(
        [f"torch {said.pop('torch', '?')}", *(str(each) for name, each in said.items() if name != "mkl")]
    ) + (f", MKL {said['mkl']}" if "mkl" in said else "")


def record(file: Path, answers: Answers) -> int:
    """Write what a side answered; returns how many series there are."""
    fingerprint = fingerprint_words(answers.fingerprint)
    rows = [
        {"series": name, "fingerprint": fingerprint, **measures(answer)}
        for name, answer in sorted(answers.series.items())
        if has_run(answer)
    ]
    table = pd.DataFrame(rows)
    whole = {name: "Int64" for name in table if pd.api.types.is_numeric_dtype(table[name]) and _whole(table[name])}
    ordered = [*FIRST, *(name for name in table if name not in FIRST)]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, table.astype(whole)[ordered].to_csv(index=False, lineterminator="\n"))
    return len(rows)


def _whole(column: pd.Series) -> bool:
    there = column.dropna()
    return bool(len(there)) and bool((there % 1 == 0).all()) and column.name not in ("start_loss", "final_loss")


def read_baseline(file: Path) -> pd.DataFrame:
    """A file that ``record`` wrote, or an experiment's ``expected.csv``."""
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--baseline {file} cannot be read ({' '.join(str(error).split())}): gate record FILE writes one."
        ) from None
    if "series" not in table and not set(ASKED) <= set(table):
        raise UsageError(f"--baseline {file} holds neither series nor {', '.join(ASKED)}: it is no baseline.")
    if not set(EVERYWHERE + HERE) & (set(table) - {"status"}):
        raise UsageError(f"--baseline {file} holds no number that is compared beside the status: it is no baseline.")
    if "series" in table and (twice := sorted(set(table["series"][table["series"].duplicated()]))):
        raise UsageError(f"--baseline {file} holds several rows of {twice[0]}: record it anew.")
    return table


def digest_of_file(file: Path) -> str:
    """A word for all that a baseline says, whatever the ends of its lines."""
    return hashlib.blake2b(file.read_text(encoding="utf-8").encode(), digest_size=6).hexdigest()


def posed(table: pd.DataFrame) -> list[Series]:
    """The series that an experiment's rows stand for; their names tell what differs between them."""
    around = tuple(name for name in AROUND if name in table)
    groups = tuple(f"{name}." for name in ("optimizer", "objective", *around))
    asked = [*ASKED, *around, *(name for name in map(str, table) if name.startswith(groups))]
    differ = [name for name in asked if table[name].nunique(dropna=False) > 1]
    series = []
    for _, row in table.iterrows():
        settings = {name: _plain(row[name]) for name in asked if not pd.isna(row[name])}
        every = tuple(settings.items())
        words = [str(settings.pop(name)) for name in ("optimizer", "impl", "objective", "dtype")]
        told = [f"{name}={value}" for name, value in settings.items() if name in ("lr", "seed", *differ)]
        series.append(Series(" ".join([*words, *told]), every))
    names = [each.name for each in series]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--baseline holds several rows of {twice}: record it with the columns that tell them apart.")
    return series


def _plain(value: Any) -> Any:
    """A cell as Python has it; whole numbers that a column of floats holds are whole again."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def kept(
    table: pd.DataFrame, series: Sequence[Series], answers: Answers, ulps: Mapping[str, float]
) -> tuple[list[Finding], bool]:
    """The findings about series beside a baseline's rows, and whether all of these were made on this fingerprint."""
    here = fingerprint_words(answers.fingerprint)
    rows = {str(row["series"]): _row(row) for _, row in table.iterrows()}
    alike = {name: row["columns"].get("fingerprint") == here for name, row in rows.items()}
    names = [one.name for one in series]
    if "status" not in table:  # not recorded, as in experiments whose status is chaotic: any but a failure will do
        for name, row in rows.items():
            row["columns"]["status"] = (answers.series.get(name) or {}).get("columns", {}).get("status")
    findings = [
        compared(name, rows.get(name, UNRECORDED), answers.series.get(name), alike.get(name, False), ulps)
        for name in [*names, *(name for name in rows if name not in names)]
    ]
    return findings, all(alike.values())


def _row(row: pd.Series) -> dict[str, Any]:
    """A row of a baseline as the probe would have answered."""
    columns = {str(name): None if pd.isna(value) else _plain(value) for name, value in row.items()}
    return {"outcome": "measured", "columns": columns, "trajectory": columns.get("trajectory")}
