"""How far a sweep has come, told from its folder alone: on this machine or another one, running, ended or killed."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from gdbench.errors import UsageError
from gdbench.results.catalog import find, newest, planned_cells
from gdbench.results.columns import asked
from gdbench.results.costs import compared
from gdbench.results.folder_layout import PARTS, is_sweep
from gdbench.results.load import Skipped, load
from gdbench.results.paths import expand_user
from gdbench.results.places import NEEDED
from gdbench.results.standings import KEYS, best_of_each, standings
from gdbench.results.sweep_folder import busy
from gdbench.results.table_files import FAULTS

__all__ = ["SweepFollower", "SweepSnapshot", "place"]


QUIET_S = 300.0
"""Where nobody can say whether a process writes, a sweep runs that has written so lately."""
COLUMNS = [*NEEDED, "cell", "cell_s"]
MOST = 5000
"""Rows of a table that are kept; of a larger one those of its best configurations."""
TRACE = ["run_id", "step", "loss", "gap"]


@dataclass
class Told:
    """What is kept of one table: little, so that a large sweep can be watched beside its own work."""

    changed: float
    until: float = 0.0
    """When the last of its cells ended."""
    cells: dict[int, Counter[str]] = field(default_factory=dict)
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What orders its configurations, of which other tables may hold other seeds."""


class SweepFollower:
    """Looks at a sweep again and again; each table is read once, and again when it has changed."""

    def __init__(self, folder: Path) -> None:
        """Nothing has been read."""
        self.folder = folder
        self.told: dict[Path, Told] = {}
        self.traces: dict[str, pd.DataFrame] = {}
        self.searched: set[tuple[str, Path]] = set()
        self.best: tuple[dict[Path, float], pd.DataFrame] = ({}, pd.DataFrame())
        """The best configurations, and of which tables, as they were when."""

    def look(self) -> SweepSnapshot:
        """How far it has come by now; ``UsageError`` where the folder has gone."""
        try:
            return self._look()
        except FileNotFoundError:
            if self.folder.is_dir():
                raise
            raise UsageError(f"{self.folder} has been removed, or renamed.") from None

    def _look(self) -> SweepSnapshot:
        held = busy(self.folder)  # first: a sweep that ends meanwhile is seen as running, and as ended the next time
        self._read()
        cells: dict[int, Counter[str]] = {}
        for told in self.told.values():  # the gathered table comes first, and parts replace its cells
            cells |= told.cells
        planned, quiet = planned_cells(self.folder), max(0.0, time.time() - self._last())
        state = self._state(held, len(cells) >= planned, quiet)
        elapsed = self._elapsed(state == "running")
        return SweepSnapshot(
            folder=self.folder,
            state=state,
            planned=planned,
            open_end=not (self.folder / ".hydra" / "cells.json").is_file(),
            ended=len(cells),
            failed=sum(counted["failed"] > 0 for counted in cells.values()),
            statuses=sum(cells.values(), Counter()),
            best=self._best(),
            elapsed_s=elapsed,
            left_s=self._left(elapsed, planned - len(cells)) if state == "running" else None,
            quiet_s=quiet,
        )

    def trace(self, run: str) -> pd.DataFrame:
        """The steps, losses and gaps of a run; nothing where they were not recorded."""
        for file in [*self.folder.glob("traces.parquet"), *(self.folder / PARTS).glob("cell-*.traces.parquet")]:
            if run in self.traces or (run, file) in self.searched:
                continue
            self.searched.add((run, file))
            with contextlib.suppress(*FAULTS):  # gathered meanwhile, or cut off
                found = pq.read_table(file, columns=TRACE, filters=[("run_id", "=", run)]).to_pandas()
                if len(found):
                    self.traces[run] = found.sort_values("step")
        return self.traces.get(run, pd.DataFrame(columns=TRACE))

    def _state(self, held: bool | None, all_there: bool, quiet: float) -> str:
        if not held and all_there and not (self.folder / PARTS).is_dir():
            return "ended"
        return "running" if held or (held is None and quiet < QUIET_S) else "stopped"

    def _elapsed(self, running: bool) -> float:
        ends = [told.until for told in self.told.values()] or [self._last()]
        return max(0.0, (time.time() if running else max(ends)) - self._begun())

    def _left(self, elapsed: float, cells: int) -> float | None:
        """How long the cells that are left will take, if they are like those that ended since the sweep began."""
        begun = self._begun()
        fresh = sum(file.parent.name == PARTS and told.changed >= begun for file, told in self.told.items())
        return elapsed / fresh * cells if fresh and cells > 0 else None

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
            try:
                self.told[file] = known.get(file) or _told(load(file, columns=_columns(file)), changed)
            except UsageError as fault:
                if file.exists():  # else it was gathered meanwhile
                    warnings.warn(str(fault), Skipped, stacklevel=2)

    def _best(self) -> pd.DataFrame:
        """The best configuration so far of each solver on each problem, over all seeds that have ended."""
        seen = {file: told.changed for file, told in self.told.items()}
        if self.best[0] != seen:
            rows = [told.runs for told in self.told.values() if len(told.runs)]
            order = standings(compared(pd.concat(rows, ignore_index=True))) if rows else pd.DataFrame()
            self.best = seen, best_of_each(order) if len(order) else order
        return self.best[1]

    def _begun(self) -> float:
        """When the sweep, or its going on, began: as was written down then, for the times of a copy are its own."""
        found = [self.folder.stat().st_mtime]
        for file in self.folder.glob("environment*.json"):
            found.append(file.stat().st_mtime)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # of an earlier version, or cut off
                found[-1] = datetime.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["at"]).timestamp()
        return max(found[1:] or found)

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
    ends = runs["started_at"] + pd.to_timedelta(runs["cell_s"], unit="s")
    until = ends.max().timestamp() if ends.notna().any() else 0.0
    return Told(changed, until, cells, _leading(runs.drop(columns=["cell", "cell_s"])))


def _columns(file: Path) -> list[str]:
    """What is read of a table: what orders its configurations, and the settings that tell them apart."""
    try:
        names = pq.read_schema(file).names
    except FAULTS:  # ``load`` says which
        names = []
    return list(dict.fromkeys([*COLUMNS, *filter(asked, names)]))


def _leading(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table, of a large one those of its best configurations."""
    if len(runs) <= MOST:
        return runs
    told = compared(runs)
    order = standings(told)
    rows = told[[*KEYS]].merge(order.assign(rank=np.arange(len(order)))[[*KEYS, "rank"]], on=list(KEYS), how="left")
    return told.iloc[np.argsort(rows["rank"].to_numpy(), kind="stable")[:MOST]].drop(columns=list(KEYS))


def place(word: str | None, outputs: Path) -> Path | None:
    """The sweep to look at: that which is named, or else the newest; None where a folder holds none yet."""
    within = outputs if word is None else expand_user(word)
    if is_sweep(within):
        return within
    if word is not None and not within.is_dir():
        return find(word, outputs)
    try:
        return newest(within)
    except UsageError:
        return None


@dataclass(frozen=True)
class SweepSnapshot:
    """A sweep at one moment."""

    folder: Path
    state: str
    """``running``, ``ended``, or ``stopped`` before its end."""
    planned: int
    """Cells that were asked for."""
    open_end: bool
    """Whether more may be asked for: a search."""
    ended: int
    failed: int
    """Cells of which a run failed."""
    statuses: Counter[str]
    """Of the runs so far."""
    best: pd.DataFrame
    """The standings of the best configuration of each solver on each problem, the best first."""
    elapsed_s: float
    left_s: float | None
    quiet_s: float
    """Since when nothing was written."""
