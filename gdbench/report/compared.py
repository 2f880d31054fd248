"""Two sweeps side by side, as Markdown: counts, then what differs, the worst first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.analysis.comparison import VERDICTS, comparison
from gdbench.report.cells import short
from gdbench.report.tables import table_lines

__all__ = ["compared_report"]

ORDER = ("worse", "better", "changed", "only a", "only b")


def compared_report(a: pd.DataFrame, b: pd.DataFrame, names: tuple[Path, Path]) -> str:
    """What became of the runs of ``a`` in ``b``; runs that are the same are counted only."""
    table = comparison(a, b)
    counts = table["verdict"].value_counts()
    counted = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    lines = [
        "# gdbench compare",
        "",
        f"a: {names[0]} ({len(a)} runs)",
        f"b: {names[1]} ({len(b)} runs)",
        "",
        f"{counted}.",
        "",
    ]
    ratios = table["step_ratio"].dropna()
    if len(ratios):
        told = f"Step time over the reference loop, b over a: median {ratios.median():.2f}, {len(ratios)} runs."
        lines += [f"{told} One process each: a difference takes several to establish.", ""]
    differing = table[table["verdict"] != "same"]
    if differing.empty:
        return "\n".join([*lines, "Nothing differs."])
    places = differing["verdict"].map({name: place for place, name in enumerate(ORDER)})
    shown = differing.loc[places.sort_values(kind="stable").index]
    return "\n".join([*lines, *table_lines(_worded(shown))])


def _worded(table: pd.DataFrame) -> pd.DataFrame:
    told = table[["verdict", "problem", "solver"]].assign(configuration=table["configuration"].map(short))
    told = told.assign(seed=table["seed"]) if table["seed"].nunique() > 1 else told
    told = told.assign(status=_change(table, "status"), gradients=_change(table, "gradients_to_target"))
    return told.assign(ratio=table["gradients_ratio"], **{"final gap": _change(table, "final_gap")})


def _change(table: pd.DataFrame, name: str) -> list[str]:
    """``31 -> 29``; one number where both are equal."""
    pairs = zip(table[f"{name}_a"], table[f"{name}_b"], strict=True)
    return [_said(a) if _said(a) == _said(b) else f"{_said(a)} -> {_said(b)}" for a, b in pairs]


def _said(value: Any) -> str:
    if value is None or pd.isna(value):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
