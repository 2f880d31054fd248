"""Differences between two sweeps or two runs: settings, environment, sources, data and results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.analysis.run_comparison import RUN_VERDICTS, compare_runs
from gdbench.analysis.value_diff import (
    ValueDiff,
    diff_mappings,
    diff_results,
    diff_settings,
    find_first_differing_step,
    flatten_environment,
)
from gdbench.results.environment_file import find_environment
from gdbench.results.load import load
from gdbench.results.run_lookup import find_run, find_sweep_of_run, load_trace
from gdbench.results.sweep_lookup import find_sweep

__all__ = ["SweepDiff", "diff_sweeps"]

RUN_ID_PREFIX = re.compile(r"[0-9a-f]{4,16}")


@dataclass(frozen=True)
class DiffInput:
    """One side of a diff: a sweep, or one run of it."""

    name: str
    place: Path
    runs: pd.DataFrame

    @classmethod
    def parse(cls, given: str, outputs: Path) -> DiffInput:
        """Find a run of ``outputs`` by the first digits of its run_id, else a sweep by its folder or name."""
        if RUN_ID_PREFIX.fullmatch(given) and not Path(given).exists():
            row = find_run(given, outputs)
            return cls(str(row["run_id"]), find_sweep_of_run(outputs, row), row.to_frame().T)
        place = Path(given) if Path(given).is_dir() else find_sweep(given, outputs)
        runs = load(place)
        return cls(str(place), find_sweep_of_run(place, runs.iloc[0]), runs)

    def environment(self) -> dict[str, Any]:
        """Environment of the cell that started last."""
        return find_environment(self.place, self.runs.sort_values("started_at").iloc[-1])


@dataclass(frozen=True)
class SweepDiff:
    """Differences between side ``a`` and side ``b``."""

    names: tuple[str, str]
    sizes: tuple[int, int]
    configuration: list[ValueDiff]
    environment: list[ValueDiff]
    sources: list[ValueDiff]
    data: list[ValueDiff]
    verdicts: dict[str, int]
    """Of two sweeps: number of matched runs that are better, worse, changed ..."""
    results: list[ValueDiff]
    """Of two single runs: deterministic columns that differ."""
    first_step: int | None

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        moved = any(count for verdict, count in self.verdicts.items() if verdict != "same")
        parts = (self.configuration, self.environment, self.sources, self.data, self.results)
        return moved or self.first_step is not None or any(parts)


def diff_sweeps(a: str, b: str, outputs: Path) -> SweepDiff:
    """Differences between two sweeps (folders or names) or two runs (run_ids in ``outputs``)."""
    sides = DiffInput.parse(a, outputs), DiffInput.parse(b, outputs)
    known = [side.environment() for side in sides]
    single = all(len(side.runs) == 1 for side in sides)
    rows = [side.runs.iloc[0] for side in sides]
    traces = (
        [load_trace(side.place, str(row["run_id"])) for side, row in zip(sides, rows, strict=True)] if single else []
    )
    return SweepDiff(
        names=(sides[0].name, sides[1].name),
        sizes=(len(sides[0].runs), len(sides[1].runs)),
        configuration=diff_settings(sides[0].runs, sides[1].runs),
        environment=diff_mappings(*(flatten_environment(environment) for environment in known)),
        sources=diff_mappings(*(environment.get("sources", {}) for environment in known)),
        data=diff_mappings(*(environment.get("data", {}) for environment in known)),
        verdicts={} if single else _count_verdicts(sides[0].runs, sides[1].runs),
        results=diff_results(rows[0], rows[1]) if single else [],
        first_step=find_first_differing_step(traces[0], traces[1]) if single else None,
    )


def _count_verdicts(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, int]:
    counts = compare_runs(a, b)["verdict"].value_counts()
    return {str(name): int(counts[name]) for name in RUN_VERDICTS if name in counts}
