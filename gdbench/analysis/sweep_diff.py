"""Two sweeps, or two runs: what differs in configuration, environment and result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gdbench.analysis.diff import Difference, configuration, facts, first_step, named, results
from gdbench.analysis.run_matching import VERDICTS, comparison
from gdbench.results.catalog import find
from gdbench.results.load import load
from gdbench.results.lookup import environment_of, find_run, home, trace

__all__ = ["Contrast", "contrast"]

KEY = re.compile(r"[0-9a-f]{4,16}")


@dataclass(frozen=True)
class Side:
    """A sweep, or one run of it."""

    name: str
    place: Path
    runs: pd.DataFrame

    @classmethod
    def parse(cls, given: str, outputs: Path) -> Side:
        """A run of ``outputs`` by its key or the first digits of it, else a sweep by its folder or name."""
        if KEY.fullmatch(given) and not Path(given).exists():
            row = find_run(given, outputs)
            return cls(str(row["run_id"]), home(outputs, row), row.to_frame().T)
        place = Path(given) if Path(given).is_dir() else find(given, outputs)
        runs = load(place)
        return cls(str(place), home(place, runs.iloc[0]), runs)

    def environment(self) -> dict[str, Any]:
        """Of the cell that started last."""
        return environment_of(self.place, self.runs.sort_values("started_at").iloc[-1])


@dataclass(frozen=True)
class Contrast:
    """What one side has (``a``) and the other (``b``)."""

    names: tuple[str, str]
    sizes: tuple[int, int]
    configuration: list[Difference]
    environment: list[Difference]
    sources: list[Difference]
    data: list[Difference]
    verdicts: dict[str, int]
    """Of two sweeps: how many runs, matched by what was asked, became better, worse, changed ..."""
    results: list[Difference]
    """Of two single runs: the exact columns that differ."""
    first_step: int | None

    @property
    def differs(self) -> bool:
        """Whether anything at all does."""
        moved = any(count for verdict, count in self.verdicts.items() if verdict != "same")
        parts = (self.configuration, self.environment, self.sources, self.data, self.results)
        return moved or self.first_step is not None or any(parts)


def contrast(a: str, b: str, outputs: Path) -> Contrast:
    """What differs between two sweeps (folders) or two runs (keys in ``outputs``)."""
    sides = Side.parse(a, outputs), Side.parse(b, outputs)
    known = [side.environment() for side in sides]
    single = all(len(side.runs) == 1 for side in sides)
    rows = [side.runs.iloc[0] for side in sides]
    traces = [trace(side.place, str(row["run_id"])) for side, row in zip(sides, rows, strict=True)] if single else []
    return Contrast(
        names=(sides[0].name, sides[1].name),
        sizes=(len(sides[0].runs), len(sides[1].runs)),
        configuration=configuration(sides[0].runs, sides[1].runs),
        environment=named(*(facts(each) for each in known)),
        sources=named(*(each.get("sources", {}) for each in known)),
        data=named(*(each.get("data", {}) for each in known)),
        verdicts={} if single else _verdicts(sides[0].runs, sides[1].runs),
        results=results(rows[0], rows[1]) if single else [],
        first_step=first_step(traces[0], traces[1]) if single else None,
    )


def _verdicts(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, int]:
    counts = comparison(a, b)["verdict"].value_counts()
    return {str(name): int(counts[name]) for name in VERDICTS if name in counts}
