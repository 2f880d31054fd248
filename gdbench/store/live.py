"""How far a sweep has come, told from its folder alone: on this machine or another one, running, ended or killed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from gdbench.analysis.ranking import may_win, ranked
from gdbench.records import PARTS, busy, is_sweep, load
from gdbench.report.live import Glance
from gdbench.report.source import newest
from gdbench.schema import UsageError
from gdbench.store.folders import find, planned_cells

__all__ = ["Onlooker", "place"]

QUIET_S = 300.0
"""Where nobody can say whether a process writes, a sweep runs that has written so lately."""
SOLVER = ["objective", "optimizer", "impl"]
COLUMNS = [
    "run", *SOLVER, "lr", "status", "cell", "steps_to_target", "gradients_to_target", "evaluations_to_target",
    "time_to_target_s", "final_gap", "final_loss", "start_loss", "shifted_minimum",
]  # fmt: skip
TRACE = ["run", "step", "loss", "gap"]


@dataclass
class Told:
    """What is kept of one table: little, so that a large sweep can be watched beside its own work."""

    changed: float
    cells: dict[int, Counter[str]] = field(default_factory=dict)
    best: pd.DataFrame = field(default_factory=pd.DataFrame)


class Onlooker:
    """Looks at a sweep again and again; each table is read once, and again when it has changed."""

    def __init__(self, folder: Path) -> None:
        """Nothing has been read."""
        self.folder = folder
        self.told: dict[Path, Told] = {}
        self.traces: dict[str, pd.DataFrame] = {}

    def look(self) -> Glance:
        """How far it has come by now."""
        held = busy(self.folder)  # first: a sweep that ends meanwhile is seen as running, and as ended the next time
        self._read()
        parts = {file: told for file, told in self.told.items() if file.parent.name == PARTS}
        cells: dict[int, Counter[str]] = {}
        for told in self.told.values():  # the gathered table comes first, and parts replace its cells
            cells |= told.cells
        begun, last = self._begun(), self._last()
        planned = planned_cells(self.folder)
        quiet = max(0.0, time.time() - last)
        ended = not (self.folder / PARTS).is_dir() and len(cells) >= planned
        running = held if held is not None else quiet < QUIET_S
        state = "ended" if ended and not held else "running" if running else "stopped"
        elapsed = max(0.0, (time.time() if state == "running" else last) - begun)
        fresh = sum(told.changed >= begun for told in parts.values())
        left = (
            elapsed / fresh * (planned - len(cells)) if fresh and state == "running" and planned > len(cells) else None
        )
        return Glance(
            folder=self.folder,
            state=state,
            planned=planned,
            open_end=not (self.folder / ".hydra" / "cells.json").is_file(),
            ended=len(cells),
            failed=sum(counted["failed"] > 0 for counted in cells.values()),
            statuses=sum(cells.values(), Counter()),
            best=self._best(),
            elapsed_s=elapsed,
            left_s=left,
            quiet_s=quiet,
        )

    def trace(self, run: str) -> pd.DataFrame:
        """The steps, losses and gaps of a run; nothing where they were not recorded."""
        if run not in self.traces:
            files = [*self.folder.glob("traces.parquet"), *(self.folder / PARTS).glob("cell-*.traces.parquet")]
            for file in files:
                with contextlib.suppress(OSError, ValueError):  # gathered, or cut off
                    found = pq.read_table(file, columns=TRACE, filters=[("run", "=", run)]).to_pandas()
                    if len(found):
                        self.traces[run] = found.sort_values("step")
        return self.traces.get(run, pd.DataFrame(columns=TRACE))

    def _files(self) -> Iterator[tuple[Path, float]]:
        for file in [self.folder / "runs.parquet", *sorted((self.folder / PARTS).glob("cell-*.runs.parquet"))]:
            with contextlib.suppress(FileNotFoundError):  # gathered meanwhile
                yield file, file.stat().st_mtime

    def _read(self) -> None:
        """Read what is new or has changed, and forget what has gone."""
        there = dict(self._files())
        known = {file: told for file, told in self.told.items() if there.get(file) == told.changed}
        self.told = {}
        for file, changed in there.items():
            with contextlib.suppress(UsageError):  # no table: it is a cell that has not ended
                self.told[file] = known.get(file) or _told(load(file, columns=COLUMNS), changed)

    def _best(self) -> pd.DataFrame:
        found = [told.best for told in self.told.values() if len(told.best)]
        if not found:
            return pd.DataFrame(columns=COLUMNS)
        return ranked(pd.concat(found, ignore_index=True)).drop_duplicates(SOLVER)

    def _begun(self) -> float:
        """When the sweep, or its going on, began."""
        described = [file.stat().st_mtime for file in self.folder.glob("environment*.json")]
        return max(described, default=self.folder.stat().st_mtime)

    def _last(self) -> float:
        """When anything was written."""
        parts = [self.folder / PARTS] if (self.folder / PARTS).is_dir() else []
        return max(
            [self._begun(), *(told.changed for told in self.told.values()), *(each.stat().st_mtime for each in parts)]
        )


def _told(runs: pd.DataFrame, changed: float) -> Told:
    cells: dict[int, Counter[str]] = {}
    counted: list[Any] = list(runs.groupby(["cell", "status"]).size().reset_index(name="runs").itertuples())
    for row in counted:
        cells.setdefault(int(row.cell), Counter())[row.status] = int(row.runs)
    sound = ranked(runs[may_win(runs)].reset_index(drop=True))
    return Told(changed, cells, sound.drop_duplicates(SOLVER))


def place(word: str | None, outputs: Path) -> Path | None:
    """The sweep to look at: that which is named, or else the newest; None where a folder holds none yet."""
    within = outputs if word is None else Path(word)
    if is_sweep(within):
        return within
    if word is not None and not within.is_dir():
        return find(word, outputs)
    try:
        return newest(within)
    except UsageError:
        return None
